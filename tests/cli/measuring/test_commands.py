"""The calibrate and evaluate commands, on painted faces."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner

from likeness.cli.measuring.calibrate import calibrate
from likeness.cli.measuring.evaluate import evaluate
from likeness.cli.measuring.photos import load_pack, open_cache
from likeness.deployment import initialise, open_deployment
from likeness.engine.base import Face, Use
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.engine.packs.catalogue import Catalogue
from likeness.engine.packs.identity import PackId
from likeness.engine.policy import FacePolicy
from likeness.errors import SetupError
from likeness.evaluation.recognition import calibration as thresholds
from likeness.evaluation.recognition.conditions import extract_conditions
from likeness.evaluation.recognition.outcomes import FailureToAcquire
from likeness.evaluation.recognition.template_cache import TemplateCache
from likeness.evaluation.recognition.treatments import AS_IT_IS, TREATMENTS
from likeness.gallery.served_pack import load_served_engine
from likeness.settings import Settings

app = typer.Typer()
app.command()(calibrate)
app.command()(evaluate)


@pytest.fixture(autouse=True)
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LIKENESS_PACK", "fake")
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    for person in range(12):
        for shot in range(1, 3):
            file = folder / f"Person_{person}" / f"Person_{person}_{shot:04}.jpg"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(fake_photo(person, variation=shot, dim=(person, shot) == (3, 2), size=(200, 150)))
    return folder


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_evaluate_tells_writes_and_draws(faces: Path, tmp_path: Path) -> None:
    pairs, labels = tmp_path / "pairs.txt", tmp_path / "labels.csv"
    pairs.write_text(
        "".join(f"Person_{p} 1 2\n" for p in range(12)) + "".join(f"Person_{p} 1 Person_{p + 1} 2\n" for p in range(11))
    )
    labels.write_text("photo,age\n" + "".join(f"Person_{p},{'old' if p < 6 else 'young'}\n" for p in range(12)))
    numbers, page = tmp_path / "report.json", tmp_path / "report.html"
    said = run(
        "evaluate", faces, "--pairs", pairs, "--groups", labels, "--json", numbers, "--html", page, "--workers", 2
    )
    assert "24 photos of 12 people, 11 genuine and 242 impostor comparisons" in " ".join(said.split())
    assert "levels in force" in said
    assert "LOW_QUALITY: UnderExposurePrevention 1" in said
    assert "accuracy on pairs   100 %" in said
    table = {line.split("  ")[1]: line for line in said.splitlines() if line.startswith(("  all photos", "  age: "))}
    assert list(table) == ["all photos", "age: old", "age: young"]
    assert "too few" in said
    report = json.loads(numbers.read_text())
    assert report["pack"] == "fake@1"
    assert report["pairs"] == {"accuracy": 1.0, "standardError": 0.0, "genuine": 11, "impostor": 10}
    assert report["levels"][0]["fnmr"]["value"] == 0
    assert page.read_text().count("data:image/jpeg") == 46


def test_evaluate_compares_with_several_photos_of_a_person(tmp_path: Path) -> None:
    for person in range(3):
        for shot in range(3):
            file = tmp_path / "faces" / str(person) / f"{shot}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(fake_photo(person, variation=shot, size=(200, 150)))
    numbers = tmp_path / "report.json"
    said = run("evaluate", tmp_path / "faces", "--references", 2, "--json", numbers)
    assert "2, mean of the scores" in " ".join(said.split())
    found = json.loads(numbers.read_text())["references"]
    assert [(one["references"], one["people"]) for one in found] == [(1, 3), (1, 3), (2, 3), (2, 3)]


def test_evaluate_leaves_pictures_out_when_asked_to(faces: Path, tmp_path: Path) -> None:
    run("evaluate", faces, "--html", tmp_path / "page.html", "--no-pictures")
    assert "data:image" not in (tmp_path / "page.html").read_text()


def test_evaluate_tells_whether_the_levels_hold_for_bad_photos(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {name: TREATMENTS[name] for name in (AS_IT_IS, "mirrored", "dark 1/40")}
    monkeypatch.setattr(
        extract_conditions, "__kwdefaults__", (extract_conditions.__kwdefaults__ or {}) | {"table": few}
    )
    numbers, page = tmp_path / "report.json", tmp_path / "report.html"
    said = run("evaluate", faces, "--conditions", "--condition-photos", 20, "--json", numbers, "--html", page)
    assert "mirrored" in said
    rows = {row["condition"]: row for row in json.loads(numbers.read_text())["conditions"]}
    assert list(rows) == list(few)
    assert rows[AS_IT_IS]["alike"][2]["holds"]
    assert rows["mirrored"]["againstClean"][2]["fnmr"]["value"] == 1
    assert rows["dark 1/40"]["failures"] == {"LOW_QUALITY: UnderExposurePrevention": 19}
    assert rows["dark 1/40"]["refusals"] == {"UnderExposurePrevention": {"photos": 19, "alone": 19}}
    assert "why photos are refused" in said
    assert "<td>dark 1/40</td><td>100 %</td>" in page.read_text()


def test_groups_may_have_any_name(faces: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("photo,age\n" + "".join(f"Person_{p},[/b]\n" for p in range(12)))
    assert "[/b]" in run("evaluate", faces, "--groups", labels)
    labels.write_text('photo,age\nPerson_1,"open\n')
    with pytest.raises(SetupError, match="line 2"):
        run("evaluate", faces, "--groups", labels)


def test_a_report_that_cannot_be_written_leaves_the_last(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = tmp_path / "report.json"
    run("evaluate", faces, "--json", numbers)
    before = numbers.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("likeness.kit.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        run("evaluate", faces, "--json", numbers)
    assert numbers.read_bytes() == before
    for files in ((tmp_path, tmp_path / "a"), (tmp_path / "a", tmp_path / "a")):
        with pytest.raises(SetupError, match=r"folder|the same"):
            run("evaluate", faces, "--json", files[0], "--html", files[1])


def test_the_cache_spares_the_work(faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run("evaluate", faces, "--cache", tmp_path / "cache", "--json", tmp_path / "1.json")
    monkeypatch.delattr(FakeEngine, "analyse")
    assert (
        run("evaluate", faces, "--cache", tmp_path / "cache", "--json", tmp_path / "2.json").splitlines()[1:-1]
        == (first.splitlines()[1:-1])
    )
    assert (tmp_path / "1.json").read_text() == (tmp_path / "2.json").read_text()


def test_refusals_of_jpeg_2000_are_forgotten_once_it_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cache() -> TemplateCache:
        opened = open_cache(FakeEngine(), tmp_path, Use.PROBE, FacePolicy.LARGEST)
        assert opened is not None
        return opened

    refusing = cache()
    refusing.put(b"a photo", FailureToAcquire("UNSUPPORTED_MEDIA_TYPE"))
    refusing.save()
    assert cache().get(b"a photo") is not None
    monkeypatch.setenv("LIKENESS_JPEG2000", "true")
    assert cache().get(b"a photo") is None


def test_calibrate_asks_for_enough_people_before_the_work(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(FakeEngine, "analyse")
    with pytest.raises(SetupError, match="level 5 needs 1,415"):
        run("calibrate", faces)


def test_calibrate_tells_and_writes_only_when_asked_to(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thresholds, "FEWEST_PEOPLE", (2,) * 5)
    said = run("calibrate", faces, "--splits", 2)
    assert "Nothing was written" in said
    assert "measured on the other half" in said
    assert not (tmp_path / "data").exists()
    out = tmp_path / "calibration.json"
    run("calibrate", faces, "--splits", 0, "--out", out)
    stored = json.loads(out.read_text())
    assert stored["genuine_pairs"] == 11
    assert stored["impostor_pairs"] == 242
    assert stored["pack_version"] == "1"
    assert stored["thresholds"] == sorted(stored["thresholds"])
    assert stored["measured_fmr"][0] <= 1e-2
    assert stored["data_set"].endswith("23 photos of 12 people")


def labelled(tmp_path: Path, groups: dict[int, str]) -> Path:
    file = tmp_path / "labels.csv"
    file.write_text("photo,origin\n" + "".join(f"Person_{person},{group}\n" for person, group in groups.items()))
    return file


def test_calibrate_within_groups_tells_who_decided_and_who_is_too_few(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thresholds, "FEWEST_PEOPLE", (3, 3, 4, 4, 5))
    labels = labelled(tmp_path, {p: "north" if p < 7 else "south" if p < 10 else "west [/b]" for p in range(12)})
    out = tmp_path / "calibration.json"
    said = run("calibrate", faces, "--impostors", "same-group", "--groups", labels, "--splits", 1, "--out", out)
    demands, in_force, new = said.split("FMR over the promise")
    table = {line.split("  ")[1]: line.split() for line in demands.splitlines() if line.startswith("  origin: ")}
    assert list(table) == ["origin: north", "origin: south", "origin: west [/b]"]
    assert table["origin: north"][2] == "7"
    assert "few" not in table["origin: north"]
    assert table["origin: south"].count("few") == 3
    assert table["origin: west [/b]"].count("few") == 5
    assert "the levels in force" in demands
    assert "the new levels" in in_force
    assert all(name in rates for name in table for rates in (in_force, new))
    stored = json.loads(out.read_text())
    assert stored["data_set"].endswith(
        "23 photos of 12 people; each level also holds within origin: north (levels 1 to 5), "
        "origin: south (levels 1 to 2), origin: west [/b] (no level: too few people)"
    )
    assert stored["notes"].count("decided by ") == 5
    decided = [note.rpartition("decided by ")[2] for note in stored["notes"].split("; ")]
    assert all(f"{name}: calibrated on half" in said for name in decided)
    plain = tmp_path / "plain.json"
    run("calibrate", faces, "--splits", 0, "--out", plain)
    assert all(np.array(stored["thresholds"]) >= json.loads(plain.read_text())["thresholds"])


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (None, "add `--groups labels.csv`"),
        (dict.fromkeys(range(11), "north"), r"no 'origin' for 2 photos, such as Person_11/Person_11_0001.jpg"),
        (dict.fromkeys(range(13), "north"), "line 14: .* does not contain 'Person_12'"),
        ({p: str(p % 3) for p in range(12)}, r"largest group \(origin: 0\) has 4 people.*level 5 needs 5"),
    ],
)
def test_groups_that_cannot_be_gone_by_are_reported_before_the_work(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: dict[int, str] | None, message: str
) -> None:
    monkeypatch.setattr(thresholds, "FEWEST_PEOPLE", (2, 2, 2, 4, 5))
    monkeypatch.setenv("LIKENESS_PACK", "none-that-could-be-loaded")
    given = ("--groups", labelled(tmp_path, groups)) if groups else ()
    with pytest.raises(SetupError, match=message):
        run("calibrate", faces, "--impostors", "same-group", *given)


def test_groups_without_a_use_are_reported(faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "FEWEST_PEOPLE", (2,) * 5)
    with pytest.raises(SetupError, match="--impostors same-group"):
        run("calibrate", faces, "--impostors", "all", "--groups", labelled(tmp_path, {0: "north"}))


def blended(
    image: NDArray[np.uint8], _landmarks: NDArray[np.float32], _generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Blend each face with the same second face, so that all look alike, as after a strong blur."""
    common = FakeEngine().decode(fake_photo(77, size=(image.shape[1], image.shape[0]), format="PNG"))
    return (image // 2 + common // 2).astype(np.uint8)


def test_calibrate_under_conditions_tells_which_decided(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thresholds, "FEWEST_PEOPLE", (2,) * 5)
    monkeypatch.setattr(thresholds, "FEWEST_FALSE_MATCHES", 1)
    few = {name: TREATMENTS[name] for name in (AS_IT_IS, "noise 15", "dark 1/40")} | {"blended": blended}
    monkeypatch.setattr(
        extract_conditions, "__kwdefaults__", (extract_conditions.__kwdefaults__ or {}) | {"table": few}
    )
    plain, out = tmp_path / "plain.json", tmp_path / "out.json"
    run("calibrate", faces, "--splits", 0, "--out", plain)
    said = run("calibrate", faces, "--conditions", "--splits", 1, "--out", out)
    table = {line.split("  ")[1]: line.split() for line in said.splitlines() if line.startswith("  ")}
    assert AS_IT_IS not in table
    # 23 photos of 12 people give 242 pairs of different people: enough for level 1 only.
    assert (table["blended"].count("few"), table["noise 15"].count("few"), table["dark 1/40"].count("few")) == (4, 4, 5)
    assert "*" in table["blended"]
    assert "*" not in table["all photos"]
    assert all(f"level {level} is decided by blended" in said for level in (1, 2, 3, 4, 5))
    stored = json.loads(out.read_text())
    assert min(stored["thresholds"]) > max(json.loads(plain.read_text())["thresholds"])
    assert stored["measured_fmr"][0] <= 1e-2
    assert stored["data_set"].endswith(
        "of 3 conditions those with enough pairs: level 1 2, level 2 0, level 3 0, level 4 0, level 5 0)"
    )
    assert stored["notes"].count("decided by blended") == 5


def test_photos_that_no_level_can_be_made_of_are_reported_before_they_are_treated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thresholds, "FEWEST_PEOPLE", (2,) * 5)
    monkeypatch.delattr(FakeEngine, "decode")  # a treatment needs it
    for name, person in (("Ann", 1), ("Anna", 1), ("Ben", 2)):
        for shot in range(2):
            file = tmp_path / "faces" / name / f"{shot}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(fake_photo(person, variation=shot, format="PNG"))
    with pytest.raises(SetupError, match="two names"):
        run("calibrate", tmp_path / "faces", "--conditions")


