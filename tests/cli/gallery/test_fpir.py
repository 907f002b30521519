"""``likeness gallery fpir`` beside a running server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from likeness.cli import app
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.errors import SetupError
from likeness.evaluation.gallery_fpir import FEWEST_ENTRIES
from likeness.gallery.decision import decide
from likeness.gallery.fpir.known import FRESH_SECONDS
from likeness.gallery.fpir.measurement import MeasurementRepository
from servers import Api, Server, calling, serving, test_settings

SIZE = (160, 120)
NEW = fake_photo(999, size=SIZE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving(test_settings(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def api(server: Server) -> Iterator[Api]:
    """Give a caller whose gallery has one person twice."""
    with calling(server) as caller:
        photos = [*(fake_photo(person, size=SIZE) for person in range(FEWEST_ENTRIES)), fake_photo(0, size=SIZE)]
        for photo in photos:
            caller.insert(photo)
        yield caller


@pytest.fixture(autouse=True)
def environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LIKENESS_DATA_DIR": str(folder), "LIKENESS_PACK": "fake", "COLUMNS": "200"}.items():
        monkeypatch.setenv(name, value)


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["gallery", "fpir", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_searches_answer_what_was_measured(server: Server, api: Api, tmp_path: Path) -> None:
    before = api.search(NEW).json()["decision"]
    assert before["measuredOn"] == "calibration"
    said = run("--tenant", api.tenant.name, "--json", tmp_path / "fpir.json")
    assert "101 searches among 101 entries, fake@1; 1 pairs set apart" in said
    assert "Recorded" in said
    server.clock.move(FRESH_SECONDS)
    found = api.search(NEW).json()
    measurement = server.deployment.database.read_now(MeasurementRepository(api.tenant.id).find)
    assert measurement is not None
    calibration, size = FakeEngine.calibration, found["gallerySize"]
    shown = measurement.curve(measurement.pack, calibration, size=size)
    expected = decide(calibration, api.tenant.settings, level=None, size=size, shown=shown)
    assert found["decision"]["measuredOn"] == "gallery"
    assert found["decision"]["expectedFpir"] == pytest.approx(expected.expected_fpir)
    assert found["decision"]["expectedFpir"] != pytest.approx(before["expectedFpir"])
    written = json.loads((tmp_path / "fpir.json").read_text())
    assert [level["level"] for level in written["levels"]] == [1, 2, 3, 4, 5]
    assert len(written["points"]) == len(measurement.points)


def test_a_measurement_can_be_only_printed_and_on_some_entries(server: Server, api: Api) -> None:
    rows = MeasurementRepository(api.tenant.id)
    before = server.deployment.database.read_now(rows.find)
    said = run("--tenant", api.tenant.name, "--no-record", "--searches", FEWEST_ENTRIES)
    assert f"{FEWEST_ENTRIES} searches among 101 entries" in said
    assert "Recorded" not in said
    assert server.deployment.database.read_now(rows.find) == before


def test_duplicates_are_those_of_the_table(api: Api, tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    CliRunner().invoke(app, ["gallery", "dedupe", "--tenant", api.tenant.name, "--csv", str(table)])
    assert "1 pairs set apart" in run("--tenant", api.tenant.name, "--duplicates", table, "--no-record")
    table.write_text(table.read_text().splitlines()[0] + "\n")
    said = run("--tenant", api.tenant.name, "--duplicates", table, "--no-record")
    assert "0 pairs set apart" in said
    assert "1.98 %" in said  # the same person twice now finds itself, at every level
    table.write_text("first,second\nnobody,nothing\n")
    with pytest.raises(SetupError, match="names no entry"):
        run("--tenant", api.tenant.name, "--duplicates", table)
    table.write_text("one,other\na,b\n")
    with pytest.raises(SetupError, match="`first` and `second`"):
        run("--tenant", api.tenant.name, "--duplicates", table)


def test_too_few_entries_are_refused(server: Server) -> None:
    with calling(server) as other:
        other.insert(NEW)
        with pytest.raises(SetupError, match="has 1 entries"):
            run("--tenant", other.tenant.name)
