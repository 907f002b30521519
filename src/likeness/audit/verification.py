"""The check of the whole trail: each record against the link before it, and each range against its seal."""

import hashlib
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

from sqlalchemy import Connection, select

from likeness.audit.records import NO_LINK, TrailRecord, link_of, read_records
from likeness.audit.seals import SealedRange, SealPlace, hash_of_seal, ranges_of, read_anchor
from likeness.audit.signing import SEAL, StatementSigner
from likeness.errors import SetupError
from likeness.store.tables import audit_records, audit_seals

MOST_FAULTS = 100


@dataclass(slots=True)
class TrailReport:
    """What a check found. ``faults`` has at most 100 sentences."""

    records: int = 0
    unsealed: int = 0
    """Records since the last seal. Their links are right, but nobody would notice if they were cut off."""
    newest: SealPlace = field(default_factory=SealPlace)
    """The newest seal. Keep it elsewhere: the next check can then tell that the trail was cut, or is an older copy."""
    faults: list[str] = field(default_factory=list)

    def blame(self, fault: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)


class TrailCheck:
    """Checks the trail in one transaction of the database."""

    def __init__(self, key: bytes, signer: StatementSigner, kept: SealPlace | None = None) -> None:
        """``key`` is the trail's key. ``kept`` is a seal that was kept elsewhere."""
        self._key = key
        self._signer = signer
        self._kept = kept
        self._report = TrailReport()

    def run(self, connection: Connection) -> TrailReport:
        """Check everything, and give the report."""
        ranges = self._check_seals(connection)
        records = read_records(
            connection, lambda query: query.order_by(audit_records.c.strand, audit_records.c.number), batch=10_000
        )
        for strand, group in groupby(records, attrgetter("strand")):
            self._check_strand(strand, group, ranges.pop(strand, deque()))
        for strand, lost in ranges.items():
            self._check_strand(strand, iter(()), lost)
        return self._report

    def _check_seals(self, connection: Connection) -> dict[str, deque[SealedRange]]:
        """Check the chain of seals, and give what they seal, by strand and in order."""
        report, ranges = self._report, defaultdict[str, deque[SealedRange]](deque)
        try:
            last = read_anchor(connection, self._signer)
        except SetupError:
            report.blame("the anchor of the last trim was altered")
            last = SealPlace()
        known: SealPlace | None = last
        self._compare(last)
        if self._kept and self._kept.number < last.number:
            report.blame(f"seal {self._kept.number}, which was kept, was trimmed: compare a newer one")
        for row in connection.execute(select(audit_seals).order_by(audit_seals.c.number)):
            if row.number > last.number + 1:
                report.blame(f"seals {last.number + 1} to {row.number - 1} are missing")
                known = None
            try:
                claims = self._signer.open(SEAL, row.jws)
                if claims["number"] != row.number or (known and claims["previous"] != known.sha256):
                    report.blame(f"seal {row.number} does not follow the seal before it")
                for each in ranges_of(claims):
                    ranges[each.strand].append(each)
            except SetupError:
                report.blame(f"seal {row.number} was altered")
            known = last = SealPlace(row.number, hash_of_seal(row.jws))
            self._compare(last)
        if self._kept and self._kept.number > last.number:
            report.blame(f"seal {self._kept.number}, which was kept, is missing: the trail was cut, or is an old copy")
        report.newest = last
        return ranges

    def _compare(self, place: SealPlace) -> None:
        if self._kept and self._kept.number == place.number and self._kept != place:
            self._report.blame(f"seal {place.number} is another one than the one that was kept")

    def _check_strand(self, strand: str, records: Iterator[TrailRecord], sealed: deque[SealedRange]) -> None:
        """Check one strand's records, which rise, against their links and against its sealed ranges."""
        number, link = (sealed[0].first, bytes.fromhex(sealed[0].before)) if sealed else (1, NO_LINK)
        chained, unsealed, lines = True, 0, hashlib.sha256()
        for record in records:
            self._report.records += 1
            unsealed += 1
            if record.number != number:
                if record.number > number:
                    self._blame(strand, "is missing", number, record.number)
                else:
                    self._blame(strand, "was inserted", record.number)
                chained = False
            if chained and record.link != link_of(self._key, link, record.line):
                self._blame(strand, "was changed, inserted or moved", record.number)
            chained, number, link = True, record.number + 1, record.link
            lines.update(record.line)
            while sealed and sealed[0].last <= record.number:
                this = sealed.popleft()
                if this.last == record.number and (this.link, this.sha256) != (link.hex(), lines.hexdigest()):
                    self._blame(strand, "differs from its seal", this.first, this.last + 1)
                if sealed and (sealed[0].first, sealed[0].before) != (this.last + 1, this.link):
                    self._blame(strand, "is not where its seal says", sealed[0].first)
                unsealed, lines = 0, hashlib.sha256()
        if sealed:
            self._blame(strand, "is missing", number, sealed[-1].last + 1)
        else:
            self._report.unsealed += unsealed

    def _blame(self, strand: str, what: str, number: int, end: int | None = None) -> None:
        last = (end or number + 1) - 1
        which = f"record {number}" if last <= number else f"records {number} to {last}"
        self._report.blame(f"strand {strand}: {which} {what}")
