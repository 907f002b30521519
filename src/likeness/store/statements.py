"""Statements that go directly to the driver, and inserts that are compiled once.

SQLAlchemy takes many times as long to prepare a statement as SQLite takes to run it. All inserts of the deployment wait
for the writer's thread, and each search makes a query. So the inserts of requests and that query are compiled here once
per dialect, and run on the driver's cursor.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import JSON, Connection, Dialect, Select, Table, Update, insert
from sqlalchemy.exc import DBAPIError

_DRAWN = "likeness_drawn_key"


def run_on_driver(connection: Connection, sql: str, parameters: Any = (), *, many: bool = False) -> Any:
    """Run a statement on a new cursor of the driver, and give the cursor.

    With ``many``, run it for each of a list of parameters. Raises the database's errors as SQLAlchemy's.
    """
    driver: Any = connection.dialect.loaded_dbapi
    try:
        cursor = connection.connection.cursor()
        return cursor.executemany(sql, parameters) if many else cursor.execute(sql, parameters)
    except driver.Error as error:
        # A parameter may be a person's name, so parameters stay out of the message.
        raise DBAPIError.instance(
            sql, None, error, driver.Error, hide_parameters=True, dialect=connection.dialect
        ) from error


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement in a dialect's SQL."""

    sql: str
    positions: tuple[str, ...] | None
    """Order of the values, for a driver that takes them by position."""

    @classmethod
    def of(cls, compiled: Any) -> Self:
        return cls(str(compiled), tuple(compiled.positiontup) if compiled.positional else None)

    def run(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Run it with these values, and give the driver's cursor."""
        return run_on_driver(connection, self.sql, self._parameters(values))

    def run_many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it for each row of values."""
        run_on_driver(connection, self.sql, list(map(self._parameters, rows)), many=True)

    def _parameters(self, values: Mapping[str, Any]) -> Any:
        return values if self.positions is None else tuple(values[name] for name in self.positions)


@dataclass(frozen=True, slots=True)
class _Insert:
    compiled: _Compiled
    converters: Mapping[str, Callable[[Any], Any]]
    """What encodes the value of a column, by the column's name."""
    returns_key: bool

    def encoded(self, values: dict[str, Any]) -> dict[str, Any]:
        for name, convert in self.converters.items():
            values[name] = convert(values[name])
        return values


class PreparedInsert:
    """``INSERT`` of one row with values for the named columns.

    Gives the value of the generated ``key``, if one is named.
    """

    def __init__(self, table: Table, *columns: str, key: str | None = None) -> None:
        self._table = table
        self._columns = columns
        self._key = key
        self._prepared: dict[str, _Insert] = {}

    def __call__(self, connection: Connection, **values: Any) -> Any:
        """Insert one row. Raises the database's errors as SQLAlchemy's."""
        prepared = self.prepare(connection.dialect)
        cursor = prepared.compiled.run(connection, prepared.encoded(values))
        return cursor.fetchone()[0] if prepared.returns_key else cursor.lastrowid if self._key else None

    def many(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Insert rows. PostgreSQL gets them in one round trip."""
        prepared = self.prepare(connection.dialect)
        encoded = list(map(prepared.encoded, rows))
        if len(encoded) == 1:  # PostgreSQL's driver does more for many
            prepared.compiled.run(connection, encoded[0])
        else:
            prepared.compiled.run_many(connection, encoded)

    def prepare(self, dialect: Dialect) -> _Insert:
        """Compile the statement for a dialect, once."""
        if (prepared := self._prepared.get(dialect.name)) is not None:
            return prepared
        statement: Any = insert(self._table)
        returned = None if dialect.name == "sqlite" else self._key  # SQLite's row ids come without a result set
        if returned is not None:
            statement = statement.returning(self._table.c[returned])
        converters = {
            name: convert
            for name in self._columns
            if (convert := self._table.c[name].type.dialect_impl(dialect).bind_processor(dialect))
        }
        compiled = _Compiled.of(statement.compile(dialect=dialect, column_keys=list(self._columns)))
        return self._prepared.setdefault(dialect.name, _Insert(compiled, converters, returned is not None))


@dataclass(frozen=True, slots=True)
class _Query:
    compiled: _Compiled
    converters: tuple[tuple[int, Callable[[Any], Any]], ...]
    """What decodes a JSON column, by the column's place."""


class PreparedQuery:
    """``SELECT`` of numbers, texts and JSON, with named parameters."""

    def __init__(self, query: Select[Any]) -> None:
        self._query = query
        self._prepared: dict[str, _Query] = {}

    def __call__(self, connection: Connection, **values: Any) -> list[tuple[Any, ...]]:
        """Give all rows. Raises the database's errors as SQLAlchemy's."""
        prepared = self.prepare(connection.dialect)
        rows: list[tuple[Any, ...]] = prepared.compiled.run(connection, values).fetchall()
        if not prepared.converters:
            return rows
        changed = [list(row) for row in rows]
        for row in changed:
            for place, convert in prepared.converters:
                row[place] = convert(row[place])
        return [tuple(row) for row in changed]

    def prepare(self, dialect: Dialect) -> _Query:
        """Compile the statement for a dialect, once."""
        if (prepared := self._prepared.get(dialect.name)) is not None:
            return prepared
        converters = (
            (place, column.type.dialect_impl(dialect).result_processor(dialect, None))
            for place, column in enumerate(self._query.selected_columns)
            if isinstance(column.type, JSON)
        )
        compiled = _Compiled.of(self._query.compile(dialect=dialect))
        found = _Query(compiled, tuple((place, each) for place, each in converters if each))
        return self._prepared.setdefault(dialect.name, found)


class PreparedChange:
    """``UPDATE`` of numbers, texts and bytes, with named parameters."""

    def __init__(self, statement: Update) -> None:
        self._statement = statement
        self._prepared: dict[str, _Compiled] = {}

    def __call__(self, connection: Connection, **values: Any) -> int:
        """Run it, and give the number of rows. Raises the database's errors as SQLAlchemy's."""
        dialect = connection.dialect
        compiled = self._prepared.get(dialect.name)
        if compiled is None:
            compiled = self._prepared[dialect.name] = _Compiled.of(self._statement.compile(dialect=dialect))
        changed: int = compiled.run(connection, values).rowcount
        return changed


def next_key(connection: Connection, table: Table) -> int:
    """Draw the next key of a table whose database makes its keys, for a row that is written with it.

    On SQLite, a transaction asks the database once: nobody else writes until it ends.
    """
    if connection.dialect.name == "sqlite":
        transaction = connection.get_transaction()
        known, last = connection.info.get(_DRAWN, (None, 0))
        if known is not transaction or transaction is None:
            query = "SELECT seq FROM sqlite_sequence WHERE name = ?"
            found = run_on_driver(connection, query, (table.name,)).fetchone()
            last = found[0] if found else 0
        connection.info[_DRAWN] = transaction, last + 1
        return int(last + 1)
    column = table.autoincrement_column
    assert column is not None
    drawn = "SELECT nextval(pg_get_serial_sequence(%s, %s))"
    key: int = run_on_driver(connection, drawn, (table.name, column.name)).fetchone()[0]
    return key
