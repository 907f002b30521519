"""The store on a real PostgreSQL."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, create_engine, insert, inspect, select, text
from sqlalchemy.exc import IntegrityError

from likeness.errors import ServiceUnavailable
from likeness.store import migrations
from likeness.store.database import Database
from likeness.store.statements import PreparedInsert
from likeness.store.tables import metadata

notes = Table(
    "notes", MetaData(), Column("id", Integer, primary_key=True), Column("text", Text, nullable=False, unique=True)
)
PUT = PreparedInsert(notes, "text", key="id")


@pytest.fixture
def database(postgres_url):
    database = Database(postgres_url)
    database.write_now(notes.create)
    yield database
    database.close()


def texts(database: Database) -> list[str]:
    return database.read_now(lambda c: list(c.execute(select(notes.c.text).order_by(notes.c.id)).scalars()))


def test_the_versions_end_where_the_code_is_and_can_be_undone(postgres_url):
    migrations.upgrade(postgres_url)
    engine = create_engine(postgres_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    command.downgrade(migrations.configuration(postgres_url), "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()


def test_prepared_inserts_give_keys_and_fail_as_others_do(database):
    assert [database.write_now(lambda c, n=n: PUT(c, text=str(n))) for n in range(3)] == [1, 2, 3]
    with pytest.raises(IntegrityError):
        database.write_now(lambda c: PUT(c, text="1"))
    assert texts(database) == ["0", "1", "2"]


def test_a_faulty_change_of_a_group_is_refused_alone(database):
    def group(connection: Connection) -> None:
        PUT(connection, text="a")
        with pytest.raises(IntegrityError), connection.begin_nested():
            PUT(connection, text="a")
        PUT(connection, text="b")

    database.write_now(group)
    assert texts(database) == ["a", "b"]


def test_readers_cannot_write_and_see_one_moment(database):
    with pytest.raises(ServiceUnavailable):
        database.read_now(lambda c: c.execute(insert(notes).values(text="never")))

    def read_twice(connection: Connection) -> int:
        before = connection.execute(select(notes.c.id)).all()
        database.write_now(lambda c: PUT(c, text="meanwhile"))
        return len(connection.execute(select(notes.c.id)).all()) - len(before)

    assert database.read_now(read_twice) == 0
    assert texts(database) == ["meanwhile"]


def test_a_writer_that_lost_its_connection_gets_another(database):
    own = database.write_now(lambda c: c.execute(text("SELECT pg_backend_pid()")).scalar_one())
    database.read_now(lambda c: c.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": own}))
    with pytest.raises(ServiceUnavailable):
        database.write_now(lambda c: PUT(c, text="lost"))
    assert database.write_now(lambda c: PUT(c, text="kept")) >= 1
    assert texts(database) == ["kept"]
