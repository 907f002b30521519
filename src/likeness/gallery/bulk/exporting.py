"""The export of a gallery: a table with one row for each entry in order of enrolment, and on request the photos.

:mod:`likeness.gallery.bulk.source` reads the table. So one gallery can be imported into another.
"""

import csv
import io
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from likeness.engine.photo import jpeg2000, png
from likeness.errors import SetupError
from likeness.gallery.entries.entry import Entry
from likeness.gallery.repository import GalleryRepository
from likeness.kit.clock import timestamp
from likeness.kit.files import replacing
from likeness.store.database import Database
from likeness.tenants.service import Tenant

COLUMNS = (
    *("oneToNVerificationId", "externalId", "metadata", "quality", "imageStored", "createdAt"),
    *("consentReference", "purpose", "expiresAt", "legalHold", "photo"),
)
_PAGE = 500
_ENDINGS = {png.SIGNATURE: ".png", jpeg2000.SIGNATURE: ".jp2", jpeg2000.CODESTREAM: ".j2k"}
"""By a file's first bytes. All others are JPEG."""
ReadPhoto = Callable[[str], Awaitable[bytes | None]]
"""Gives a stored photo by its id, or None."""


@dataclass(slots=True)
class Exported:
    """What an export has written."""

    entries: int = 0
    without_photo: list[str] = field(default_factory=list)
    """Ids of the entries whose stored photo is missing or damaged."""


async def export_gallery(
    database: Database,
    tenant: Tenant,
    target: Path,
    *,
    images: Path | None = None,
    photo: ReadPhoto,
    progress: Callable[[int], None],
) -> Exported:
    """Write entries to a ``.csv`` or ``.jsonl`` file, and photos to the folder ``images``. Only their owner can read.

    Raises SetupError for another ending or a file that exists already, and ServiceUnavailable.
    """
    ending = target.suffix.lower()
    if ending not in {".csv", ".jsonl"}:
        raise SetupError(f"{target}: the ending must be .csv or .jsonl")
    rows, key, exported = GalleryRepository(tenant.id), 0, Exported()
    with written_whole(target) as file:
        if images:
            _make_folder(images)
        write = _csv_writer(file) if ending == ".csv" else _jsonl_writer(file)
        while entries := await database.read(partial(rows.page, after_key=key, limit=_PAGE)):
            for entry in entries:
                path = None
                if images and entry.image_id:
                    stored = await _read(photo, entry.image_id)
                    if stored is None:
                        exported.without_photo.append(entry.id)
                    else:
                        path = _put(images, entry, stored, target.parent)
                write(_values(entry, path))
            key = entries[-1].key
            exported.entries += len(entries)
            progress(exported.entries)
    return exported


async def _read(photo: ReadPhoto, image_id: str) -> bytes | None:
    try:
        return await photo(image_id)
    except SetupError:  # a damaged photo does not stop the export
        return None


def _values(entry: Entry, photo: str | None) -> dict[str, Any]:
    created = timestamp(entry.created_at)
    stored = entry.image_id is not None
    values = entry.id, entry.external_id, entry.metadata, entry.quality, stored, created
    expires = None if entry.expires_at is None else timestamp(entry.expires_at)
    kept = entry.consent_reference, entry.purpose, expires, entry.legal_hold
    return dict(zip(COLUMNS, (*values, *kept, photo), strict=True))


def _make_folder(images: Path) -> None:
    images.mkdir(mode=0o700, parents=True, exist_ok=True)


def ending_of(photo: bytes) -> str:
    """Give the ending of a photo's file."""
    return next((ending for start, ending in _ENDINGS.items() if photo.startswith(start)), ".jpg")


def _put(images: Path, entry: Entry, photo: bytes, relative_to: Path) -> str:
    path = images / f"{entry.id}{ending_of(photo)}"
    with open(path, "wb", opener=private) as file:
        file.write(photo)
    return os.path.relpath(path.resolve(), relative_to.resolve())


def refuse_present(*targets: Path | None) -> None:
    """Raise SetupError when a target exists already. No file is overwritten."""
    for target in targets:
        if target and target.exists():
            raise SetupError(f"{target} exists already")


@contextmanager
def written_whole(target: Path) -> Iterator[IO[str]]:
    """Write a text file that only its owner can read. It gets its name only when it is complete.

    Raises SetupError when the target exists already.
    """
    refuse_present(target)
    with replacing(target) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        yield text
        text.detach()


def _csv_writer(file: IO[str]) -> Callable[[dict[str, Any]], Any]:
    table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    table.writeheader()
    return lambda values: table.writerow(
        values | {"metadata": json.dumps(values["metadata"], ensure_ascii=False) if values["metadata"] else ""}
    )


def _jsonl_writer(file: IO[str]) -> Callable[[dict[str, Any]], Any]:
    return lambda values: file.write(json.dumps(values, ensure_ascii=False) + "\n")


def private(path: str, flags: int) -> int:
    """Open a file so that only its owner can read it, also when it existed before."""
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def spreadsheet_text(value: str) -> str:
    """Change a caller's text so that a spreadsheet does not read it as a formula."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