def test_an_interrupted_calibration_writes_nothing_and_is_taken_up_again(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thresholds, "FEWEST_PEOPLE", (2,) * 5)
    few = {name: TREATMENTS[name] for name in (AS_IT_IS, "noise 15")}
    monkeypatch.setattr(
        extract_conditions, "__kwdefaults__", (extract_conditions.__kwdefaults__ or {}) | {"table": few}
    )
    looks, interrupted_at = 0, 60  # after the 24 untreated photos
    look = FakeEngine.analyse

    def counted(self: FakeEngine, *arguments: Any, **options: Any) -> Face:
        nonlocal looks
        looks += 1
        if looks == interrupted_at:
            raise KeyboardInterrupt
        return look(self, *arguments, **options)

    monkeypatch.setattr(FakeEngine, "analyse", counted)
    out = tmp_path / "calibration.json"
    arguments = ["calibrate", faces, "--conditions", "--splits", 0, "--workers", 1, "--cache", tmp_path, "--out", out]
    assert CliRunner().invoke(app, [str(argument) for argument in arguments]).exit_code == 130
    assert not out.exists()
    first, looks, interrupted_at = looks, 0, 0
    run(*arguments)
    assert out.exists()
    # Each photo is analysed untreated, to find its face, and under two conditions. An interrupted photo starts again.
    assert first + looks <= 24 * 4 + 3


