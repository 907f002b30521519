"""The names of model packs. An id and an identity are texts; the type checker tells them apart."""

from dataclasses import dataclass
from typing import NewType

PackId = NewType("PackId", str)
"""What settings and commands name a pack by, such as ``best``."""
PackIdentity = NewType("PackIdentity", str)
"""A pack in one version, ``id@version``. Templates of different identities are never compared."""


@dataclass(frozen=True, slots=True)
class ModelPack:
    """The id and version of a loaded pack, and how many numbers its templates have."""

    id: PackId
    version: str
    template_size: int

    @property
    def identity(self) -> PackIdentity:
        return PackIdentity(f"{self.id}@{self.version}")

    def __str__(self) -> str:
        return self.identity


def id_of(pack: PackId | PackIdentity) -> PackId:
    """Give a pack's id, of any of its versions."""
    return PackId(pack.partition("@")[0])
