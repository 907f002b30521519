"""The stored answers to requests that may be repeated, and how long they are kept.

A request is identified by its key: a caller's ``Idempotency-Key``, or the occasion that enrols a person. Both kinds
share one table, and their keys never collide. An answer's age is counted in hours that a server ran, on its monotonic
clock. So a jump of the wall clock makes no answer older.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Integer, Text, cast, delete, func, insert, select

from likeness.store.database import Database
from likeness.store.facts import read_fact, record_fact
from likeness.store.tables import deployment, idempotency_keys
from likeness.tenants.service import Tenant

REMEMBERED_HOURS = 24
HOUR_SECONDS = 3600.0
FACT = "served_hours"
_SERVED_HOURS = func.coalesce(
    select(cast(cast(deployment.c.value, Text), Integer)).where(deployment.c.name == FACT).scalar_subquery(), 0
)


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A request that may be repeated. ``digests`` distinguish it from other requests with the same ``key``.

    The first digest is stored. The others are those that an older version has stored.
    """

    key: str
    digests: Sequence[str]

    @classmethod
    def call(cls, tenant: Tenant, key: str, photo: bytes, fields: Sequence[Any]) -> "Repeatable":
        """Make one from a call with a photo and other fields, which JSON can write.

        The digest has a secret key, so the database alone does not reveal the photo.
        """
        others = json.dumps(fields, sort_keys=True).encode()
        digests = tenant.cipher.macs(hashlib.sha256(photo).digest() + others, "request")
        return cls(f"call {key}", [digest.hex() for digest in digests])

    @classmethod
    def occasion(cls, name: str) -> "Repeatable":
        """Make one from an occasion. The request of an occasion is always the same."""
        return cls(f"occasion {name}", [name])


@dataclass(frozen=True, slots=True)
class RememberedAnswer:
    """The answer to a request, and the request's digest."""

    request_digest: str
    answer: dict[str, Any]


def recall_answer(connection: Connection, tenant_id: str, key: str) -> RememberedAnswer | None:
    """Give the answer that is kept under a key, or None."""
    query = select(idempotency_keys.c.request_digest, idempotency_keys.c.answer).where(
        idempotency_keys.c.tenant_id == tenant_id, idempotency_keys.c.key == key
    )
    row = connection.execute(query).one_or_none()
    return RememberedAnswer(*row) if row else None


def answers_about(connection: Connection, tenant_id: str, entry_id: str) -> list[dict[str, Any]]:
    """Give the kept answers that name an entry."""
    mine = idempotency_keys.c.tenant_id == tenant_id
    answers = connection.execute(select(idempotency_keys.c.answer).where(mine)).scalars()
    return [answer for answer in answers if entry_id in json.dumps(answer)]


def remember_answer(connection: Connection, tenant_id: str, request: Repeatable, answer: dict[str, Any]) -> None:
    """Keep an answer. Raises IntegrityError when another request has used the key meanwhile."""
    connection.execute(
        insert(idempotency_keys).values(
            tenant_id=tenant_id,
            key=request.key,
            request_digest=request.digests[0],
            answer=answer,
            served_hour=_SERVED_HOURS,
        )
    )


class AnswerAges:
    """Counts the hours that a server runs, and deletes answers that are older than ``REMEMBERED_HOURS``."""

    def __init__(self, database: Database, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._monotonic = monotonic
        self._counted = monotonic()

    async def advance(self) -> None:
        """Count the full hours since the last count. Call it repeatedly. Raises ServiceUnavailable."""
        hours = int((self._monotonic() - self._counted) / HOUR_SECONDS)
        if hours:
            await self._database.write(lambda c: _advance(c, hours))
            self._counted += hours * HOUR_SECONDS


def _advance(connection: Connection, hours: int) -> None:
    served = (read_fact(connection, FACT) or 0) + hours
    record_fact(connection, FACT, served)
    connection.execute(delete(idempotency_keys).where(idempotency_keys.c.served_hour < served - REMEMBERED_HOURS))
