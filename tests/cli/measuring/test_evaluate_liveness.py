"""The evaluate-liveness command."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from likeness.cli.measuring import evaluate_liveness
from likeness.engine.fake import fake_photo
from likeness.evaluation.liveness.photos import FUSED, ModelRates
from likeness.evaluation.liveness.rates import PresentationOutcome, tally


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
