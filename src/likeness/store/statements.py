"""Statements that go directly to the driver, and inserts that are compiled once.

SQLAlchemy takes many times as long to prepare a statement as SQLite takes to run it. All inserts of the deployment wait
for the writer's thread, and each search makes a query. So the inserts of requests and that query are compiled here once
per dialect, and run on the driver's cursor.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Connection, Dialect, Select, Table, insert
from sqlalchemy.exc import DBAPIError


def run_on_driver(connection: Connection, sql: str, parameters: Any = ()) -> Any:
    """Run a statement on a new cursor of the driver, and give the cursor.

    Raises the database's errors as SQLAlchemy's.
    """
    driver: Any = connection.dialect.loaded_dbapi
    try:
        return connection.connection.cursor().execute(sql, parameters)
    except driver.Error as error:
        # A parameter may be a person's name, so parameters stay out of the message.
        raise DBAPIError.instance(
            sql, None, error, driver.Error, hide_parameters=True, dialect=connection.dialect
        ) from error


@dataclass(frozen=True, slots=True)
class _Compiled:
    sql: str
    positions: tuple[str, ...] | None
    """Order of the values, for a driver that takes them by position."""
    converters: Mapping[str, Callable[[Any], Any]]
    returns_key: bool


class PreparedInsert:
    """``INSERT`` of one row with values for the named columns.

    Gives the value of the generated ``key``, if one is named.
    """

    def __init__(self, table: Table, *columns: str, key: str | None = None) -> None:
        self._table = table
        self._columns = columns
        self._key = key
        self._compiled: dict[str, _Compiled] = {}

    def __call__(self, connection: Connection, **values: Any) -> Any:
        """Insert one row. Raises the database's errors as SQLAlchemy's."""
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled.setdefault(dialect.name, self._compile(dialect))
        for name, convert in compiled.converters.items():
            values[name] = convert(values[name])
        parameters = values if compiled.positions is None else tuple(values[name] for name in compiled.positions)
        cursor = run_on_driver(connection, compiled.sql, parameters)
        return cursor.fetchone()[0] if compiled.returns_key else cursor.lastrowid if self._key else None

    def _compile(self, dialect: Dialect) -> _Compiled:
        statement: Any = insert(self._table)
        returned = None if dialect.name == "sqlite" else self._key  # SQLite's row ids come without a result set
        if returned is not None:
            statement = statement.returning(self._table.c[returned])
        compiled = statement.compile(dialect=dialect, column_keys=list(self._columns))
        converters = {
            name: convert
            for name in self._columns
            if (convert := self._table.c[name].type.dialect_impl(dialect).bind_processor(dialect))
        }
        positions = tuple(compiled.positiontup) if compiled.positional else None
        return _Compiled(str(compiled), positions, converters, returned is not None)


@dataclass(frozen=True, slots=True)
class _CompiledQuery:
    sql: str
    positions: tuple[str, ...] | None
    converters: tuple[tuple[int, Callable[[Any], Any]], ...]
    """What decodes a JSON column, by the column's place."""


class PreparedQuery:
    """``SELECT`` of numbers, texts and JSON, with named parameters."""

    def __init__(self, query: Select[Any]) -> None:
        self._query = query
        self._compiled: dict[str, _CompiledQuery] = {}

    def __call__(self, connection: Connection, **values: Any) -> list[tuple[Any, ...]]:
        """Give all rows. Raises the database's errors as SQLAlchemy's."""
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled.setdefault(dialect.name, self._compile(dialect))
        parameters = values if compiled.positions is None else tuple(values[name] for name in compiled.positions)
        rows: list[tuple[Any, ...]] = run_on_driver(connection, compiled.sql, parameters).fetchall()
        if not compiled.converters:
            return rows
        changed = [list(row) for row in rows]
        for row in changed:
            for place, convert in compiled.converters:
                row[place] = convert(row[place])
        return [tuple(row) for row in changed]

    def _compile(self, dialect: Dialect) -> _CompiledQuery:
        compiled: Any = self._query.compile(dialect=dialect)
        converters = (
            (place, column.type.dialect_impl(dialect).result_processor(dialect, None))
            for place, column in enumerate(self._query.selected_columns)
            if isinstance(column.type, JSON)
        )
        positions = tuple(compiled.positiontup) if compiled.positional else None
        return _CompiledQuery(str(compiled), positions, tuple((place, each) for place, each in converters if each))