def test_four_levels_leave_the_fifth_to_nobody(faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "FEWEST_PEOPLE", (2, 2, 2, 2, 1000))
    monkeypatch.setattr(FakeEngine, "pack", replace(FakeEngine.pack, id=PackId("builtin")))
    assert "level 5" not in run("calibrate", faces, "--splits", 0, "--levels", 4, "--apply")
    calibration = Catalogue(tmp_path / "data" / "models").get(PackId("builtin")).calibration.calibration
    assert [calibration.level(score) for score in (calibration.threshold(4), 1.0)] == [4, 4]


def test_applied_thresholds_are_in_force(faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "FEWEST_PEOPLE", (2,) * 5)
    # The fake pack has no manifest. So the thresholds are applied to a pack that has one.
    monkeypatch.setattr(FakeEngine, "pack", replace(FakeEngine.pack, id=PackId("builtin")))
    said = run("calibrate", faces, "--splits", 0, "--apply")
    assert "In force" in said
    in_force = Catalogue(tmp_path / "data" / "models").get(PackId("builtin")).calibration
    assert in_force.calibration.data_set.endswith("23 photos of 12 people")
    assert np.all(np.diff(in_force.thresholds) >= 0)


def test_a_pack_that_cannot_be_calibrated_is_refused_before_the_work(
    faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thresholds, "FEWEST_PEOPLE", (2,) * 5)
    monkeypatch.delattr(FakeEngine, "analyse")
    with pytest.raises(SetupError, match="no model pack named 'fake'"):
        run("calibrate", faces, "--apply")


