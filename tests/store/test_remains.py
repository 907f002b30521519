"""Erased data is in no file of the data folder a moment later."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, Table, Text, delete, select, text, update

from composition import empty_database
from likeness.engine.fake import fake_photo
from likeness.store import sqlite
from likeness.store.database import Database
from likeness.store.tables import gallery_templates
from servers import Api, wait_until

SIZE = (160, 120)
notes = Table("notes", MetaData(), Column("text", Text))


def folder_of(api: Api) -> Path:
    return api.server.deployment.settings.data_dir


def holding(folder: Path, wanted: bytes) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path.name for path in files if wanted in path.read_bytes()]


def enrolled(api: Api, reference: str) -> tuple[str, bytes]:
    reply = api.insert(
        fake_photo(1, size=SIZE), externalId=reference, metadata={"passport": f"passport of {reference}"}
    )
    assert reply.status_code == 200, reply.text
    query = select(gallery_templates.c.sealed_template).order_by(gallery_templates.c.entry_key.desc()).limit(1)
    sealed = api.server.deployment.database.read_now(lambda c: c.execute(query).scalar_one())
    return str(reply.json()["oneToNVerificationId"]), sealed


@pytest.mark.one_process
def test_an_erased_person_is_in_no_file_of_the_data_folder(api: Api) -> None:
    folder = folder_of(api)
    kept, _ = enrolled(api, "customer who stays")
    entry, sealed = enrolled(api, "customer 4711")
    traces = (b"customer 4711", b"passport of customer 4711", sealed)
    assert all(holding(folder, trace) for trace in traces)
    assert api.call("DELETE", f"/api/v1/face/one-to-n/{entry}").status_code == 204
    wait_until(lambda: not any(holding(folder, trace) for trace in traces))
    assert holding(folder, b"customer who stays")
    assert api.call("GET", f"/api/v1/face/one-to-n/{kept}").status_code == 200


@pytest.mark.one_process
def test_a_reader_holds_up_the_cut_and_no_writer(api: Api) -> None:
    folder = folder_of(api)
    entry, sealed = enrolled(api, "customer 4712")
    with closing(sqlite3.connect(folder / "likeness.sqlite3", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM gallery_entries").fetchone()[0]
        assert api.call("DELETE", f"/api/v1/face/one-to-n/{entry}").status_code == 204
        for number in range(3):
            enrolled(api, f"another {number}")
        assert holding(folder, sealed)
        reader.execute("COMMIT")
    wait_until(lambda: not holding(folder, sealed))


def test_the_log_is_cut_at_close_though_another_process_has_the_database_open(tmp_path: Path) -> None:
    file = tmp_path / "db.sqlite3"
    database = Database(empty_database(file))
    database.write_now(lambda c: c.exec_driver_sql("CREATE TABLE notes (text TEXT)"))
    with closing(sqlite3.connect(file)) as other:
        assert other.execute("SELECT count(*) FROM notes").fetchone() == (0,)
        for number in range(30):
            database.write_now(lambda c, n=number: c.exec_driver_sql("INSERT INTO notes VALUES (?)", (f"note {n}",)))  # type: ignore[misc]
        database.close()
        assert not (tmp_path / "db.sqlite3-wal").stat().st_size
        assert b"note 29" in file.read_bytes()


def test_the_log_is_cut_after_erasures_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "CUT_SECONDS", 0.05)
    database = Database(empty_database(tmp_path / "db.sqlite3"))
    remains = database._writer.remains
    assert remains

    def run(statement: str) -> None:
        database.write_now(lambda c: c.execute(text(statement)) and None)

    run("CREATE TABLE notes (text TEXT)")
    wait_until(lambda: remains.seconds_left() is None)  # a crash may have left erased data in the log
    run("INSERT INTO notes VALUES ('a'), ('b')")
    database.write_now(lambda c: c.execute(delete(notes).where(notes.c.text == "c")) and None)
    assert remains.seconds_left() is None
    for erasing in (delete(notes).where(notes.c.text == "a"), update(notes).values(text=None)):
        database.write_now(lambda c, erasing=erasing: c.execute(erasing) and None)  # type: ignore[misc]
        assert remains.seconds_left() is not None
        wait_until(lambda: remains.seconds_left() is None)
    database.close()
