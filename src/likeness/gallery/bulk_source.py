"""Where people to be enrolled in bulk come from: a folder of photos, or a table with a row for each.

A table has a column ``photo`` (a path, relative to the table's folder; in Parquet also the bytes themselves), and may have
``externalId`` and ``metadata`` (a JSON object of strings). Other columns are ignored. Who has no ``externalId`` gets the photo's path.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likeness.errors import SetupError

PHOTO_ENDINGS = frozenset({".jpg", ".jpeg", ".png"})
_PARQUET_BATCH = 64


@dataclass(frozen=True, slots=True)
class Row:
    """One person to enrol."""

    number: int
    """Counts from 1."""
    photo: Any
    """A path or bytes, if the table is right."""
    external_id: Any
    metadata: Any

    @property
    def name(self) -> str:
        """What the person is known by in a report."""
        return next(
            (text for text in (self.external_id, self.photo) if text and isinstance(text, str)), f"row {self.number}"
        )


@dataclass(frozen=True, slots=True)
class Source:
    """A folder or a table. ``rows`` may be begun again and gives the same order each time."""

    folder: Path
    rows: Callable[[], Iterator[Row]]
    count: Callable[[], int]

    def read(self, row: Row, *, at_most: int) -> bytes:
        """Give a row's photo, or its first bytes. Raises OSError, and ValueError for what no file can be named."""
        if isinstance(row.photo, bytes):
            return row.photo
        with (self.folder / str(row.photo)).open("rb") as file:
            return file.read(at_most)


def open_source(path: Path) -> Source:
    """Open a folder, or a ``.csv``, ``.jsonl`` or ``.parquet`` file. Raises SetupError for anything else."""
    if path.is_dir():
        photos = sorted(file.relative_to(path) for file in path.rglob("*") if file.suffix.lower() in PHOTO_ENDINGS)
        rows = [Row(number, photo.as_posix(), photo.as_posix(), None) for number, photo in enumerate(photos, start=1)]
        return Source(path, lambda: iter(rows), lambda: len(rows))
    readers: Mapping[str, Callable[[Path], Iterator[Mapping[str, Any]]]] = {
        ".csv": _csv,
        ".jsonl": _jsonl,
        ".parquet": _parquet,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None or not path.is_file():
        raise SetupError(f"{path} is neither a folder nor a .csv, .jsonl or .parquet file")
    return Source(
        path.parent,
        lambda: (_row(number, values) for number, values in enumerate(reader(path), start=1)),
        lambda: sum(1 for _ in reader(path)),
    )


def _row(number: int, values: Mapping[str, Any]) -> Row:
    photo = values.get("photo")
    if number == 1 and "photo" not in values:
        raise SetupError("The table has no column `photo`.")
    external_id = values.get("externalId") or (photo if isinstance(photo, str) else None)
    return Row(number, photo or "", external_id or None, values.get("metadata") or None)


def _csv(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            yield from csv.DictReader(file)
        except (UnicodeDecodeError, csv.Error) as error:
            raise SetupError(f"{path} is not a CSV file in UTF-8: {error}") from error


def _jsonl(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except ValueError:
                values = None
            if not isinstance(values, dict):
                raise SetupError(f"line {number} of {path} is not a JSON object")
            yield values


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        from pyarrow import parquet  # noqa: PLC0415  an optional extra
    except ImportError as error:
        raise SetupError("Parquet needs an extra: install `likeness[parquet]`") from error
    with parquet.ParquetFile(path) as table:
        columns = [name for name in ("photo", "externalId", "metadata") if name in table.schema_arrow.names]
        for batch in table.iter_batches(batch_size=_PARQUET_BATCH, columns=columns):
            yield from batch.to_pylist()
