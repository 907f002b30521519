"""Every installed package is pinned by version and hash."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

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
