"""Seals: signed statements of how far each strand of the trail has come, and the trim of what is too old.

A seal names the records that came since the last one, as ranges of strands. For each range it has the link before, the
last link, and the SHA-256 of the lines. The lines' hash needs no secret, so an auditor can verify an export with the
public key alone. Each seal has the hash of the seal before, so they are a chain. Before the sealer signs, it checks the
records' links: it does not sign what was altered.

A trim deletes the oldest seals with all their records. It leaves an anchor: the signed number and hash of the last seal
that went. So the rest still verifies, and a deletion without the key does not look like a trim.
"""

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from likeness.audit.actions import Action
from likeness.audit.records import link_of, read_records
from likeness.audit.signing import ANCHOR, SEAL, StatementSigner
from likeness.audit.trail import LONGEST_PAUSE_SECONDS, note
from likeness.errors import SetupError
from likeness.kit.clock import Clock
from likeness.kit.files import replacing
from likeness.kit.metrics import Count
from likeness.store.database import Database
from likeness.store.facts import read_fact, record_fact
from likeness.store.tables import audit_records, audit_seals, audit_strands

log = logging.getLogger("likeness.audit")
_altered = Count(
    "likeness_audit_alterations_total",
    "Faults of the audit trail that this server found: an altered record, or seals that are gone.",
)
OLDER = "the database is an older copy than {}"
ANCHOR_FACT = "audit_anchor"
SEALED_AT_ONCE = 20_000
"""Records of a strand in one seal. A seal is made or trimmed in one transaction."""
TRIMMED_AT_ONCE = 10_000
DAY_SECONDS = 86_400.0
KEPT_NAME = "audit.seal"
"""File of the newest seal, in the data folder."""
_WRITTEN = re.compile(r"([1-9]\d{0,17}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class SealedRange:
    """Records ``first`` to ``last`` of a strand. Links and the hash are in hexadecimal."""

    strand: str
    first: int
    last: int
    before: str
    link: str
    sha256: str


@dataclass(frozen=True, slots=True)
class SealPlace:
    """A place in the chain of seals: a seal's number and hash. Before the first seal: 0 and an empty text."""

    number: int = 0
    sha256: str = ""

    @classmethod
    def read(cls, text: str) -> "SealPlace":
        """Read a place as it is written. Raises ValueError."""
        found = _WRITTEN.fullmatch(text.strip())
        if not found:
            raise ValueError("a seal is written as NUMBER:HASH")
        return cls(int(found[1]), found[2])

    def __str__(self) -> str:
        return f"{self.number}:{self.sha256}"


def hash_of_seal(jws: str) -> str:
    """Give the hash that names a seal, in hexadecimal."""
    return hashlib.sha256(jws.encode()).hexdigest()


def read_anchor(connection: Connection, signer: StatementSigner) -> SealPlace:
    """Give the last seal that was trimmed. Raises SetupError if the anchor was altered."""
    jws = read_fact(connection, ANCHOR_FACT)
    if jws is None:
        return SealPlace()
    claims = signer.open(ANCHOR, str(jws))
    return SealPlace(claims["number"], claims["sha256"])


def newest_seal(connection: Connection, signer: StatementSigner) -> SealPlace:
    """Give the newest seal, or the anchor if all were trimmed. Raises SetupError if the anchor was altered."""
    newest = connection.execute(select(audit_seals).order_by(audit_seals.c.number.desc()).limit(1)).one_or_none()
    return SealPlace(newest.number, hash_of_seal(newest.jws)) if newest else read_anchor(connection, signer)


def ranges_of(claims: dict[str, Any]) -> list[SealedRange]:
    """Give the ranges in a seal's claims."""
    return [SealedRange(**each) for each in claims["ranges"]]


class Seals:
    """Seals and trims the trail of a deployment. Every method blocks, so a server calls it on a thread."""

    def __init__(self, database: Database, key: bytes, signer: StatementSigner, clock: Clock, kept: Path) -> None:
        """``key`` is that of the trail's links. ``kept`` is the file of the newest seal."""
        self.key = key
        self.signer = signer
        self.kept = kept
        self._database = database
        self._clock = clock
        self._reported: set[str] = set()

    def seal(self, *, ended: str | None = None) -> SealPlace | None:
        """Sign what was written since the last seal. Give the newest new seal, or None without new records.

        ``ended`` is a strand that gets no more records. Raises ServiceUnavailable, and SetupError when the last seal or
        the anchor was altered.
        """
        newest = self._seal_all(ended)
        if newest:
            self._keep(newest)
        return newest

    def lacks(self) -> SealPlace | None:
        """Give the seal of the file, if the trail no longer has it: the database is an older copy, or was cut.

        Raises ServiceUnavailable, and SetupError when the file or the anchor was altered.
        """
        try:
            place = SealPlace.read(self.kept.read_text())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise SetupError(f"the file of the newest seal, {self.kept}, is damaged: delete it") from error
        return None if self.has(place) else place

    def has(self, place: SealPlace) -> bool:
        """Whether the trail has a seal, or has trimmed it. Raises ServiceUnavailable, and SetupError as ``lacks``."""
        return self._database.read_now(partial(self._has, place=place))

    def _has(self, connection: Connection, place: SealPlace) -> bool:
        jws = connection.execute(select(audit_seals.c.jws).where(audit_seals.c.number == place.number)).scalar()
        return (jws is not None and hash_of_seal(jws) == place.sha256) or (
            jws is None and place.number <= read_anchor(connection, self.signer).number
        )

    def _keep(self, newest: SealPlace) -> None:
        """Write the newest seal to the file, unless the file shows that the database is an older copy."""
        try:
            if lost := self.lacks():
                self._report(str(lost), f"{OLDER.format(self.kept)}, which names seal {lost.number}")
                return
            with replacing(self.kept) as file:
                file.write(f"{newest}\n".encode())
        except (OSError, SetupError) as error:
            log.warning("the newest seal of the audit trail is not kept in a file: %s", error)

    def _seal_all(self, ended: str | None) -> SealPlace | None:
        newest = None
        while True:
            last, ranges = self._database.read_now(self._unsealed)
            if not (ranges or ended):
                return newest
            try:
                newest = self._seal(last, ranges, ended) or newest
            except IntegrityError:  # another process made this seal first, and the next one has the rest
                return newest
            if not any(each.last - each.first + 1 == SEALED_AT_ONCE for each in ranges):
                return newest

    def _seal(self, last: SealPlace, ranges: Sequence[SealedRange], ended: str | None) -> SealPlace | None:
        number, now = last.number + 1, self._clock.now()
        claims = {"number": number, "time": now, "previous": last.sha256, "ranges": [asdict(each) for each in ranges]}
        jws = self.signer.sign(SEAL, claims)

        def change(connection: Connection) -> None:
            if ranges:
                connection.execute(insert(audit_seals).values(number=number, jws=jws))
            for each in ranges:
                mine = (audit_strands.c.strand == each.strand) & (audit_strands.c.sealed == each.first - 1)
                values = {"sealed": each.last, "link": bytes.fromhex(each.link), "changed_at": now}
                connection.execute(update(audit_strands).where(mine).values(values))
            over = (audit_strands.c.strand == ended) | (audit_strands.c.changed_at < now - 2 * LONGEST_PAUSE_SECONDS)
            more = audit_records.c.strand == audit_strands.c.strand, audit_records.c.number > audit_strands.c.sealed
            connection.execute(delete(audit_strands).where(over, ~exists().where(*more)))

        self._database.write_now(change, exclusive=True)
        if not ranges:
            return None
        place = SealPlace(number, hash_of_seal(jws))
        log.info("audit seal %s", place)
        return place

    def _unsealed(self, connection: Connection) -> tuple[SealPlace, list[SealedRange]]:
        last = newest_seal(connection, self.signer)
        strands = connection.execute(select(audit_strands).order_by(audit_strands.c.strand)).all()
        found = (self._range(connection, row.strand, row.sealed, bytes(row.link)) for row in strands)
        return last, [each for each in found if each]

    def _range(self, connection: Connection, strand: str, sealed: int, before: bytes) -> SealedRange | None:
        mine = (audit_records.c.strand == strand) & (audit_records.c.number > sealed)
        lines, number, link = hashlib.sha256(), sealed, before
        for record in read_records(
            connection,
            lambda query: query.where(mine).order_by(audit_records.c.number).limit(SEALED_AT_ONCE),
            batch=1000,
        ):
            number += 1
            if record.number != number or record.link != link_of(self.key, link, record.line):
                self._report(strand, f"the audit trail was altered at record {number} of strand {strand}")
                return None
            lines.update(record.line)
            link = record.link
        if number == sealed:
            return None
        return SealedRange(strand, sealed + 1, number, before.hex(), link.hex(), lines.hexdigest())

    def _report(self, what: str, fault: str) -> None:
        if what not in self._reported:
            self._reported.add(what)
            _altered.add()
            log.critical("%s: run `likeness audit verify`", fault)

    def trim(self, *, before: float) -> int:
        """Delete the seals that were made before a time, with their records. Give the number of records deleted.

        Raises ServiceUnavailable, and SetupError when a seal or the anchor was altered: then nothing more is deleted.
        """
        deleted = 0
        while True:
            some = self._database.read_now(partial(self._old, before=before))
            if not some:
                return deleted
            deleted += self._database.write_now(partial(self._trim, seals=some))

    def _old(self, connection: Connection, before: float) -> list[tuple[str, dict[str, Any]]]:
        """Give the oldest seals that are to be deleted, with their claims."""
        some: list[tuple[str, dict[str, Any]]] = []
        records, place = 0, read_anchor(connection, self.signer)
        for row in connection.execute(select(audit_seals).order_by(audit_seals.c.number).limit(1000)):
            claims = self.signer.open(SEAL, row.jws)
            records += sum(each.last - each.first + 1 for each in ranges_of(claims))
            if claims["time"] >= before or (some and records > TRIMMED_AT_ONCE):
                break
            if (claims["number"], claims["previous"]) != (place.number + 1, place.sha256):
                raise SetupError("a seal of the audit trail is missing: run `likeness audit verify`")
            place = SealPlace(claims["number"], hash_of_seal(row.jws))
            some.append((row.jws, claims))
        return some

    def _trim(self, connection: Connection, seals: Sequence[tuple[str, dict[str, Any]]]) -> int:
        deleted = 0
        for _, claims in seals:
            for each in ranges_of(claims):
                mine = (audit_records.c.strand == each.strand) & audit_records.c.number.between(each.first, each.last)
                deleted += connection.execute(delete(audit_records).where(mine)).rowcount
        jws, claims = seals[-1]
        connection.execute(delete(audit_seals).where(audit_seals.c.number <= claims["number"]))
        anchor = self.signer.sign(ANCHOR, {"number": claims["number"], "sha256": hash_of_seal(jws)})
        record_fact(connection, ANCHOR_FACT, anchor)
        note(connection, Action.TRIM, str(claims["number"]))
        return deleted
