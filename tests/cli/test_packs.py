"""``likeness packs ...``."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from likeness.cli import app
from likeness.deployment import Deployment, initialise, open_deployment
from likeness.engine.packs.identity import PackId
from likeness.errors import SetupError
from likeness.gallery.pack_files import PackFiles
from likeness.gallery.served_pack import load_pack
from likeness.settings import Settings


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


@pytest.fixture
def deployment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    monkeypatch.setenv("LIKENESS_PACK", "fake")
    run("install", "builtin")
    initialise(Settings())
    with closing(open_deployment(Settings())) as deployment:
        yield deployment


def calibration(folder: Path, content: str = "{}", *, pack: str = "builtin", name: str = "calibration.json") -> Path:
    file = folder / "models" / "packs" / pack / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


@pytest.mark.parametrize("harm", ["added", "changed", "removed", "swapped"])
def test_a_calibration_that_another_hand_changed_is_noticed_and_serves_nothing(
    folder: Path, deployment: Deployment, harm: str
) -> None:
    file = folder / "models" / "packs" / "builtin" / "calibration.json"
    other = calibration(folder, "[2]", pack="other")
    if harm != "added":
        calibration(folder)
    load_pack(deployment, PackId("fake"))  # the first start accepts the present files
    right = file.read_bytes() if file.exists() else None
    if harm == "removed":
        file.unlink()
    elif harm == "swapped":
        file.write_bytes(other.read_bytes())
    else:
        calibration(folder, "[1]")
    with pytest.raises(SetupError, match=r"builtin/calibration\.json.*--accept"):
        load_pack(deployment, PackId("fake"))
    if right is None:
        file.unlink()
    else:
        file.write_bytes(right)
    load_pack(deployment, PackId("fake"))


def test_a_changed_calibration_is_reported_by_verify_and_taken_with_accept(
    folder: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_pack(deployment, PackId("fake"))
    monkeypatch.setattr("likeness.engine.packs.catalogue.read_calibration", lambda _: None)
    calibration(folder)
    calibration(folder, pack="other")
    with pytest.raises(SetupError, match=r"builtin/calibration\.json"):
        run("verify", "builtin")
    run("verify", "builtin", "--accept")
    run("verify", "builtin")
    with pytest.raises(SetupError, match=r"accepted: other/calibration\.json"):
        load_pack(deployment, PackId("fake"))


def test_the_folder_is_read_once_when_a_pack_is_loaded(
    folder: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibration(folder)
    codes, readings = PackFiles.codes, list[dict[str, str]]()

    def counted(files: PackFiles) -> dict[str, str]:
        readings.append(codes(files))
        return readings[-1]

    monkeypatch.setattr(PackFiles, "codes", counted)
    for start in (1, 2):
        load_pack(deployment, PackId("fake"))
        assert [list(each) for each in readings] == [["builtin/calibration.json"]] * start


def test_what_was_accepted_is_no_plain_hash(folder: Path, deployment: Deployment) -> None:
    """A person who can only write to the database cannot make the code of another file."""
    calibration(folder)
    (code,) = PackFiles(deployment).codes().values()
    others = [initialised(folder.parent / name) for name in ("first", "second")]
    assert len({code, *others}) == 3


def initialised(folder: Path) -> str:
    settings = Settings(data_dir=folder)
    initialise(settings)
    calibration(folder)
    with closing(open_deployment(settings)) as deployment:
        (code,) = PackFiles(deployment).codes().values()
        return code
