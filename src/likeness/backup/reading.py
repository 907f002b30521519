"""The reading of a backup: its photos go into the image store, its database into a file.

Nothing in it is believed before the statement at its end. The header has the sealed key of the deployment, so the
statement is checked before the database is opened.
"""

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from likeness.audit.signing import BACKUP
from likeness.backup.archive import (
    DATABASE,
    FORMAT,
    HEADER,
    KEY,
    PHOTOS,
    STATEMENT,
    ArchiveReader,
    Identity,
    Member,
    decrypting,
)
from likeness.deployment import signer_of
from likeness.errors import SetupError
from likeness.kit.envelope import KEY_BYTES, FileKeyProvider, KeyProvider
from likeness.kit.files import replacing
from likeness.kit.ids import is_object_id
from likeness.settings import LARGEST_PHOTO_BYTES, MEBIBYTE
from likeness.store.images import MOVE_MARK, Objects
from likeness.store.move.photos import holds_anything

LARGEST_SMALL_BYTES = MEBIBYTE
"""Most bytes of a member that is neither the database nor a photo."""
LARGEST_SEALED_BYTES = LARGEST_PHOTO_BYTES + LARGEST_SMALL_BYTES
PHOTOS_AT_ONCE = 16
_PHOTO_NAME = re.compile(rf"{PHOTOS}([0-9a-f-]{{36}})/([0-9a-f]{{24}})")
_NOT_OURS = "this is not a backup of Likeness, or it was altered"


@dataclass(frozen=True, slots=True)
class Contents:
    """What a backup says of itself: in its header, and in its signed statement. ``key_inside``: its master key."""

    header: dict[str, Any]
    claims: dict[str, Any]
    key_inside: bytes | None


class BackupReading:
    """The reading of one backup."""

    def __init__(
        self, identities: Sequence[Identity], key_file: Path, objects: Objects, keys: KeyProvider | None = None
    ) -> None:
        """``key_file`` is that of the master key, and need not exist. ``keys`` has the key if it is in no file."""
        self._keys = keys
        self._identities = identities
        self._key_file = key_file
        self._objects = objects
        self._began = False
        self._spaces: set[str] = set()

    async def run(self, source: IO[bytes], database: Path) -> Contents:
        """Read everything. The database goes into a new file.

        Raises SetupError if the backup is damaged, or is not signed by the deployment of the master key.
        """
        with decrypting(source, self._identities) as stream:
            reader = ArchiveReader(stream)
            members = reader.members()
            header = _header(next(members, None))
            following = next(members, None)
            inside = None
            if following and following.name == KEY:
                inside, following = following.content(largest=KEY_BYTES), next(members, None)
            signer = signer_of(header["sealed_key"], self._key(inside))
            if following is None or following.name != DATABASE:
                raise SetupError(_NOT_OURS)
            await self._begin(header["id"])
            with replacing(database) as file:
                for piece in following.pieces():
                    file.write(piece)
            statement = await self._store_photos(members)
            claims = signer.open(BACKUP, statement.decode("ascii", "replace"))
            if (claims["id"], claims["sha256"]) != (header["id"], reader.digest):
                raise SetupError("the backup was altered: its content is not what the deployment signed")
            if next(members, None) is not None:
                raise SetupError(_NOT_OURS)
        return Contents(header, claims, inside)

    def _key(self, inside: bytes | None) -> KeyProvider:
        if self._keys is not None:
            return self._keys
        if self._key_file.exists():
            if inside is not None and inside != self._key_file.read_bytes():
                raise SetupError(
                    f"the backup has another master key than {self._key_file}: it is of another deployment"
                )
            return FileKeyProvider.read(self._key_file)
        if inside is None:
            raise SetupError(f"the backup has no master key: put the deployment's key at {self._key_file} first")
        return FileKeyProvider(inside)

    async def undo(self) -> None:
        """Empty the image store again, and remove its mark."""
        if self._began:
            for space in self._spaces:
                names = [name async for batch in self._objects.batches(space) for name in batch]
                for name in names:
                    await self._objects.delete(space, name)
            await self._objects.delete("", MOVE_MARK)

    async def _begin(self, token: str) -> None:
        """Mark the image store. Raises SetupError if it holds anything but a part of this restore."""
        found = await self._objects.get("", MOVE_MARK)
        if found is None:
            if await holds_anything(self._objects):
                raise SetupError("the image store holds something already: restore into an empty one")
            await self._objects.replace("", MOVE_MARK, token.encode())
        elif found != token.encode():
            raise SetupError("the image store holds a part of a move, or of another restore: empty it first")
        self._began = True

    async def _store_photos(self, members: Iterator[Member]) -> bytes:
        """Store the photos, some at once. Give the statement that follows them."""
        storing: set[asyncio.Task[None]] = set()
        try:
            for member in members:
                if member.name == STATEMENT:
                    return member.content(largest=LARGEST_SMALL_BYTES)
                found = _PHOTO_NAME.fullmatch(member.name)
                if not found:
                    raise SetupError(_NOT_OURS)
                self._spaces.add(found[1])
                content = member.content(largest=LARGEST_SEALED_BYTES)
                storing.add(asyncio.create_task(self._objects.replace(found[1], found[2], content)))
                if len(storing) >= PHOTOS_AT_ONCE:
                    done, storing = await asyncio.wait(storing, return_when=asyncio.FIRST_COMPLETED)
                    for each in done:
                        each.result()
        finally:
            await asyncio.gather(*storing)
        raise SetupError("the backup was cut: its end is missing")


def _header(member: Member | None) -> dict[str, Any]:
    if member is None or member.name != HEADER:
        raise SetupError(_NOT_OURS)
    try:
        header: dict[str, Any] = json.loads(member.content(largest=LARGEST_SMALL_BYTES))
        if header["format"] == FORMAT and is_object_id(header["id"]):
            return header
    except (ValueError, TypeError, KeyError) as error:
        raise SetupError(_NOT_OURS) from error
    raise SetupError("this is a backup of another version of Likeness, probably a newer one: install that one")
