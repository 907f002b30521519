"""Import, export and comparison of many people from the command line."""

import contextlib
import csv
import itertools
import json
import os
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from sqlalchemy import select
from typer.testing import CliRunner

from likeness.cli import app
from likeness.deployment import Deployment, open_deployment
from likeness.engine.analysts.base import Analyst, Analysts, EngineHere, EnginesHere
from likeness.engine.base import Engine, Face
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.engine.policy import FacePolicy
from likeness.errors import NotFound, SetupError
from likeness.gallery.bulk.importing import Importer
from likeness.gallery.entries.entry import Entry
from likeness.gallery.repository import GalleryRepository
from likeness.index.scores import exact_scores
from likeness.kit import repeating
from likeness.settings import Settings
from likeness.store.ownership import owned
from likeness.store.tables import gallery_templates
from servers import wait_until

SIZE = (160, 120)


def photo(person: int, **traits: Any) -> bytes:
    return fake_photo(person, size=SIZE, **traits)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Give a folder: photos 0 and 1 of one person, 2 to 4 of strangers, and three files that are refused."""
    folder = tmp_path / "people"
    (folder / "more").mkdir(parents=True)
    for number, content in enumerate((photo(0), photo(0, variation=1), photo(2), photo(3))):
        (folder / f"{number}.jpg").write_bytes(content)
    (folder / "more" / "4.png").write_bytes(photo(4, format="PNG"))
    (folder / "dim.jpg").write_bytes(photo(5, dim=True))
    (folder / "nobody.jpg").write_bytes(photo(6, faces=0))
    (folder / "note.jpg").write_bytes(b"not a photo")
    (folder / "readme.txt").write_text("not a photo, and skipped")
    return folder


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a data folder with two tenants."""
    for name, value in {"DATA_DIR": tmp_path / "data", "PACK": "fake", "WORKERS": "2"}.items():
        monkeypatch.setenv(f"LIKENESS_{name}", str(value))
    monkeypatch.setenv("COLUMNS", "200")
    run("init")
    run("tenant", "create", "acme")
    run("tenant", "create", "other")
    return tmp_path / "data"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def import_into(tenant: str, source: Path, *options: object) -> str:
    """Import, and check that the exit status shows whether a row was refused."""
    arguments = ["gallery", "import", source, "--tenant", tenant, *options]
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == (0 if "refused 0" in result.stdout else 3), result.output
    return result.stdout


def entries(tenant: str) -> dict[str | None, Entry]:
    deployment: Deployment = open_deployment(Settings())
    rows = GalleryRepository(deployment.tenants.by_name(tenant).id)
    found = deployment.database.read_now(lambda c: rows.page(c, after_key=0, limit=1000))
    deployment.close()
    assert len({entry.external_id for entry in found}) == len(found)
    return {entry.external_id: entry for entry in found}


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_is_enrolled_and_what_is_refused_is_reported(people: Path, tmp_path: Path) -> None:
    refused = tmp_path / "refused.csv"
    output = import_into("acme", people, "--refused", refused)
    assert "enrolled 5, already there 0, refused 3" in output
    assert set(entries("acme")) == {"0.jpg", "1.jpg", "2.jpg", "3.jpg", "more/4.png"}
    assert entries("other") == {}
    reasons = {row["name"]: row["code"] for row in read_csv(refused)}
    assert reasons == {"dim.jpg": "LOW_QUALITY", "nobody.jpg": "NO_FACE", "note.jpg": "UNSUPPORTED_MEDIA_TYPE"}
    assert stat.S_IMODE(refused.stat().st_mode) == 0o600
    assert all(row["message"] for row in read_csv(refused))


