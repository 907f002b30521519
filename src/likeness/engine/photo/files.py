"""Which files of a folder are photos: by their endings, or by how they begin; hidden files and thumbnails never are."""

import re
from pathlib import Path
from typing import Literal

from likeness.engine.photo import jpeg, png

Kind = Literal["hidden", "thumbnail", "no photo"]
_ENDINGS = frozenset({".jpg", ".jpeg", ".png"})
_SIGNATURES = (jpeg.SIGNATURE, png.SIGNATURE)
_THUMBNAIL_FOLDERS = frozenset({"thumbnails", "thumbs", "@eadir", "__macosx"})
"""Where picture viewers, a maker of disk stations and macOS keep small copies and files of their own."""
_THUMBNAIL = re.compile(r"(^|[-_. ])thumb(nail)?s?([-_. ]|$)", re.IGNORECASE)


def passed_over(folder: Path, file: Path) -> Kind | None:
    """Tell what a file is that is no photo, or None for a photo; ``file`` is relative to the ``folder``.

    What ends like a photo is one, so that a damaged one is told and not left out.
    """
    *folders, name = file.parts
    if any(part.startswith(".") for part in file.parts):
        return "hidden"
    if _THUMBNAIL.search(name) or not _THUMBNAIL_FOLDERS.isdisjoint(map(str.casefold, folders)):
        return "thumbnail"
    return None if file.suffix.lower() in _ENDINGS or _begins_like_one(folder / file) else "no photo"


def _begins_like_one(file: Path) -> bool:
    if not file.is_file():  # a pipe would be waited for
        return False
    try:
        with file.open("rb") as opened:
            return opened.read(max(map(len, _SIGNATURES))).startswith(_SIGNATURES)
    except OSError:
        return False
