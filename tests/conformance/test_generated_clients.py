"""Clients that public generators make from the published description, driven through a tenant's calls."""

import base64
import importlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from lacking import skip_here
from likeness.engine.fake import fake_photo
from servers import Api

HERE = Path(__file__).parent
PUBLISHED = HERE.parents[1] / "docs" / "openapi.json"
COMPILE = ("--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext")
PHOTO = fake_photo(1)


@pytest.fixture(scope="module")
def python_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the folder of a client of openapi-python-client, which can be imported as ``generated_client``."""
    folder = tmp_path_factory.mktemp("python") / "generated_client"
    settings = folder.with_suffix(".yaml")
    settings.write_text("post_hooks: []\n")
    command = [
        sys.executable,
        "-m",
        "openapi_python_client",
        "generate",
        f"--path={PUBLISHED}",
        f"--output-path={folder}",
    ]
    subprocess.run([*command, "--meta=none", f"--config={settings}"], check=True, capture_output=True)
    sys.path.insert(0, str(folder.parent))
    yield folder
    sys.path.remove(str(folder.parent))


def test_a_python_client_makes_the_calls(python_client: Path, api: Api) -> None:
    def call(name: str, client: Any, **given: Any) -> Any:
        (module,) = [path for path in python_client.glob("api/*/*.py") if path.stem == name]
        made = importlib.import_module(f"generated_client.api.{module.parent.name}.{name}")
        return made.sync_detailed(client=client, **given).parsed

    client = importlib.import_module("generated_client.client")
    of = importlib.import_module("generated_client.models")
    file = importlib.import_module("generated_client.types").File

    def in_form() -> Any:
        return file(payload=BytesIO(PHOTO), file_name="photo.jpg", mime_type="image/jpeg")

    in_json = base64.b64encode(PHOTO).decode()
    match = of.MatchRequest(in_json, in_json)
    with client.Client(api.server.url) as stranger:
        asked = of.TokenRequest(of.TokenRequestGrantType.CLIENT_CREDENTIALS, api.client_id, api.client_secret)
        token = call("get_token", stranger, body=asked).access_token
        assert call("face_match", stranger, body=match).error == of.ErrorCode.UNAUTHORIZED

    with client.AuthenticatedClient(api.server.url, token) as ours:
        assert call("face_match", ours, body=match).match_level == 5
        assert call("face_match", ours, body=of.MatchRequestForm(in_form(), in_form(), minimum_match_level=4)).match
        session = of.SessionRequest(in_json, nonce="order-17", one_to_n=of.SessionRequestOneToNType0.SEARCH)
        assert call("init_session", ours, body=session).capture_url.startswith(f"{api.server.url}/capture/")
        metadata = of.InsertRequestFormMetadata()
        metadata["branch"] = "Berne"
        inserted = call(
            "face_search_insert",
            ours,
            body=of.InsertRequestForm(in_form(), external_id="customer-1", metadata=metadata),
        )
        found = call("face_search", ours, body=of.SearchRequest(in_json))
        assert found.one_to_n_verification_id == inserted.one_to_n_verification_id
        (entry,) = call("list_entries", ours, external_id="customer-1").entries
        assert entry.metadata["branch"] == "Berne"


def test_a_typescript_client_makes_the_calls(api: Api, tmp_path: Path) -> None:
    node, packages = shutil.which("node"), HERE / "node_modules"
    if node is None or not (packages / "openapi-fetch").is_dir():
        skip_here("Node or its packages are missing (npm ci in tests/conformance)")
    (tmp_path / "node_modules").symlink_to(packages)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copy(HERE / "client.ts", tmp_path)

    def run(*command: str) -> str:
        done = subprocess.run([node, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    tools = packages / ".bin"
    run(str(tools / "openapi-typescript"), str(PUBLISHED), "-o", "api.d.ts", "--default-non-nullable=false")
    run(str(tools / "tsc"), *COMPILE, "client.ts")
    asked = {"base": api.server.url, "clientId": api.client_id, "clientSecret": api.client_secret}
    answers = json.loads(run("client.js", json.dumps(asked | {"photo": base64.b64encode(PHOTO).decode()})))
    assert re.fullmatch(f"{api.server.url}/capture/.+", answers.pop("captureUrl"))
    assert answers.pop("inserted") == answers.pop("found") is not None
    assert answers == {"refused": "UNAUTHORIZED", "match": True, "level": 5, "listed": ["customer-1"]}