def test_photos_are_analysed_by_those_that_the_settings_choose(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[bytes] = []

    class Noting(EngineHere):
        def analyse(self, photo: bytes, **options: Any) -> Face:
            looked_at.append(photo)
            return super().analyse(photo, **options)

    class Chosen(EnginesHere):
        def of(self, engine: Engine) -> Analyst:
            return Noting(engine)

    @contextlib.contextmanager
    def chosen(settings: Settings, engine: Engine, namespace: Callable[[], str]) -> Iterator[Analysts]:
        yield Chosen()

    for command in ("gallery.bulk", "measuring.photos"):
        monkeypatch.setattr(f"likeness.cli.{command}.photo_analysts", chosen)
    import_into("acme", people)
    assert len(looked_at) == 8
    faces = tmp_path / "faces"
    for person, shot in itertools.product(range(3), range(2)):
        (faces / str(person)).mkdir(parents=True, exist_ok=True)
        (faces / str(person) / f"{shot}.jpg").write_bytes(photo(person, variation=shot))
    looked_at.clear()
    run("evaluate", faces)
    assert len(looked_at) == 6


def test_a_photo_is_known_by_its_bytes_and_what_is_passed_over_is_counted(people: Path) -> None:
    (people / "from a scanner").write_bytes(photo(7))
    (people / "8.jfif").write_bytes(photo(8))
    for left_out in (".hidden.jpg", "._0.jpg", "0_thumb.jpg", ".cache/9.jpg", "@eaDir/0.jpg", "more/Thumbnails/4.png"):
        (people / left_out).parent.mkdir(exist_ok=True)
        (people / left_out).write_bytes(photo(9))
    os.mkfifo(people / "pipe")
    output = import_into("acme", people)
    assert "enrolled 7, already there 0, refused 3" in output
    assert "files skipped: hidden 3, no photo 2, thumbnail 3" in output
    assert entries("acme").keys() >= {"from a scanner", "8.jfif"}


def test_a_folder_of_nothing_but_other_files_is_reported_with_what_is_in_it(people: Path) -> None:
    for file in people.rglob("*.*"):
        if file.suffix != ".txt":
            file.unlink()
    with pytest.raises(SetupError, match="nobody to enrol; files skipped: no photo 1"):
        import_into("acme", people)


def test_an_import_goes_on_where_it_broke_off(people: Path) -> None:
    (people / "3.jpg").rename(people.parent / "3.jpg")
    import_into("acme", people)
    before = entries("acme")
    (people.parent / "3.jpg").rename(people / "3.jpg")
    assert "enrolled 1, already there 4, refused 3" in import_into("acme", people)
    after = entries("acme")
    assert before.items() <= after.items()
    assert len(after) == 5


def test_an_import_seals_with_a_data_key_that_is_made_meanwhile(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeating.repeat_forever, "__kwdefaults__", {"pause": 0.01})
    monkeypatch.setattr("likeness.cli.gallery.bulk._WAITING_PER_WORKER", 1)
    monkeypatch.setenv("LIKENESS_WORKERS", "1")
    numbers: list[int] = []
    read = Importer._read

    def rotating(self: Importer, row: Any) -> Any:
        if not numbers:
            before = self.tenant.cipher.head
            with contextlib.closing(open_deployment(Settings())) as command:
                numbers.append(command.tenants.rotate_data_key(self.tenant.id))
            wait_until(lambda: self.tenant.cipher.head != before)
        return read(self, row)

    monkeypatch.setattr(Importer, "_read", rotating)
    assert "enrolled 5, already there 0, refused 3" in import_into("acme", people)
    assert numbers == [2]
    with contextlib.closing(open_deployment(Settings())) as deployment:
        cipher = deployment.tenants.by_name("acme").cipher
        query = select(gallery_templates.c.sealed_template)
        sealed = deployment.database.read_now(lambda c: c.execute(query).scalars().all())
    assert [cipher.is_newest(each) for each in sealed] == [True] * 5


def test_tables_of_every_kind_give_the_same_gallery(people: Path) -> None:
    rows = [
        {"photo": f"{number}.jpg", "externalId": f"id-{number}", "metadata": {"n": str(number)}} for number in (0, 2)
    ]
    with (people / "a.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ["photo", "externalId", "metadata", "unused"])
        table.writeheader()
        table.writerows(row | {"metadata": json.dumps(row["metadata"]), "unused": "x"} for row in rows)
    (people / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    bytes_too = [row | {"photo": (people / str(row["photo"])).read_bytes()} for row in rows]
    parquet.write_table(pa.Table.from_pylist(bytes_too), people / "a.parquet")
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        tenant = f"from {name}"
        run("tenant", "create", tenant)
        assert "enrolled 2," in import_into(tenant, people / name)
        labels = {external_id: entry.metadata for external_id, entry in entries(tenant).items()}
        assert labels == {"id-0": {"n": "0"}, "id-2": {"n": "2"}}


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"photo": "missing.jpg"}, "INVALID_INPUT"),
        ({"photo": "0.jpg", "externalId": "x" * 300}, "INVALID_INPUT"),
        ({"photo": "0.jpg", "metadata": "not JSON"}, "INVALID_INPUT"),
        ({"photo": "0.jpg", "metadata": {"n": 7}}, "INVALID_INPUT"),
        ({"photo": "large.jpg"}, "PAYLOAD_TOO_LARGE"),
        ({"photo": "nul\0.jpg"}, "INVALID_INPUT"),
        ({"photo": 7}, "INVALID_INPUT"),
        ({"photo": "", "externalId": "no photo"}, "INVALID_INPUT"),
        ({"photo": "0.jpg", "externalId": ["x"]}, "INVALID_INPUT"),
        ({"photo": "2.jpg", "externalId": "good"}, "CONFLICT"),
    ],
)
def test_a_bad_row_holds_up_nobody(people: Path, tmp_path: Path, row: dict[str, object], code: str) -> None:
    (people / "large.jpg").write_bytes(bytes(6 << 20))
    good = {"photo": "3.jpg", "externalId": "good"}
    (people / "a.jsonl").write_text("\n".join(map(json.dumps, (good, row))))
    output = import_into("acme", people / "a.jsonl", "--refused", tmp_path / "refused.csv")
    assert "enrolled 1, already there 0, refused 1" in output
    assert [(each["row"], each["code"]) for each in read_csv(tmp_path / "refused.csv")] == [("2", code)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"[1]", "line 1"),
        ("a.csv", b"externalId\nx\n", "`photo`"),
        ("a.csv", "photo\nM\u00fcller.jpg\n".encode("latin-1"), "UTF-8"),
        ("a.txt", b"", "neither"),
        ("a.csv", b"", "no column `photo`"),
        ("a.csv", b"photo\n", "nobody to enrol"),
        ("a.csv", b"photo;externalId\n0.jpg;x\n", "but: photo;externalId"),
        ("a.csv", b"photo, externalId\n0.jpg,x\n", "rename it to"),
        ("a.jsonl", b'{"photo": "0.jpg", "external_id": "x"}\n', "rename it to"),
        ("a.jsonl", b'{"photo": "M\xfcller.jpg"}\n', "UTF-8"),
        ("a.jsonl", b"[" * 100_000, "line 1"),
        ("a.parquet", b"PAR1", "not a Parquet file"),
        ("a.csv", b'photo,externalId\nx.jpg,"open\n0.jpg,b\n', "line 3"),
    ],
)
def test_a_source_that_is_none_is_reported(people: Path, name: str, content: bytes, message: str) -> None:
    (people / name).write_bytes(content)
    with pytest.raises(SetupError, match=message):
        import_into("acme", people / name)


