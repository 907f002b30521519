"""What a photo may be: its bytes, the path of a file, or an open file."""

import os
from pathlib import Path
from typing import Literal, Protocol


class _Readable(Protocol):
    def read(self) -> bytes: ...


PhotoSource = Literal["SELFIE", "ID_DOCUMENT", "CHIP"]
"""What a photo is: of the person, of a document, or the portrait from a chip."""
Photo = bytes | bytearray | memoryview | str | os.PathLike[str] | _Readable


def read_photo(photo: Photo) -> bytes:
    """Give a photo's bytes. A text is a path. Raises OSError."""
    if isinstance(photo, bytes | bytearray | memoryview):
        return bytes(photo)
    if isinstance(photo, str | os.PathLike):
        return Path(photo).read_bytes()
    return photo.read()
