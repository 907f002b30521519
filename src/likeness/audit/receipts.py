"""Receipts: signed statements that something was erased. Each rests on a record of the trail."""

from typing import Any

from sqlalchemy import Connection, select

from likeness.audit.actions import ERASURES
from likeness.audit.records import NO_LINK, TrailRecord, link_of, read_records
from likeness.audit.seals import Seals, ranges_of
from likeness.audit.signing import RECEIPT, SEAL, StatementSigner
from likeness.errors import NotFound, SetupError
from likeness.store.tables import audit_records, audit_seals


def _sealed_link(connection: Connection, signer: StatementSigner, record: TrailRecord) -> bytes | None:
    """Give the link before a record that is the first of its strand since a trim: a seal has it."""
    for jws in connection.execute(select(audit_seals.c.jws).order_by(audit_seals.c.number)).scalars():
        for each in ranges_of(signer.open(SEAL, jws)):
            if (each.strand, each.first) == (record.strand, record.number):
                return bytes.fromhex(each.before)
    return None


def write_receipt(connection: Connection, seals: Seals, object_id: str, *, issuer: str, now: float) -> str:
    """Give a JWS about the newest erasure of an entry, a photo, a session's data or a tenant.

    Raises NotFound without such a record, and SetupError when the record was altered.
    """
    acts = audit_records.c.action.in_(ERASURES) & (audit_records.c.object == object_id)
    found = next(
        read_records(
            connection, lambda query: query.where(acts).order_by(audit_records.c.time.desc()).limit(1), batch=1
        ),
        None,
    )
    if found is None:
        raise NotFound(f"The audit trail has no erasure of {object_id!r}, or has it no longer.")
    earlier = (audit_records.c.strand == found.strand) & (audit_records.c.number == found.number - 1)
    before = connection.execute(select(audit_records.c.link).where(earlier)).scalar_one_or_none()
    if before is None:
        before = NO_LINK if found.number == 1 else _sealed_link(connection, seals.signer, found)
    if before is None or link_of(seals.key, bytes(before), found.line) != found.link:
        raise SetupError("the record of this erasure was altered: run `likeness audit verify`")
    claims: dict[str, Any] = {
        "iss": issuer,
        "iat": int(now),
        "sub": object_id,
        "tenant_id": found.tenant,
        "action": found.action,
        "time": found.time,
        "who": found.who,
        "request_id": found.request_id,
        "record": {"strand": found.strand, "number": found.number, "link": found.link.hex()},
    }
    return seals.signer.sign(RECEIPT, claims)