def test_a_row_with_too_many_cells_or_a_bad_reference_is_refused_alone(people: Path, tmp_path: Path) -> None:
    (people / "a.csv").write_text("photo,externalId\n0.jpg,Doe,John\n2.jpg,b\x7f\n3.jpg,=1+2\n3.jpg,d\n")
    output = import_into("acme", people / "a.csv", "--refused", tmp_path / "refused.csv")
    assert "enrolled 2, already there 0, refused 2" in output
    assert [row["row"] for row in read_csv(tmp_path / "refused.csv")] == ["1", "2"]
    assert "more cells" in read_csv(tmp_path / "refused.csv")[0]["message"]


def test_names_that_are_no_text_hold_up_nobody(people: Path, tmp_path: Path) -> None:
    for number in range(12):  # more rows than are in progress at once
        (people / os.fsdecode(b"M\xfcller-%d.jpg" % number)).write_bytes(photo(40 + number))
    refused = tmp_path / "refused.csv"
    assert "enrolled 5, already there 0, refused 15" in import_into("acme", people, "--refused", refused)
    assert sum("\\udcfcller" in row["name"] for row in read_csv(refused)) == 12
    (people / "a.jsonl").write_text('{"photo": "0.jpg", "externalId": "\\ud800"}\n')
    assert "refused 1" in import_into("other", people / "a.jsonl")


