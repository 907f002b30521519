"""The packs commands."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from likeness.cli import app
from likeness.errors import SetupError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("LIKENESS_MODELS_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["packs", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_list_and_show() -> None:
    listed = run("list")
    assert {"builtin", "best", "fast"} <= set(listed.split())
    shown = run("show", "builtin")
    assert "stated: Apache-2.0" in shown
    assert "SHA-256" in shown
    with pytest.raises(SetupError, match="no model pack named"):
        run("show", "nothing")


def test_builtin_can_always_be_had_and_is_verified() -> None:
    assert "installed" in run("install", "builtin")
    assert "pinned hashes" in run("verify", "builtin")


def test_weights_that_are_not_free_are_accepted_by_name() -> None:
    with pytest.raises(SetupError, match=r"--accept w600k_r50\.onnx"):
        run("install", "buffalo_l")
    with pytest.raises(SetupError, match="no file named"):
        run("install", "buffalo_l", "--accept", "everything")


def test_a_missing_or_altered_file_fails_the_check(folder: Path, data: Path) -> None:
    with pytest.raises(SetupError, match="missing or altered"):
        run("verify", "fast")
    mirror = folder / "mirror"
    mirror.mkdir()
    for name in ("face-reidentification-retail-0095.bin", "mobilefacenet/MobileFaceNet.onnx"):
        (mirror / Path(name).name).write_bytes((data / "models" / name).read_bytes())
    assert "installed" in run("install", "fast")
    assert "pinned hashes" in run("verify", "fast")
    for copy in folder.rglob("*MobileFaceNet.onnx"):
        copy.chmod(0o600)
        copy.write_bytes(copy.read_bytes()[:-1] + b"x")
    with pytest.raises(SetupError, match="MobileFaceNet"):
        run("verify", "fast")
