"""The trail of one process: it numbers and chains records, and writes them with the database's other changes.

A chain has an order, so all who append to one chain must wait for each other. So each process has a chain of its own,
a *strand*. Several servers on one PostgreSQL then append without waiting. A seal (``likeness.audit.seals``) joins the
strands: it signs how far each has come.

A record's link is a MAC of the record and of the link before it, under a key of the deployment. So nobody can change a
record or add one with access to the database alone, without the master key.

There are two ways to append. ``note`` is for a change of the database: the record is written in the change's own
transaction, so neither exists without the other. ``Trail.record`` is for what changes nothing, such as a search. The
record is written with the next transaction, or alone within a second. A crash may lose it.
"""

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert

from likeness.audit.actions import DONE, REFUSED, Action
from likeness.audit.actor import ACTOR, SERVER, Actor
from likeness.audit.records import NO_LINK, Note, make_record
from likeness.kit.clock import Clock
from likeness.kit.metrics import Count
from likeness.store.ledger import noted
from likeness.store.statements import PreparedInsert
from likeness.store.tables import audit_records, audit_strands

log = logging.getLogger("likeness.audit")
_counted = Count(
    "likeness_audit_records_total",
    "Records of the audit trail: written, left out because strangers caused too many refusals, or lost because the "
    "database took none for long.",
    {"records": ("written", "left_out", "lost")},
)
GATHER_SECONDS = 1.0
"""Longest time from ``record`` to the attempt to write it."""
RETRY_SECONDS = 10.0
MOST_WAITING = 100_000
"""Records that wait while the database takes none. Further ones are lost, and counted."""
WRITTEN_AT_ONCE = 5_000
REFUSALS_PER_MINUTE = 600
"""Strangers can cause refusals. More in a minute are counted, not recorded."""
LONGEST_PAUSE_SECONDS = 12 * 3600.0
"""A strand without a new record for this long has ended, and is no longer looked at (see ``likeness.audit.seals``)."""

_INSERT = PreparedInsert(audit_records, *(column.name for column in audit_records.c))


def note(
    connection: Connection, action: Action, object_id: str | None, *, tenant: str | None = None, outcome: str = DONE
) -> None:
    """Record a change of the database in its own transaction. Without a trail, do nothing.

    ``tenant`` is the tenant's id; by default the present actor's.
    """
    notes = noted(connection)
    if notes is not None:
        actor = ACTOR.get()
        notes.append(Note(None, actor.who, tenant or actor.tenant, action, object_id, outcome, actor.request_id))


def note_sweep(connection: Connection, kind: str, count: int) -> None:
    """Record that a sweep deleted so many things of one kind, if there were any."""
    if count:
        note(connection, Action.SWEEP, kind, outcome=str(count))


@dataclass(frozen=True, slots=True)
class _End:
    """Where a strand ends."""

    strand: str
    number: int = 0
    link: bytes = NO_LINK
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class _Draft:
    """What the present transaction writes."""

    end: _End
    written: int
    gathered: int
    """How many of the waiting records are in it."""
    lost: int
    """How many lost records it tells of."""


class Trail:
    """Appends to this process's strand. ``record`` may be called on any thread, the rest on the writer's.

    It is the database's ``Ledger`` (see ``likeness.store.writer``).
    """

    def __init__(self, key: bytes, clock: Clock) -> None:
        """``key`` is a key of the deployment."""
        self._key = key
        self._clock = clock
        self._end = _new_strand()
        self._draft: _Draft | None = None
        self._waiting: deque[Note] = deque()
        self._due = 0.0
        self._lock = threading.Lock()
        """Guards the three numbers below."""
        self._lost = 0
        self._minute = 0
        self._refusals = 0

    def finish(self) -> str | None:
        """End the strand, and give its id. Give None if it has no stored record."""
        ended, self._end = self._end, _new_strand()
        return ended.strand if ended.number else None

    def record(self, action: Action, object_id: str | None, *, outcome: str = DONE, actor: Actor | None = None) -> None:
        """Record what changed nothing in the database. It costs the caller some microseconds."""
        actor, now = actor or ACTOR.get(), self._clock.now()
        made = Note(now, actor.who, actor.tenant, action, object_id, outcome, actor.request_id)
        if outcome == REFUSED and not self._may_record_refusal(int(now // 60)):
            _counted.add("left_out")
            return
        if len(self._waiting) >= MOST_WAITING:
            with self._lock:
                self._lost += 1
            _counted.add("lost")
            return
        if not self._waiting:
            self._due = time.monotonic() + GATHER_SECONDS
        self._waiting.append(made)

    def _may_record_refusal(self, minute: int) -> bool:
        with self._lock:
            if minute != self._minute:
                if (left_out := self._refusals - REFUSALS_PER_MINUTE) > 0:
                    self._waiting.append(_own_note(Action.FLOOD, left_out))
                self._minute, self._refusals = minute, 0
            self._refusals += 1
            return self._refusals <= REFUSALS_PER_MINUTE

    @property
    def is_waiting(self) -> bool:
        return bool(self._waiting)

    def seconds_left(self) -> float:
        """Give the seconds until the waiting records are written. Without any, give the time to the next look."""
        return max(0.0, self._due - time.monotonic()) if self._waiting else GATHER_SECONDS

    def postpone(self) -> None:
        self._due = time.monotonic() + RETRY_SECONDS

    def write(self, connection: Connection, notes: Sequence[Note]) -> None:
        """Append the notes of a transaction, and the waiting records."""
        gathered = [self._waiting[place] for place in range(min(len(self._waiting), WRITTEN_AT_ONCE))]
        lost = self._lost
        own = [_own_note(Action.LOSS, lost)] if lost else []
        if not (notes or gathered):
            return
        now, end = self._clock.now(), self._end
        if end.number and now - end.time > LONGEST_PAUSE_SECONDS:
            end = _new_strand()
        if not end.number:
            values = {"strand": end.strand, "sealed": 0, "link": NO_LINK, "changed_at": now}
            connection.execute(insert(audit_strands).values(values))
        rows = []
        for each in (*own, *gathered, *notes):
            record = make_record(self._key, end.strand, end.number + 1, end.link, now, each)
            end = _End(end.strand, record.number, record.link, now)
            rows.append(record._asdict())
        self._draft = _Draft(end, len(rows), len(gathered), lost)
        _INSERT.many(connection, rows)

    def conclude(self, *, committed: bool) -> None:
        """Go on from what the transaction wrote. If it was not committed, or nobody knows, begin a new strand."""
        draft, self._draft = self._draft, None
        if draft is None:
            return
        if committed:
            _counted.add("written", by=draft.written)
            self._end = draft.end
            for _ in range(draft.gathered):
                self._waiting.popleft()
            if draft.lost:
                log.error("%d records of the audit trail were lost: the database took none for too long", draft.lost)
                with self._lock:
                    self._lost -= draft.lost
        else:  # nobody may know whether the rows are stored, so they are written again elsewhere
            self._end = _new_strand()


def _new_strand() -> _End:
    return _End(secrets.token_hex(8))


def _own_note(action: Action, number: int) -> Note:
    return Note(None, SERVER.who, None, action, None, str(number), None)