def test_a_refused_row_leaves_its_reference_to_a_later_one(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("likeness.cli.gallery.bulk._WAITING_PER_WORKER", 1)
    monkeypatch.setenv("LIKENESS_WORKERS", "1")
    (people / "a.csv").write_text("photo,externalId\nmissing.jpg,p1\n0.jpg,p1\n2.jpg,p1\n")
    assert "enrolled 1, already there 0, refused 2" in import_into("acme", people / "a.csv")
    assert set(entries("acme")) == {"p1"}


def test_nothing_else_is_written_over_by_a_report(people: Path, tmp_path: Path) -> None:
    table, refused = people / "a.csv", tmp_path / "refused.csv"
    table.write_text("photo,externalId\nmissing.jpg,=x\n")
    with pytest.raises(SetupError, match="not a report"):
        import_into("acme", table, "--refused", table)
    with pytest.raises(SetupError, match="no folder"):
        import_into("acme", table, "--refused", tmp_path / "none" / "r.csv")
    for _ in range(2):  # an earlier report is replaced
        import_into("acme", table, "--refused", refused)
        assert [row["name"] for row in read_csv(refused)] == ["'=x"]
    assert table.read_text().startswith("photo")


def test_a_photo_that_is_no_file_is_refused(people: Path) -> None:
    os.mkfifo(people / "pipe.jpg")
    (people / "folder.png").mkdir()
    assert "enrolled 5, already there 0, refused 4" in import_into("acme", people)


def test_an_unreadable_folder_is_reported(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def closed(folder: str) -> Any:
        if str(folder).endswith("more"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(SetupError, match="more cannot be read"):
        import_into("acme", people)
    assert entries("acme") == {}


def test_a_full_gallery_ends_the_import(people: Path) -> None:
    run("tenant", "set", "acme", "--gallery-limit", "2")
    result = CliRunner().invoke(app, ["gallery", "import", str(people), "--tenant", "acme"])
    assert "limit" in str(result.exception)
    assert len(entries("acme")) == 2


def test_beside_a_server_an_import_is_refused(people: Path, data: Path) -> None:
    with owned(data), pytest.raises(SetupError, match="stop it first"):
        import_into("acme", people)
    assert entries("acme") == {}


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_what_is_exported_can_be_enrolled_again(people: Path, tmp_path: Path, ending: str) -> None:
    ends = {"expiresAt": "2500-01-01T00:00:00Z"}
    row = {"photo": "0.jpg", "externalId": 'é,"', "metadata": {"a": 'b"c\n'}}
    (people / "a.jsonl").write_text(json.dumps({**row, "consentReference": "c,7", "purpose": '"why"', **ends}))
    import_into("acme", people / "a.jsonl")
    import_into("acme", people)
    table, images = tmp_path / f"out{ending}", tmp_path / "images"
    assert "6 entries" in run("gallery", "export", table, "--tenant", "acme", "--images", images)
    assert stat.S_IMODE(table.stat().st_mode) == 0o600
    assert len(list(images.iterdir())) == 6
    assert (images / f"{entries('acme')['2.jpg'].id}.jpg").read_bytes() == (people / "2.jpg").read_bytes()
    assert all(stat.S_IMODE(image.stat().st_mode) == 0o600 for image in images.iterdir())
    assert "enrolled 6" in import_into("other", table)
    mine, theirs = entries("acme"), entries("other")
    assert (mine['é,"'].consent_reference, mine['é,"'].purpose) == ("c,7", '"why"')
    assert mine['é,"'].expires_at == datetime(2500, 1, 1, tzinfo=UTC).timestamp()
    kept = [
        {key: (entry.metadata, entry.consent_reference, entry.purpose, entry.expires_at) for key, entry in each.items()}
        for each in (mine, theirs)
    ]
    assert kept[0] == kept[1]
    with pytest.raises(SetupError, match="exists already"):
        run("gallery", "export", table, "--tenant", "acme")


def test_an_export_is_there_when_it_is_complete(people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import_into("acme", people)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "out.csv")

    with monkeypatch.context() as patched:
        patched.setattr("likeness.gallery.bulk.exporting._values", fail)
        with pytest.raises(OSError, match="No space"):
            run("gallery", "export", tmp_path / "out.csv", "--tenant", "acme")
    assert not list(tmp_path.glob("out.csv*"))
    assert "5 entries" in run("gallery", "export", tmp_path / "out.csv", "--tenant", "acme")


def test_a_damaged_photo_stops_neither_export_nor_comparison(people: Path, tmp_path: Path, data: Path) -> None:
    import_into("acme", people)
    stored = {name: entry.image_id for name, entry in entries("acme").items()}
    damaged, missing = (next((data / "images").rglob(str(stored[name]))) for name in ("0.jpg", "2.jpg"))
    damaged.write_bytes(damaged.read_bytes() + b"x")
    missing.unlink()
    (tmp_path / "real" / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "sub")
    table = tmp_path / "link" / "out.csv"
    output = run("gallery", "export", table, "--tenant", "acme", "--images", tmp_path / "images")
    assert "5 entries" in output
    assert all(entries("acme")[name].id in output for name in ("0.jpg", "2.jpg"))
    assert "enrolled 3, already there 0, refused 2" in import_into("other", table)
    page = tmp_path / "pairs.html"
    assert "1 pairs" in run("gallery", "dedupe", "--tenant", "acme", "--level", 4, "--html", page)
    assert page.read_text().count("<img") == 1


def test_a_comparison_writes_over_nothing(people: Path, tmp_path: Path) -> None:
    import_into("acme", people)
    there = tmp_path / "there.csv"
    there.write_text("mine")
    for option in ("--csv", "--html"):
        with pytest.raises(SetupError, match="exists already"):
            run("gallery", "dedupe", "--tenant", "acme", option, there)
    with pytest.raises(SetupError, match="are the same"):
        run("gallery", "dedupe", "--tenant", "acme", "--csv", tmp_path / "new", "--html", tmp_path / "new")
    assert there.read_text() == "mine"


def test_an_export_has_no_photos_unless_they_are_asked_for(people: Path, tmp_path: Path) -> None:
    import_into("acme", people)
    run("gallery", "export", tmp_path / "out.csv", "--tenant", "acme")
    rows = read_csv(tmp_path / "out.csv")
    assert [row["photo"] for row in rows] == [""] * 5
    assert {row["imageStored"] for row in rows} == {"True"}
    with pytest.raises(SetupError, match="ending"):
        run("gallery", "export", tmp_path / "out.txt", "--tenant", "acme")


def test_every_pair_of_look_alikes_is_found(people: Path, tmp_path: Path) -> None:
    rows = []
    for number in range(40):
        content = photo(100 + number // 3, variation=number % 3, score=1 - 0.02 * (number % 7))
        (people / f"p{number}.jpg").write_bytes(content)
        rows.append({"photo": f"p{number}.jpg", "externalId": f"{number}"})
    rows[0]["externalId"] = "<script>alert(1)</script>"
    (people / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    import_into("acme", people / "a.jsonl")
    import_into("other", people / "a.jsonl")
    table, page = tmp_path / "pairs.csv", tmp_path / "pairs.html"
    output = run(
        "gallery", "dedupe", "--tenant", "acme", "--level", 3, "--csv", table, "--html", page, "--pictures", 10
    )
    engine = FakeEngine()
    templates = {
        str(row["externalId"]): EngineHere(engine).embed(
            (people / row["photo"]).read_bytes(), policy=FacePolicy.LARGEST
        )
        for row in rows
    }
    expected = {
        frozenset((first, second)): float(exact_scores(templates[first][None], templates[second])[0])
        for first, second in itertools.combinations(templates, 2)
    }
    expected = {pair: score for pair, score in expected.items() if score >= FakeEngine.calibration.threshold(3)}
    found = read_csv(table)
    assert len(expected) > 20
    assert len(found) == len(expected)
    assert {frozenset((row["firstExternalId"], row["secondExternalId"])) for row in found} == set(expected)
    assert f"{len(expected)} pairs reach level 3" in output
    ids = {entry.id for entry in entries("acme").values()}
    assert {row["first"] for row in found} | {row["second"] for row in found} <= ids
    drawn = page.read_text()
    assert drawn.count("<img") == 20
    assert "<script" not in drawn
    assert "http" not in drawn
    best = max(expected.values())
    assert f"<strong>{best:.4f}</strong>" in drawn
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


def test_an_empty_gallery_has_no_pairs() -> None:
    with pytest.raises(NotFound, match="empty"):
        run("gallery", "dedupe", "--tenant", "acme")
