"""A gallery as a table: one row for each entry, in order of enrolment, and its photos where they are asked for.

The table is what :mod:`likeness.gallery.bulk_source` reads, so that one gallery can be enrolled into another.
"""

import csv
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

from likeness.errors import SetupError
from likeness.gallery.repository import Entry, GalleryRows
from likeness.store.database import Database
from likeness.tenants.service import Tenant

COLUMNS = ("oneToNVerificationId", "externalId", "metadata", "quality", "imageStored", "createdAt", "photo")
_PAGE = 500
_PNG = b"\x89PNG"
Photo = Callable[[str], Awaitable[bytes | None]]
"""Gives a stored photo by its image id."""


async def export(
    database: Database,
    tenant: Tenant,
    target: Path,
    *,
    images: Path | None = None,
    photo: Photo,
    progress: Callable[[int], None],
) -> int:
    """Write entries to a ``.csv`` or ``.jsonl`` file that only its owner reads, and photos to the folder ``images``; gives how many entries.

    Raises SetupError for another ending or a file that is there already, ServiceUnavailable.
    """
    if target.suffix not in {".csv", ".jsonl"}:
        raise SetupError(f"{target}: the ending must be .csv or .jsonl")
    rows, key, count = GalleryRows(tenant.id), 0, 0
    with _new(target) as file:
        write = _csv_writer(file) if target.suffix == ".csv" else _jsonl_writer(file)
        while entries := await database.read(partial(rows.page, after_key=key, limit=_PAGE)):
            for entry in entries:
                stored = await photo(entry.image_id) if images and entry.image_id else None
                write(_values(entry, _put(images, entry, stored, target.parent) if images and stored else None))
            key, count = entries[-1].key, count + len(entries)
            progress(count)
    return count


def _values(entry: Entry, photo: str | None) -> dict[str, Any]:
    created = datetime.fromtimestamp(entry.created_at, UTC).isoformat(timespec="milliseconds")
    stored = entry.image_id is not None
    return dict(
        zip(COLUMNS, (entry.id, entry.external_id, entry.labels, entry.quality, stored, created, photo), strict=True)
    )


def _put(images: Path, entry: Entry, photo: bytes, relative_to: Path) -> str:
    path = images / f"{entry.id}{'.png' if photo.startswith(_PNG) else '.jpg'}"
    with open(path, "wb", opener=private) as file:
        file.write(photo)
    return os.path.relpath(path, relative_to)


@contextmanager
def _new(target: Path) -> Iterator[IO[str]]:
    try:
        with open(target, "x", encoding="utf-8", newline="", opener=private) as file:
            yield file
    except FileExistsError:
        raise SetupError(f"{target} is there already") from None


def _csv_writer(file: IO[str]) -> Callable[[dict[str, Any]], Any]:
    table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    table.writeheader()
    return lambda values: table.writerow(
        values | {"metadata": json.dumps(values["metadata"], ensure_ascii=False) if values["metadata"] else ""}
    )


def _jsonl_writer(file: IO[str]) -> Callable[[dict[str, Any]], Any]:
    return lambda values: file.write(json.dumps(values, ensure_ascii=False) + "\n")


def private(path: str, flags: int) -> int:
    """Open a file that only its owner reads, also where it was there before."""
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def spreadsheet_text(value: str) -> str:
    """Give a text that came from callers in a form that a spreadsheet does not take for a formula."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
