"""Is the database at hand the one that the photos were stored with, or an older copy of it, or another's?

The database and the image store both hold a *generation*, a number that rises and a random token. The two agree while
one database is in use. One that was put back from a copy holds an earlier generation than the store does, one that was
cloned and used holds another, and on the word of neither may a photo go. The database learns of a new generation first
and remembers the one before, so a crash between the two writes is no disagreement. What was copied within the newest
generation looks like the present: that is what the photo quarantine is for (see
``likeness.gallery.maintenance.sweep``).
"""

import json
import secrets
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from likeness.store.database import Database
from likeness.store.images import ImageStore
from likeness.store.tables import deployment

FACT = "photo_generation"
Generation = dict[str, Any]


class Generations:
    """The generations of a database and of the image store beside it.

    One event loop uses it, in the process that owns both.
    """

    def __init__(self, images: ImageStore, database: Database) -> None:
        self._images = images
        self._database = database

    async def agree(self) -> bool:
        """Whether nothing says that the photos were stored with another database. Raises ServiceUnavailable."""
        known, stored = await self._read()
        return stored in known if stored or known else True

    async def begin_next(self, *, whatever: bool = False) -> bool:
        """Begin a generation in both; False where they disagree, unless that is to be settled now.

        Raises ServiceUnavailable.
        """
        known, stored = await self._read()
        if not whatever and (stored or known) and stored not in known:
            return False
        newest = max((each["number"] for each in (*known, stored) if each), default=0)
        present = {"number": newest + 1, "token": secrets.token_hex(8)}
        await self._database.write(lambda c: _record(c, [present, stored] if stored else [present]))
        await self._images.set_mark(json.dumps(present).encode())
        return True

    async def _read(self) -> tuple[list[Generation], Generation | None]:
        known = await self._database.read(
            lambda c: c.execute(select(deployment.c.value).where(deployment.c.name == FACT)).scalar_one_or_none()
        )
        mark = await self._images.mark()
        return known or [], None if mark is None else _parse(mark)


def _parse(mark: bytes) -> Generation:
    try:
        generation = json.loads(mark)
    except ValueError:
        generation = None
    # What cannot be read agrees with nothing.
    return generation if isinstance(generation, dict) and isinstance(generation.get("number"), int) else {"number": 0}


def _record(connection: Connection, generations: list[Generation]) -> None:
    connection.execute(delete(deployment).where(deployment.c.name == FACT))
    connection.execute(insert(deployment).values(name=FACT, value=generations))
