"""The rows of a move: copied table by table, and compared afterwards.

A copy brings the target into the state of the source, whatever an earlier, interrupted copy left in it. It compares
each row by its key, so it needs no record of how far it came.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    MetaData,
    Select,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
    tuple_,
    update,
)

from likeness.errors import SetupError
from likeness.store.facts import read_fact, record_fact
from likeness.store.tables import deployment, metadata

MOVE_FACT = "move"
"""Fact of a database that is the target of a move, until the move ends."""
ROWS_AT_ONCE = 1000
_FEW_AT_ONCE = {"gallery_blocks": 4, "session_results": 50}
"""Rows of tables that hold large values."""
NOT_MOVED = frozenset({"call_limits", "gallery_changes", "leases", "used_assertions"})
"""What processes on one PostgreSQL database tell each other. None runs during a move, and the next ones load anew."""
RowValues = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class RowMove:
    """Copies all rows of one database into another. One thread uses it.

    ``source`` is in a transaction that sees one snapshot. ``target`` is in none.
    """

    source: Connection
    target: Connection

    def count(self) -> int:
        """Give the number of rows to move."""
        return sum(_count(self.source, table) for table in _tables())

    def target_is_empty(self) -> bool:
        """Whether the target holds no row, not even the mark of a move."""
        with self.target.begin():
            return not any(self.target.execute(select(table).limit(1)).first() for table in metadata.sorted_tables)

    def copy(self, progress: Callable[[int], None]) -> int:
        """Bring the target into the source's state. Give the number of rows that were missing or different."""
        tables = _tables()
        for table in reversed(tables):
            self._delete_others(table)
        copied = 0
        for table in tables:
            for rows in _pages(self.source, table):
                with self.target.begin():
                    copied += self._put(table, rows)
                progress(len(rows))
        for table in tables:
            if table.autoincrement_column is not None:
                with self.target.begin():
                    _set_last_key(self.target, table, _last_key(self.source, table))
        return copied

    def verify(self, progress: Callable[[int], None]) -> None:
        """Compare each row of the two databases. Raises SetupError for the first table with a difference."""
        for table in _tables():
            for rows in _pages(self.source, table):
                with self.target.begin():
                    if self._present(table, rows) != {_key(table, row): row for row in rows}:
                        raise _different(table)
                progress(len(rows))
            with self.target.begin():
                if _count(self.target, table) != _count(self.source, table):
                    raise _different(table)
                if table.autoincrement_column is not None and _last_key(self.target, table) != _last_key(
                    self.source, table
                ):
                    raise _different(table)

    def _put(self, table: Table, rows: Sequence[RowValues]) -> int:
        """Insert the missing rows, and replace the different ones. Give their number."""
        present = self._present(table, rows)
        missing = [row for row in rows if _key(table, row) not in present]
        different = [row for row in rows if present.get(_key(table, row), row) != row]
        names = [column.name for column in table.columns]
        if missing:
            self.target.execute(insert(table), [dict(zip(names, row, strict=True)) for row in missing])
        if different:
            keys = [column.name for column in table.primary_key.columns]
            mine = [table.c[name] == bindparam(f"key_{name}") for name in keys]
            values = {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in names}
            for row in different:
                of = dict(zip(names, row, strict=True))
                parameters = {f"key_{name}": of[name] for name in keys} | {f"new_{name}": of[name] for name in names}
                self.target.execute(update(table).where(*mine).values(values), parameters)
        return len(missing) + len(different)

    def _delete_others(self, table: Table) -> None:
        """Delete rows that the source does not have, or no longer."""
        keys = tuple(table.primary_key.columns)
        with self.target.begin():
            others: list[RowValues] = []
            for page in _pages(self.target, table, keys):
                query = select(*keys).where(_among(table, page))
                known = {tuple(row) for row in self.source.execute(query)}
                others += [key for key in page if key not in known]
        for start in range(0, len(others), ROWS_AT_ONCE):
            with self.target.begin():
                self.target.execute(delete(table).where(_among(table, others[start : start + ROWS_AT_ONCE])))

    def _present(self, table: Table, rows: Sequence[RowValues]) -> dict[RowValues, RowValues]:
        """Give the target's rows with the keys of ``rows``, by key."""
        query = select(table).where(_among(table, [_key(table, row) for row in rows]))
        return {_key(table, row): row for row in map(tuple, self.target.execute(query))}


