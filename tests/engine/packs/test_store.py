import hashlib
import io
import stat
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx import Request, Response

from likeness.engine.packs.identity import PackId
from likeness.engine.packs.manifest import Archive, Licences, Manifest, Weights
from likeness.engine.packs.store import WeightStore
from likeness.errors import SetupError

CONTENT = b"weights of a network"
WEIGHTS = Weights(
    name="net.onnx",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    bytes=len(CONTENT),
    licences=Licences(code="stated: MIT", weights="stated: MIT", training_data="unstated: ours"),
    training_data="ours",
    origin="us",
    urls=("https://one.example/net.onnx", "https://two.example/net.onnx"),
)
ARCHIVE_URL = "https://three.example/nets.zip"
PACK = Manifest(id=PackId("own"), version="1", title="Ours", weights=(WEIGHTS,))


def store(tmp_path: Path, answers: dict[str, bytes] | None = None, mirror: Path | None = None) -> WeightStore:
    def answer(request: Request) -> Response:
        return httpx.Response(200, content=(answers or {}).get(request.url.host, b"something else"))

    return WeightStore(tmp_path / "models", mirror, httpx.MockTransport(answer))


def test_installing_downloads_from_the_first_address_that_gives_the_file(tmp_path: Path) -> None:
    here = store(tmp_path, {"two.example": CONTENT})
    assert here.find(WEIGHTS) is None
    assert not here.installed(PACK)
    steps = []
    here.install(PACK, progress=lambda *step: steps.append(step))
    assert here.read(WEIGHTS) == CONTENT
    assert here.installed(PACK)
    assert steps


def archived(content: bytes, **changes: Any) -> tuple[dict[str, bytes], Manifest]:
    """Return an archive with one file, and a pack with weights from this archive only."""
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        archive.writestr("net.onnx", content)
    whole = stored.getvalue()
    pinned: dict[str, Any] = {"sha256": hashlib.sha256(whole).hexdigest(), "bytes": len(whole), "member": "net.onnx"}
    weights = replace(WEIGHTS, urls=(), archive=Archive(url=ARCHIVE_URL, **pinned | changes))
    return {"three.example": whole}, replace(PACK, weights=(weights,))


def test_weights_are_taken_out_of_an_archive(tmp_path: Path) -> None:
    answers, pack = archived(CONTENT)
    here = store(tmp_path, answers)
    here.install(pack)
    assert here.read(pack.weights[0]) == CONTENT
    assert {path for path in here.models_dir.rglob("*") if path.is_file()} == {here.find(WEIGHTS)}


@pytest.mark.parametrize(
    ("content", "changes", "complaint"),
    [
        (CONTENT[::-1], {}, r"net\.onnx in https://three\.example/nets\.zip is not the pinned file"),
        (CONTENT, {"member": "other.onnx"}, r"does not contain other\.onnx"),
        (CONTENT, {"sha256": "0" * 64}, "download was deleted"),
    ],
)
def test_an_archive_that_is_another_leaves_nothing(
    tmp_path: Path, content: bytes, changes: dict[str, str], complaint: str
) -> None:
    answers, pack = archived(content, **changes)
    here = store(tmp_path, answers)
    with pytest.raises(SetupError, match=complaint):
        here.install(pack)
    assert not [path for path in here.models_dir.rglob("*") if path.is_file()]


def test_what_cannot_be_had_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="LIKENESS_MODELS_MIRROR") as caught:
        store(tmp_path).install(PACK)
    assert WEIGHTS.sha256 in str(caught.value)
    with pytest.raises(SetupError, match=r"is not available: no address is known for it\. Put the file"):
        store(tmp_path).install(replace(PACK, weights=(replace(WEIGHTS, urls=()),)))
    with pytest.raises(SetupError, match="packs install"):
        store(tmp_path).read(WEIGHTS)


def test_the_cause_ends_before_what_to_do(tmp_path: Path) -> None:
    def answer(request: Request) -> Response:
        if request.url.host == "one.example":
            raise httpx.ConnectError("no route to host")
        return httpx.Response(200, content=b"something else")

    with pytest.raises(SetupError) as caught:
        WeightStore(tmp_path, transport=httpx.MockTransport(answer)).install(PACK)
    assert "no route to host; https://two.example/net.onnx did not give" in str(caught.value)
    assert "deleted. Put the file into the mirror folder" in str(caught.value)
    with pytest.raises(SetupError, match=r"no route to host\. Put the file into the mirror folder"):
        WeightStore(tmp_path, transport=httpx.MockTransport(answer)).install(
            replace(PACK, weights=(replace(WEIGHTS, urls=WEIGHTS.urls[:1]),))
        )