@pytest.mark.parametrize("command", ["calibrate", "evaluate"])
def test_help_teaches(command: str) -> None:
    said = run(command, "--help")
    assert f"likeness {command} faces/" in said
    assert "--groups" in said
    assert "--conditions" in said
    assert Path(__file__).name not in said


def test_help_of_calibrate_shows_a_file_of_groups() -> None:
    said = " ".join(run("calibrate", "--help").split())
    assert "likeness calibrate faces/ --groups labels.csv" in said
    assert "`photo,origin`, `anna,north`" in said


@pytest.mark.parametrize("arguments", [("evaluate", "--json"), ("evaluate", "--html"), ("calibrate", "--out")])
def test_a_file_that_cannot_be_written_is_reported_before_the_work(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, str]
) -> None:
    command, option = arguments
    monkeypatch.setenv("LIKENESS_PACK", "none-that-could-be-loaded")
    with pytest.raises(SetupError, match="no folder"):
        run(command, faces, option, tmp_path / "nowhere" / "file")


def test_the_pack_that_is_served_is_the_one_that_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings()
    initialise(settings)
    with closing(open_deployment(settings)) as made:
        load_served_engine(made)
    monkeypatch.setenv("LIKENESS_PACK", "auto")
    assert load_pack(None).pack.id == "fake"
    assert load_pack("fake-2").pack.id == "fake-2"


@pytest.mark.parametrize("egress", ["none", "webhooks"])
def test_measuring_downloads_no_pack_where_the_settings_forbid_it(monkeypatch: pytest.MonkeyPatch, egress: str) -> None:
    monkeypatch.setenv("LIKENESS_EGRESS", egress)
    with pytest.raises(SetupError, match="LIKENESS_EGRESS forbids the download"):
        load_pack("fast")
