"""The source of an import: a folder of photos, or a table with a row for each person.

A table has a column ``photo``. It is a path relative to the table's folder, or in Parquet also the bytes themselves. A
table may have the columns ``externalId``, ``metadata`` (a JSON object of strings), ``consentReference``,
``purpose`` and ``expiresAt``. Other columns are ignored, but a name that is nearly one of these is an error. A person
without ``externalId`` gets the photo's path.
"""

import csv
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Never

from likeness.engine.photo.files import passed_over
from likeness.errors import SetupError

_KEPT = ("metadata", "consentReference", "purpose", "expiresAt")
_COLUMNS = ("photo", "externalId", *_KEPT)
_LONGEST_CELL = 1 << 20
"""In characters: more than the largest metadata that an export can write."""
_PARQUET_BATCH = 64


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One person to enrol."""

    number: int
    """Counts from 1."""
    photo: Any
    """A path or bytes, if the table is correct."""
    external_id: Any
    metadata: Any
    consent_reference: Any = None
    purpose: Any = None
    expires_at: Any = None
    fault: str | None = None
    """The fault of the row itself, or None."""

    @property
    def name(self) -> str:
        """The person's name in a report."""
        return next(
            (text for text in (self.external_id, self.photo) if text and isinstance(text, str)), f"row {self.number}"
        )


@dataclass(frozen=True, slots=True)
class Source:
    """A folder or a table. ``rows`` can be called again, and gives the same order each time."""

    folder: Path
    rows: Callable[[], Iterator[SourceRow]]
    count: Callable[[], int]
    passed_over: Mapping[str, int] = field(default_factory=dict)
    """Numbers of files in a folder that are skipped, by kind: ``hidden``, ``thumbnail``, ``no photo``."""

    def read(self, row: SourceRow, *, at_most: int) -> bytes:
        """Give at most the first ``at_most`` bytes of a row's photo.

        Raises OSError, and ValueError for a path that is not a file or not valid.
        """
        if isinstance(row.photo, bytes):
            return row.photo
        path = self.folder / str(row.photo)
        if path.exists() and not path.is_file():  # reading from a pipe would wait
            raise ValueError("it is not a file")
        with path.open("rb") as file:
            return file.read(at_most)


def open_source(path: Path) -> Source:
    """Open a folder, or a ``.csv``, ``.jsonl`` or ``.parquet`` file. Raises SetupError for anything else.

    In a folder, links to other folders are not followed. Hidden files and thumbnails are skipped. A file is also
    skipped when it neither has the ending of a JPEG or PNG file nor begins like one. Reading the rows raises SetupError
    when the table is damaged.
    """
    if path.is_dir():
        others: Counter[str] = Counter()
        photos = sorted(_photos(path, others))
        rows = [
            SourceRow(number, photo.as_posix(), photo.as_posix(), None) for number, photo in enumerate(photos, start=1)
        ]
        return Source(path, lambda: iter(rows), lambda: len(rows), others)
    readers: Mapping[str, Callable[[Path], Iterator[Mapping[Any, Any]]]] = {
        ".csv": _csv,
        ".jsonl": _jsonl,
        ".parquet": _parquet,
    }
    ending = path.suffix.lower()
    if ending not in readers or not path.is_file():
        raise SetupError(f"{path} is neither a folder nor a .csv, .jsonl or .parquet file")
    read = readers[ending]
    return Source(
        path.parent,
        lambda: (_row(number, values) for number, values in enumerate(read(path), start=1)),
        lambda: _parquet_rows(path) if ending == ".parquet" else sum(1 for _ in read(path)),
    )


def _photos(folder: Path, others: Counter[str]) -> Iterator[Path]:
    def unreadable(error: OSError) -> Never:
        raise SetupError(f"the folder {error.filename} cannot be read: {error.strerror}") from error

    for where, _, names in os.walk(folder, onerror=unreadable):
        for name in names:
            file = Path(where, name).relative_to(folder)
            kind = passed_over(folder, file)
            if kind is None:
                yield file
            else:
                others[kind] += 1


def _row(number: int, values: Mapping[Any, Any]) -> SourceRow:
    given = {column: values.get(column) if values.get(column) != "" else None for column in _COLUMNS}
    photo, external_id = given["photo"], given["externalId"]
    if external_id is None and isinstance(photo, str):
        external_id = photo
    fault = "The row has more cells than the table has columns." if None in values else None
    metadata, consent, purpose, expires_at = (given[column] for column in _KEPT)
    return SourceRow(number, photo, external_id, metadata, consent, purpose, expires_at, fault)


def _check_columns(path: Path, names: Iterable[str]) -> None:
    """Raise SetupError when a column's name is nearly a known one. Otherwise it would be ignored silently."""
    for name in set(names).difference(_COLUMNS):
        meant = re.sub(r"[\s_-]", "", name).casefold()
        for column in _COLUMNS:
            if meant == column.casefold():
                raise SetupError(f"{path} has a column {name!r}: rename it to `{column}`, or to another name")


def _check_header(path: Path, names: Iterable[str]) -> None:
    _check_columns(path, names)
    if "photo" not in names:
        raise SetupError(f"{path} has no column `photo`, but: {', '.join(names) or 'nothing'}")


def _csv(path: Path) -> Iterator[Mapping[Any, Any]]:
    csv.field_size_limit(_LONGEST_CELL)
    with path.open(encoding="utf-8-sig", newline="") as file:
        table = csv.DictReader(file, strict=True)
        try:
            _check_header(path, table.fieldnames or ())
            yield from table
        except UnicodeDecodeError as error:
            raise SetupError(f"{path} is not a CSV file in UTF-8: {error}") from error
        except csv.Error as error:
            raise SetupError(f"{path} is damaged at or before line {table.reader.line_num}: {error}") from error


def _jsonl(path: Path) -> Iterator[Mapping[Any, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        number = 0
        try:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _object(path, number, line)
        except UnicodeDecodeError as error:
            raise SetupError(f"{path} is not in UTF-8 after line {number}: {error}") from error


def _object(path: Path, number: int, line: str) -> Mapping[Any, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise SetupError(f"line {number} of {path} is not a JSON object")
    _check_columns(path, values)
    return values


def _parquet(path: Path) -> Iterator[Mapping[Any, Any]]:
    with _arrow(path) as parquet, parquet.ParquetFile(path) as table:
        names = table.schema_arrow.names
        _check_header(path, names)
        columns = [name for name in _COLUMNS if name in names]
        for batch in table.iter_batches(batch_size=_PARQUET_BATCH, columns=columns):
            yield from batch.to_pylist()


def _parquet_rows(path: Path) -> int:
    with _arrow(path) as parquet:
        return int(parquet.read_metadata(path).num_rows)


@contextmanager
def _arrow(path: Path) -> Iterator[Any]:
    """Give the module that reads Parquet. Raises SetupError when it is not installed, or cannot read the file."""
    try:
        import pyarrow as pa  # noqa: PLC0415  an optional extra
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise SetupError("Parquet needs an extra: install `likeness-server[parquet]`") from error
    try:
        yield parquet
    except pa.ArrowException as error:
        raise SetupError(f"{path} is not a Parquet file, or it is damaged: {error}") from error
