"""The store on a real PostgreSQL."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, create_engine, insert, inspect, select, text
from sqlalchemy.exc import IntegrityError

from likeness.errors import ServiceUnavailable, SetupError
from likeness.store import migrations
from likeness.store.database import Database
from likeness.store.sharing.claim import Ownership
from likeness.store.statements import PreparedInsert
from likeness.store.tables import metadata
from servers import wait_until

notes = Table(
    "notes", MetaData(), Column("id", Integer, primary_key=True), Column("text", Text, nullable=False, unique=True)
)
PUT = PreparedInsert(notes, "text", key="id")


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    migrations.upgrade(postgres_url)
    database = Database(postgres_url)
    database.write_now(notes.create)
    yield database
    database.close()


def texts(database: Database) -> list[str]:
    return database.read_now(lambda c: list(c.execute(select(notes.c.text).order_by(notes.c.id)).scalars()))


def end_writing_connection(database: Database) -> None:
    own = database.write_now(lambda c: c.execute(text("SELECT pg_backend_pid()")).scalar_one())
    database.read_now(lambda c: c.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": own}))


def test_the_versions_end_where_the_code_is_and_can_be_undone(postgres_url: str) -> None:
    migrations.upgrade(postgres_url)
    engine = create_engine(postgres_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    command.downgrade(migrations.configuration(postgres_url), "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()


def test_prepared_inserts_give_keys_and_fail_as_others_do(database: Database) -> None:
    assert [database.write_now(lambda c, n=n: PUT(c, text=str(n))) for n in range(3)] == [1, 2, 3]  # type: ignore[misc]
    with pytest.raises(IntegrityError):
        database.write_now(lambda c: PUT(c, text="1"))
    assert texts(database) == ["0", "1", "2"]


def test_a_value_that_was_there_already_is_not_logged_with_a_lost_connection(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    database.write_now(lambda c: PUT(c, text="customer-4711"))

    def work(connection: Connection) -> None:
        own = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        try:
            PUT(connection, text="customer-4711")
        except IntegrityError:
            database.read_now(lambda c: c.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": own}))
            wait_until(lambda: not is_there(own))
            raise

    def is_there(pid: int) -> bool:
        query = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
        return bool(database.read_now(lambda c: c.execute(query, {"pid": pid}).scalar_one()))

    with pytest.raises(ServiceUnavailable):
        database.write_now(work)
    assert "changes were refused" in caplog.text
    assert "4711" not in caplog.text


def test_a_faulty_change_of_a_group_is_refused_alone(database: Database) -> None:
    def group(connection: Connection) -> None:
        PUT(connection, text="a")
        with pytest.raises(IntegrityError), connection.begin_nested():
            PUT(connection, text="a")
        PUT(connection, text="b")

    database.write_now(group)
    assert texts(database) == ["a", "b"]


def test_readers_cannot_write_and_see_one_moment(database: Database) -> None:
    with pytest.raises(ServiceUnavailable):
        database.read_now(lambda c: c.execute(insert(notes).values(text="never")))

    def read_twice(connection: Connection) -> int:
        before = connection.execute(select(notes.c.id)).all()
        database.write_now(lambda c: PUT(c, text="meanwhile"))
        return len(connection.execute(select(notes.c.id)).all()) - len(before)

    assert database.read_now(read_twice) == 0
    assert texts(database) == ["meanwhile"]


def test_a_writer_that_lost_its_connection_gets_another(database: Database) -> None:
    end_writing_connection(database)
    with pytest.raises(ServiceUnavailable):
        database.write_now(lambda c: PUT(c, text="lost"))
    assert database.write_now(lambda c: PUT(c, text="kept")) >= 1
    assert texts(database) == ["kept"]


def test_one_process_claims_a_database_and_others_may_still_write_to_it(database: Database, postgres_url: str) -> None:
    database.claim()
    second = Database(postgres_url)
    with pytest.raises(SetupError, match="stop it first"):
        second.claim()
    second.write_now(lambda c: PUT(c, text="a command's"))
    database.close()
    second.claim()
    second.write_now(lambda c: PUT(c, text="the next server's"))
    assert texts(second) == ["a command's", "the next server's"]
    second.close()


def test_a_lost_connection_costs_one_group_of_changes_where_nobody_else_was_owner(database: Database) -> None:
    became: list[Ownership] = []
    database.on_ownership_change(became.append)
    database.claim()
    end_writing_connection(database)
    with pytest.raises(ServiceUnavailable, match="unreachable"):
        database.write_now(lambda c: PUT(c, text="on the lost connection"))
    assert became == [Ownership.LOST]
    database.write_now(lambda c: PUT(c, text="kept"))
    assert became == [Ownership.LOST, Ownership.KEPT]
    assert texts(database) == ["kept"]


def test_a_claim_is_looked_at_though_nobody_writes(database: Database) -> None:
    became: list[Ownership] = []
    database.on_ownership_change(became.append)
    database.claim()
    end_writing_connection(database)
    with pytest.raises(ServiceUnavailable):
        asyncio.run(database.keep_claim())
    asyncio.run(database.keep_claim())
    assert became == [Ownership.LOST, Ownership.KEPT]


def test_an_owner_in_between_leaves_a_doubt_however_short_its_time(database: Database, postgres_url: str) -> None:
    became: list[Ownership] = []
    database.on_ownership_change(became.append)
    database.claim()
    end_writing_connection(database)
    successor = Database(postgres_url)
    successor.claim()
    for _ in range(3):
        with pytest.raises(ServiceUnavailable):
            database.write_now(lambda c: PUT(c, text="refused"))
    successor.close()
    database.write_now(lambda c: PUT(c, text="kept"))
    assert became == [Ownership.LOST, Ownership.DOUBTFUL]
    end_writing_connection(database)
    with pytest.raises(ServiceUnavailable):
        database.write_now(lambda c: PUT(c, text="refused"))
    database.write_now(lambda c: PUT(c, text="kept again"))
    assert became[2:] == [Ownership.LOST, Ownership.KEPT]
    assert texts(database) == ["kept", "kept again"]


def test_a_standby_owns_the_database_once_the_owner_ends(
    database: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("likeness.store.database.STANDBY_SECONDS", 0.01)
    database.claim()
    standby = Database(postgres_url)
    waiting = threading.Thread(target=standby.claim, kwargs={"wait": True})
    waiting.start()
    wait_until(lambda: "standing by" in caplog.text)
    assert waiting.is_alive()
    database.close()
    waiting.join(30)
    standby.write_now(lambda c: PUT(c, text="the standby's"))
    assert texts(standby) == ["the standby's"]
    assert "refused" not in caplog.text
    standby.close()


def test_a_commit_whose_answer_was_lost_leaves_a_doubt(database: Database) -> None:
    became: list[Ownership] = []
    database.on_ownership_change(became.append)
    database.claim()

    def put_and_lose(connection: Connection) -> None:
        PUT(connection, text="perhaps")
        own = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        database.read_now(lambda c: c.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": own}))

    with pytest.raises(ServiceUnavailable, match="Check whether the change was made"):
        database.write_now(put_and_lose)
    assert became == [Ownership.LOST, Ownership.DOUBTFUL]
    database.write_now(lambda c: PUT(c, text="kept"))
    assert texts(database) == ["kept"]
