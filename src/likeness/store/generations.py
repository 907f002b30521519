"""Whether the photos were stored with this database, and not with a newer state of it or with another one.

The database and the image store both hold a *generation*: a number that rises, and a random token. The two agree while
one database is in use. A database that was restored from a copy holds an earlier generation than the store. A database
that was cloned and used holds another one. Photos must not be deleted because such a database does not refer to them.

The database gets a new generation first, and remembers the one before. So a crash between the two writes causes no
disagreement. A copy made within the newest generation cannot be recognised. The photo quarantine covers that case (see
``likeness.gallery.maintenance.sweep``).
"""

import json
import secrets
from functools import partial
from typing import Any

from sqlalchemy import Connection

from likeness.store.database import Database
from likeness.store.facts import read_fact, record_fact
from likeness.store.images import ImageStore

FACT = "photo_generation"
Generation = dict[str, Any]


class Generations:
    """The generations of a database and of its image store.

    Only one event loop may use it, in the process that owns both.
    """

    def __init__(self, images: ImageStore, database: Database) -> None:
        self._images = images
        self._database = database

    async def agree(self) -> bool:
        """Whether database and image store agree, or both have no generation yet. Raises ServiceUnavailable."""
        known, stored = await self._read()
        return stored in known if stored or known else True

    async def begin_next(self, *, whatever: bool = False) -> bool:
        """Begin the next generation in both. If they disagree, give False and change nothing.

        ``whatever`` begins it even then. Raises ServiceUnavailable.
        """
        known, stored = await self._read()
        if not whatever and (stored or known) and stored not in known:
            return False
        newest = max((each["number"] for each in (*known, stored) if each), default=0)
        present = {"number": newest + 1, "token": secrets.token_hex(8)}
        generations = [present, stored] if stored else [present]
        await self._database.write(partial(record_fact, name=FACT, value=generations))
        await self._images.set_mark(json.dumps(present).encode())
        return True

    async def _read(self) -> tuple[list[Generation], Generation | None]:
        known = await self._database.read(partial(read_fact, name=FACT))
        mark = await self._images.mark()
        return known or [], None if mark is None else _parse(mark)


def mark_of(connection: Connection) -> bytes | None:
    """Give the mark of an image store that agrees with this database. None if the database has no generation."""
    known: list[Generation] = read_fact(connection, FACT) or []
    return json.dumps(known[0]).encode() if known else None


def _parse(mark: bytes) -> Generation:
    try:
        generation = json.loads(mark)
    except ValueError:
        generation = None
    # An unreadable mark agrees with no generation.
    return generation if isinstance(generation, dict) and isinstance(generation.get("number"), int) else {"number": 0}