def test_the_mirror_is_searched_by_name_and_hash_and_copied_on_installing(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    for folder, content in (("old", b"an older version..."), ("new", CONTENT)):
        (mirror / folder).mkdir(parents=True)
        (mirror / folder / "net.onnx").write_bytes(content)
    here = store(tmp_path, mirror=mirror)
    assert here.find(WEIGHTS) == mirror / "new" / "net.onnx"
    here.install(PACK)
    assert WeightStore(tmp_path / "models").read(WEIGHTS) == CONTENT


def test_a_file_that_was_changed_on_disk_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    here = store(tmp_path, {"one.example": CONTENT})
    here.install(PACK)
    found = here.find(WEIGHTS)
    found.write_bytes(CONTENT[::-1])
    assert here.find(WEIGHTS) is None
    with pytest.raises(SetupError):
        here.read(WEIGHTS)
    assert "not the pinned file" in caplog.text


def test_weights_of_installed_packages_are_found_without_importing_them(tmp_path: Path) -> None:
    licence = replace(WEIGHTS, package="numpy", package_path="numpy/__init__.py", urls=())
    here = store(tmp_path)
    assert here.find(licence) is None
    content = next(path for path in here._candidates(licence)).read_bytes()
    pinned = replace(licence, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    assert here.find(pinned).name == "__init__.py"
    assert here.find(replace(pinned, package="no-such-package")) is None


def test_what_runs_is_made_of_verified_bytes_whatever_else_lies_there(tmp_path: Path) -> None:
    here = store(tmp_path, {"one.example": CONTENT})
    here.install(PACK)
    assert here.read_as(WEIGHTS, bytes.upper) == CONTENT.upper()
    assert {path for path in here.models_dir.rglob("*") if path.is_file()} == {here.find(WEIGHTS)}
    here.find(WEIGHTS).write_bytes(b"another network's ws")
    with pytest.raises(SetupError, match="packs install"):
        here.read_as(WEIGHTS, bytes.upper)


@pytest.mark.parametrize(
    "limits",
    [
        {"commercial_use": False},
        {"licences": replace(WEIGHTS.licences, weights="unclear: two files say two things")},
        {"licences": replace(WEIGHTS.licences, code="unclear: two files say two things")},
    ],
)
def test_what_is_not_free_or_unclear_is_accepted_by_name_once(
    tmp_path: Path, limits: dict[str, bool] | dict[str, Licences]
) -> None:
    limited = replace(PACK, weights=(replace(WEIGHTS, **limits),))
    here = store(tmp_path, {"one.example": CONTENT})
    with pytest.raises(SetupError, match=r"net\.onnx.*install own --accept net\.onnx"):
        here.install(limited)
    assert here.find(WEIGHTS) is None
    with pytest.raises(SetupError, match="no file named other"):
        here.install(limited, accept=["net.onnx", "other"])
    here.install(limited, accept=["net.onnx"])
    here.install(limited)
    assert here.installed(limited)


def test_what_was_accepted_is_this_file_alone(tmp_path: Path) -> None:
    here = store(tmp_path, {"one.example": CONTENT})
    here.install(replace(PACK, weights=(replace(WEIGHTS, commercial_use=False),)), accept=["net.onnx"])
    newer = replace(WEIGHTS, commercial_use=False, sha256="0" * 64)
    with pytest.raises(SetupError, match="--accept"):
        here.install(replace(PACK, weights=(newer,)))


def test_training_data_that_nobody_names_is_reported_and_not_asked_about(tmp_path: Path) -> None:
    unclear = replace(WEIGHTS, licences=replace(WEIGHTS.licences, training_data="unclear: withdrawn"))
    store(tmp_path, {"one.example": CONTENT}).install(replace(PACK, weights=(unclear,)))


def test_models_are_readable_for_the_user_that_serves_them(tmp_path: Path) -> None:
    here = store(tmp_path, mirror=tmp_path / "mirror")
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "net.onnx").write_bytes(CONTENT)
    here.install(PACK)
    files = [path for path in here.models_dir.rglob("*") if path.is_file()]
    assert len(files) == 1
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o644}


def test_a_file_that_cannot_be_read_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here = store(tmp_path, {"one.example": CONTENT})
    here.install(PACK)

    def refuse(path: Path) -> None:
        raise PermissionError(path)

    monkeypatch.setattr("likeness.engine.packs.store.file_sha256", refuse)
    assert not here.installed(PACK)
    assert "cannot be read" in caplog.text


def test_a_file_that_is_no_model_is_reported_by_its_name(tmp_path: Path) -> None:
    here = store(tmp_path, {"one.example": CONTENT})
    here.install(PACK)

    def parse(content: bytes) -> bytes:
        raise ValueError("no protobuf")

    with pytest.raises(SetupError, match=r"net\.onnx does not match its manifest: no protobuf"):
        here.read_as(WEIGHTS, parse)


def test_a_store_without_downloads_says_which_setting_forbids_them(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        pytest.fail(f"it asked for {request.url}")

    with pytest.raises(SetupError, match="LIKENESS_EGRESS forbids the download"):
        WeightStore(tmp_path, transport=httpx.MockTransport(answer), downloads=False).install(PACK)
