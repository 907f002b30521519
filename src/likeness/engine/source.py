"""What a photo is a photo of. It has its own module, because requests name it and need no NumPy."""

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field


class PhotoSource(StrEnum):
    """The origin of a photo, as its sender names it."""

    SELFIE = "SELFIE"
    """A photo of the person, just taken."""
    ID_DOCUMENT = "ID_DOCUMENT"
    """A photo or a scan of a document. It may show the portrait a second time (a ghost image), and be turned."""
    CHIP = "CHIP"
    """The portrait from a document's chip."""


def _read(value: object) -> object:
    """Read a source's name, which in strict JSON is only a text."""
    if isinstance(value, str) and value in set(PhotoSource):
        return PhotoSource(value)
    raise ValueError(f"must be {', '.join(PhotoSource)} or null")


SourceMember = Annotated[
    Annotated[PhotoSource, BeforeValidator(_read)] | None,
    Field(
        description="What the photo is: a photo of the person (SELFIE), of a document that may be turned and may show "
        "the portrait twice (ID_DOCUMENT), or the portrait from a document's chip (CHIP)."
    ),
]
"""The member of a request that names the source of its photo."""
