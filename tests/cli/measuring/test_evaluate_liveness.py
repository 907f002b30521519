"""The evaluate-liveness command."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from likeness.cli.measuring import evaluate_liveness
from likeness.cli.measuring.recordings import calibrate_liveness
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.errors import SetupError
from likeness.evaluation.liveness.photos import FUSED, ModelRates
from likeness.evaluation.liveness.rates import PresentationOutcome, tally
from likeness.evaluation.liveness.recordings.recorder import RecordedCheck
from likeness.evaluation.liveness.recordings.recording import Label, RecordingFolder
from likeness.liveness.attempt.script import LivenessMode, draw_script
from likeness.liveness.base import DeclaredCamera, Frame


def test_a_narrow_terminal_cuts_no_name_of_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for setting, value in (("LIKENESS_DATA_DIR", tmp_path / "data"), ("LIKENESS_PACK", "fake"), ("COLUMNS", 80)):
        monkeypatch.setenv(setting, str(value))
    names = ("minifasnet-80", "minifasnet-128", FUSED)
    outcomes = [PresentationOutcome(accepted=each < 8, responded=True) for each in range(27)]
    live, attacks = (tally("photo", outcomes, bona_fide=bona_fide) for bona_fide in (True, False))
    rates = tuple(ModelRates(name, 0.3, live, attacks, 0.1) for name in names)
    monkeypatch.setattr(evaluate_liveness, "measure_photos", lambda *_, **__: rates)
    (tmp_path / "photo.jpg").write_bytes(fake_photo(1))
    app = typer.Typer()
    app.command()(evaluate_liveness.evaluate_liveness)
    said = CliRunner().invoke(app, ["--real", str(tmp_path), "--fake", str(tmp_path)], catch_exceptions=False).output
    assert all(name in said for name in names)
    assert "…" not in said


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordingFolder:
    """Give a folder of three attempts on the fake pack, all without a response."""
    for setting, value in (("LIKENESS_DATA_DIR", tmp_path / "data"), ("LIKENESS_PACK", "fake"), ("COLUMNS", 160)):
        monkeypatch.setenv(setting, str(value))
    folder, engine = RecordingFolder.open(tmp_path / "recordings", make=True), FakeEngine()
    for kind, simulated in (("bona_fide", False), ("print", False), ("print", True)):
        label = Label(kind, simulated=simulated)
        check = RecordedCheck(engine, draw_script(LivenessMode.ACTIVE), DeclaredCamera(), label, None, folder.add)
        for number in range(3):
            data = fake_photo(1, variation=number)
            check.observe(Frame(engine.decode(data), number / 10, data))
        check.tick(30.0)
    return folder


def run(*arguments: str) -> str:
    app = typer.Typer()
    app.command("evaluate-liveness")(evaluate_liveness.evaluate_liveness)
    app.command("calibrate-liveness")(calibrate_liveness)
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False).output


def test_recordings_are_judged_again_and_reported(recordings: RecordingFolder, tmp_path: Path) -> None:
    files = {name: tmp_path / f"report.{name}" for name in ("json", "html")}
    outputs = [part for name, file in files.items() for part in (f"--{name}", str(file))]
    said = run("evaluate-liveness", str(recordings.folder), "--bpcer", "0.1", "--workers", "1", *outputs)
    assert "RECORDED attempts" in said
    assert "SIMULATED attempts" in said
    assert "2 of 2 recordings gave the same verdict, bit for bit." in said
    report = json.loads(files["json"].read_text())
    real, simulated = report["parts"]
    assert [(row["kind"], row["nonResponseRate"]) for row in real["rates"]] == [("bona_fide", 1.0), ("print", 1.0)]
    assert (simulated["simulated"], simulated["recordings"]) == (True, 1)
    page = files["html"].read_text()
    assert page.index("Recordings of people and attacks") < page.index("SIMULATED attempts")
    assert "An operating point needs 10 bona fide recordings" in page


def test_thresholds_never_rest_on_both(recordings: RecordingFolder, tmp_path: Path) -> None:
    out = tmp_path / "thresholds.json"
    with pytest.raises(SetupError, match="two folders"):
        run("calibrate-liveness", str(recordings.folder), "--bpcer", "0.1", "--out", str(out), "--workers", "1")
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("calibrate-liveness", "{recordings}", "--out", "x"), "wanted rate"),
        (("calibrate-liveness", "{recordings}", "--out", "x", "--bpcer", "0.1", "--apcer", "0.1"), "not both"),
        (("evaluate-liveness", "{recordings}", "--key", "nowhere"), "no key"),
        (("evaluate-liveness", "{empty}", "--bpcer", "0.1"), "need a folder of recordings"),
    ],
)
def test_options_that_cannot_be_are_told(
    recordings: RecordingFolder, tmp_path: Path, arguments: tuple[str, ...], fault: str
) -> None:
    places = {"recordings": str(recordings.folder), "empty": str(tmp_path)}
    with pytest.raises(SetupError, match=fault):
        run(*(argument.format(**places) for argument in arguments))
