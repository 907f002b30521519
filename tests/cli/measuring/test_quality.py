"""``likeness quality``."""

import importlib.util
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from likeness.cli import app
from likeness.engine.fake import fake_photo
from likeness.errors import SetupError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LIKENESS_PACK", "fake")
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


def photo(folder: Path, name: str, content: bytes) -> Path:
    file = folder / name
    file.write_bytes(content)
    return file


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_every_photo_is_reported_and_written(folder: Path) -> None:
    good, dark = photo(folder, "good.jpg", fake_photo(1)), photo(folder, "dark.jpg", fake_photo(1, dim=True))
    report = folder / "report.json"
    done = run("quality", good, dark, "--use", "enrol", "--json", report)
    assert done.exit_code == 0
    assert f"{good}: quality 90, good enough as enrol" in done.output
    assert f"{dark}: quality 10, refused as enrol: UnderExposurePrevention" in done.output
    assert "by landmarks" not in done.output
    written = json.loads(report.read_text())
    assert (written["pack"], written["use"]) == ("fake@1", "enrol")
    first, second = written["photos"]
    assert (first["photo"], first["score"], first["reasons"]) == (str(good), 90, [])
    assert first["measures"]["UnderExposurePrevention"]["scalar"] == 90
    assert (first["landmarkMeasures"], first["facePresence"]) == ({}, None)
    assert second["reasons"] == ["UnderExposurePrevention"]
    assert first["measures"]["SingleFacePresent"]["scalar"] == 100
    assert second["measures"]["LuminanceMean"]["raw"] < first["measures"]["LuminanceMean"]["raw"]
    assert "BackgroundUniformity" in written["notMeasured"]


def test_a_photo_without_a_face_is_reported_and_the_others_go_on(folder: Path) -> None:
    wall, text = photo(folder, "wall.jpg", fake_photo(1, faces=0)), photo(folder, "notes.txt", b"no photo")
    good, report = photo(folder, "good.jpg", fake_photo(1)), folder / "report.json"
    done = run("quality", wall, text, good, "--json", report)
    assert done.exit_code == 1
    assert f"{wall}: NO_FACE: " in done.output
    assert f"{good}: quality 90" in done.output
    errors = [entry.get("error") for entry in json.loads(report.read_text())["photos"]]
    assert errors == ["NO_FACE", "UNSUPPORTED_MEDIA_TYPE", None]


def test_a_file_that_is_not_there_is_reported(folder: Path) -> None:
    with pytest.raises(SetupError, match=r"absent\.jpg cannot be read"):
        run("quality", folder / "absent.jpg")


@pytest.mark.data
def test_landmarks_add_their_columns_once_installed(folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("scikit-image, which ships the portrait, is not installed")
    portrait, report = Path(spec.submodule_search_locations[0], "data", "astronaut.png"), folder / "report.json"
    monkeypatch.setenv("LIKENESS_MODELS_MIRROR", str(data / "models"))
    arguments = ("quality", portrait, "--pack", "builtin", "--json", report)
    assert "by landmarks" not in run(*arguments).output
    assert "is installed" in run("packs", "install", "face-landmarks").output
    done = run(*arguments)
    assert "scalar by landmarks" in done.output
    (written,) = json.loads(report.read_text())["photos"]
    by_landmarks = written["landmarkMeasures"]
    assert by_landmarks["EyesOpen"]["scalar"] > 95
    assert by_landmarks["MouthClosed"]["scalar"] > 60
    assert by_landmarks["InterEyeDistance"]["raw"] == pytest.approx(41.5, abs=2)
    assert abs(by_landmarks["HeadPoseYaw"]["raw"]) < 10
    assert written["facePresence"] > 0.99
    assert "EyesOpen" not in written["measures"]
