"""A database's file that is removed or replaced while the server runs: it is noticed, and never made again."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection

from composition import empty_database
from likeness.deployment import _upgrade
from likeness.engine.fake import fake_photo
from likeness.errors import ServiceUnavailable
from likeness.settings import Settings
from likeness.store.database import Database
from likeness.store.sharing.claim import Ownership
from servers import calling, serving, test_settings, wait_until


def unlink(file: Path) -> None:
    file.unlink()


def replace(file: Path) -> None:
    copy = file.with_suffix(".copy")
    shutil.copy(file, copy)
    copy.replace(file)


def unlink_log(file: Path) -> None:
    file.with_name(f"{file.name}-wal").unlink()


def note(connection: Connection) -> None:
    connection.exec_driver_sql("INSERT INTO notes VALUES ('x')")


@pytest.mark.parametrize("harm", [unlink, replace, unlink_log])
def test_a_change_is_refused_once_the_file_is_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: Callable[[Path], None]
) -> None:
    file = tmp_path / "db.sqlite3"
    became: list[Any] = []
    database = Database(empty_database(file))
    database.on_ownership_change(became.append)
    database.write_now(lambda c: c.exec_driver_sql("CREATE TABLE notes (text TEXT)"))
    database.write_now(note)
    there = {path.name for path in tmp_path.iterdir()}
    harm(file)
    for _ in range(3):
        with pytest.raises(ServiceUnavailable, match="removed or replaced"):
            database.write_now(note)
    assert became == [Ownership.GONE]
    assert len([record for record in caplog.records if "removed or replaced" in record.getMessage()]) == 1
    assert {path.name for path in tmp_path.iterdir()} <= there, "a database was made anew"
    database.close()


def test_a_file_that_comes_back_to_its_place_is_used_again(tmp_path: Path) -> None:
    file = tmp_path / "db.sqlite3"
    became: list[Any] = []
    database = Database(empty_database(file))
    database.on_ownership_change(became.append)
    database.write_now(lambda c: c.exec_driver_sql("CREATE TABLE notes (text TEXT)"))
    file.rename(tmp_path / "aside")
    with pytest.raises(ServiceUnavailable):
        database.write_now(note)
    (tmp_path / "aside").rename(file)
    database.write_now(note)
    assert became == [Ownership.GONE, Ownership.KEPT]
    database.close()


def test_a_server_whose_database_is_removed_says_why_and_takes_nothing(tmp_path: Path) -> None:
    with serving(test_settings(tmp_path)) as server, calling(server) as api:
        api.insert(fake_photo(1)).raise_for_status()
        file = tmp_path / "likeness.sqlite3"
        file.unlink()
        refused = api.insert(fake_photo(2))
        assert (refused.status_code, refused.json()["error"]) == (503, "SERVICE_UNAVAILABLE")
        assert refused.headers["Retry-After"]
        assert not file.exists()
        ready = httpx.get(f"{server.url}/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "detached")


def test_a_server_notices_without_being_asked(tmp_path: Path) -> None:
    with serving(test_settings(tmp_path)) as server:
        (tmp_path / "likeness.sqlite3").unlink()
        wait_until(lambda: httpx.get(f"{server.url}/readyz").json()["status"] == "detached")


def test_preparing_the_file_again_leaves_the_locks_of_those_who_have_it_open(tmp_path: Path) -> None:
    """A process loses its POSIX locks on a file when it closes the file once.

    Then another process could delete the open log.
    """
    settings = Settings(data_dir=tmp_path)
    _upgrade(settings)
    file = settings.database_file
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE kept (value)")
        connection.commit()
        _upgrade(settings)
        look = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM kept').fetchall(); c.close()"
        subprocess.run([sys.executable, "-c", look, str(file)], check=True)
        assert file.with_name(f"{file.name}-wal").exists()