def read_mark(connection: Connection) -> Any:
    """Give the value of the mark of a move, or None."""
    return read_fact(connection, MOVE_FACT)


def write_mark(connection: Connection, value: Any) -> None:
    """Replace the mark of a move. None removes it."""
    record_fact(connection, MOVE_FACT, value)


def _tables() -> list[Table]:
    """Give the tables, each after those that it refers to. A JSON column keeps NULL apart from JSON's null."""
    copies = MetaData()
    for table in metadata.sorted_tables:
        for column in table.to_metadata(copies).columns:
            if isinstance(column.type, JSON):
                column.type = JSON(none_as_null=bool(column.nullable))
    return [table for table in copies.sorted_tables if table.name not in NOT_MOVED]


def _pages(
    connection: Connection, table: Table, columns: Sequence[ColumnElement[Any]] | None = None
) -> Iterator[list[RowValues]]:
    """Give a table's rows, or some of their columns, a page at a time."""
    query = _without_mark(table, select(*(columns or table.columns)))
    size = _FEW_AT_ONCE.get(table.name, ROWS_AT_ONCE)
    for page in connection.execute(query, execution_options={"yield_per": size}).partitions():
        yield [tuple(row) for row in page]


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(_without_mark(table, select(func.count()).select_from(table))).scalar_one())


def _without_mark(table: Table, query: Select[Any]) -> Select[Any]:
    return query.where(table.c.name != MOVE_FACT) if table.name == deployment.name else query


def _among(table: Table, keys: Sequence[RowValues]) -> ColumnElement[bool]:
    columns = tuple(table.primary_key.columns)
    return columns[0].in_([key[0] for key in keys]) if len(columns) == 1 else tuple_(*columns).in_(keys)


def _key(table: Table, row: RowValues) -> RowValues:
    return tuple(value for value, column in zip(row, table.columns, strict=True) if column.primary_key)


def _last_key(connection: Connection, table: Table) -> int:
    """Give the newest key that the database made for a table, also of a deleted row; 0 for none."""
    column = table.autoincrement_column
    assert column is not None
    newest = int(connection.execute(select(func.max(column))).scalar_one() or 0)
    if connection.dialect.name == "sqlite":
        query = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        made = connection.execute(query, {"name": table.name}).scalar_one_or_none()
        return max(newest, int(made or 0))
    sequence = connection.execute(_SEQUENCE, {"table": table.name, "column": column.name}).scalar_one()
    last, called = connection.execute(text(f"SELECT last_value, is_called FROM {sequence}")).one()  # noqa: S608  a name of PostgreSQL's own
    return max(newest, int(last if called else last - 1))


def _set_last_key(connection: Connection, table: Table, last: int) -> None:
    """Let the next key that the database makes be above ``last``."""
    if connection.dialect.name == "sqlite":
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        connection.execute(
            text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), {"name": table.name, "last": last}
        )
        return
    column = table.autoincrement_column
    assert column is not None
    sequence = connection.execute(_SEQUENCE, {"table": table.name, "column": column.name}).scalar_one()
    parameters = {"sequence": sequence, "last": max(last, 1), "called": last > 0}
    connection.execute(text("SELECT setval(CAST(:sequence AS regclass), :last, :called)"), parameters)


_SEQUENCE = text("SELECT pg_get_serial_sequence(:table, :column)")


def _different(table: Table) -> SetupError:
    return SetupError(f"the table {table.name} of the target differs from the source: run the move again")
