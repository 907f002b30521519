from pathlib import Path

import pytest
from sqlalchemy import JSON, Column, Integer, MetaData, Table, Text, bindparam, create_engine, insert, select
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.exc import IntegrityError, OperationalError

from likeness.store.statements import PreparedInsert, PreparedQuery

things = Table(
    "things",
    MetaData(),
    Column("key", Integer, primary_key=True),
    Column("name", Text, unique=True),
    Column("labels", JSON),
)


def test_a_row_is_inserted_with_its_types_and_gives_its_key(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'db'}")
    add, add_quietly = PreparedInsert(things, "labels", "name", key="key"), PreparedInsert(things, "name")
    with engine.begin() as connection:
        things.create(connection)
        assert [add(connection, name=f"{n}", labels={"n": [n]}) for n in range(3)] == [1, 2, 3]
        assert add_quietly(connection, name="quiet") is None
        assert connection.execute(select(things).order_by(things.c.key)).all() == [
            (1, "0", {"n": [0]}),
            (2, "1", {"n": [1]}),
            (3, "2", {"n": [2]}),
            (4, "quiet", None),
        ]
        with pytest.raises(IntegrityError):
            add(connection, name="quiet", labels={})
        with pytest.raises(KeyError):
            add(connection, name="another")
    engine.dispose()


def test_where_keys_are_not_row_ids_the_database_returns_them() -> None:
    prepared = PreparedInsert(things, "name", key="key").prepare(psycopg.dialect())  # type: ignore[no-untyped-call]
    assert prepared.returns_key
    assert prepared.compiled.positions is None
    assert prepared.compiled.sql.endswith("RETURNING things.key")


def test_a_query_gives_rows_with_their_types(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'db'}")
    named = PreparedQuery(select(things.c.name, things.c.labels).where(things.c.name == bindparam("name")))
    with engine.begin() as connection:
        things.create(connection)
        connection.execute(insert(things), [{"name": "a", "labels": {"n": 1}}, {"name": "b", "labels": None}])
        assert named(connection, name="a") == [("a", {"n": 1})]
        assert named(connection, name="b") == [("b", None)]
        assert named(connection, name="c") == []
        things.drop(connection)
        with pytest.raises(OperationalError):
            named(connection, name="a")
    engine.dispose()
