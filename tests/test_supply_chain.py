"""Every installed package is pinned by version and hash, and is in the bill of materials with its licence."""

import importlib.resources
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def read(name: str) -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / name).read_text())


def test_every_locked_package_has_hashes() -> None:
    packages = [package for package in read("uv.lock")["package"] if "editable" not in package["source"]]
    assert len(packages) > 100
    for package in packages:
        files = [*package.get("wheels", []), *filter(None, [package.get("sdist")])]
        assert files, package["name"]
        assert all(file["hash"].startswith("sha256:") for file in files), package["name"]


def test_every_node_package_has_its_hash_and_one_version() -> None:
    folder = REPOSITORY / "tests" / "conformance"
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
    locked = json.loads((folder / "package-lock.json").read_text())["packages"]
    assert all(package["integrity"].startswith("sha512-") for name, package in locked.items() if name)


def test_the_build_tool_has_one_version() -> None:
    assert all("==" in each for each in read("pyproject.toml")["build-system"]["requires"])


def test_everything_is_installed_as_locked() -> None:
    makefile, check = (REPOSITORY / "Makefile").read_text(), (REPOSITORY / ".ci" / "run").read_text()
    synced = [line for line in makefile.splitlines() if " sync " in line]
    assert synced
    assert all("--locked" in line for line in synced)
    assert "npm ci" in check
    assert "--require-hashes" in (REPOSITORY / "scripts" / "bootstrap_uv.py").read_text()
    assert "latest" not in makefile + check


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, REPOSITORY / "scripts" / "write_sbom.py", folder], check=True)
    return folder


def schema(name: str) -> Any:
    """Give one of CycloneDX' own schemas, by its name or its address."""
    bare = name.rpartition("/")[2].partition(".SNAPSHOT")[0]
    return json.loads(
        (importlib.resources.files("cyclonedx.schema") / "_res" / f"{bare}.SNAPSHOT.schema.json").read_text()
    )


def test_the_bill_of_materials_is_valid_and_has_every_package_and_every_weight(dist: Path) -> None:
    made = json.loads((dist / "sbom.json").read_text())
    jsonschema_rs.validator_for(schema("bom-1.5"), retriever=schema).validate(made)
    locked = {package["name"]: package for package in read("uv.lock")["package"]}
    names = {component["name"] for component in made["components"]}
    product = locked["likeness-server"]
    extras = product["optional-dependencies"].values()
    assert {each["name"] for some in (product["dependencies"], *extras) for each in some} <= names
    hashes = {each["content"] for component in made["components"] for each in component.get("hashes", ())}
    manifests = (REPOSITORY / "src" / "likeness" / "engine" / "packs" / "manifests").glob("*.json")
    pinned = {weights["sha256"] for file in manifests for weights in json.loads(file.read_text())["weights"]}
    assert len(pinned) > 5
    assert pinned < hashes  # the product's own model is there, too
    assert "pytest" not in names


def test_the_licence_list_names_the_licences_of_packages_and_of_weights(dist: Path) -> None:
    rows = dict(re.findall(r"\| (\S+) \| \S+ \| (.+) \|", (dist / "licences.md").read_text()))
    assert rows["cryptography"] == "Apache-2.0 OR BSD-3-Clause"
    assert "non-commercial" in rows["w600k_r50.onnx"]
    assert "unstated" not in {row for name, row in rows.items() if "." not in name}


@pytest.mark.parametrize("licence", ["unstated", "GPL-3.0-only", "GNU Affero General Public License v3"])
def test_a_package_without_a_usable_licence_ends_the_check(licence: str) -> None:
    program = (
        "import sys; sys.path.append('scripts'); from write_sbom import faults, named;"
        f"print(*faults({{'components': [{{'name': 'x', 'type': 'library', 'licenses': [named({licence!r})]}}]}}))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == f"x: {licence}\n"
