"""The photos among a folder's files, by name ending or first bytes. Hidden files and thumbnails do not count."""

import re
from pathlib import Path
from typing import Literal

from likeness.engine.photo import jpeg, jpeg2000, png

Kind = Literal["hidden", "thumbnail", "no photo"]
_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".jp2", ".j2k"})
_SIGNATURES = (jpeg.SIGNATURE, png.SIGNATURE, *jpeg2000.SIGNATURES)
_THUMBNAIL_FOLDERS = frozenset({"thumbnails", "thumbs", "@eadir", "__macosx"})
"""Folders in which picture viewers, network storage and macOS keep small copies and their own files."""
_THUMBNAIL = re.compile(r"(^|[-_. ])thumb(nail)?s?([-_. ]|$)", re.IGNORECASE)


def passed_over(folder: Path, file: Path) -> Kind | None:
    """Return the kind of a file that is not a photo, or None for a photo. ``file`` is relative to ``folder``.

    A file with a photo's ending is a photo, so that a damaged one is reported and not left out.
    """
    *folders, name = file.parts
    if any(part.startswith(".") for part in file.parts):
        return "hidden"
    if _THUMBNAIL.search(name) or not _THUMBNAIL_FOLDERS.isdisjoint(map(str.casefold, folders)):
        return "thumbnail"
    return None if file.suffix.lower() in _ENDINGS or _begins_like_one(folder / file) else "no photo"


def _begins_like_one(file: Path) -> bool:
    if not file.is_file():  # a read from a pipe would block
        return False
    try:
        with file.open("rb") as opened:
            return opened.read(max(map(len, _SIGNATURES))).startswith(_SIGNATURES)
    except OSError:
        return False
