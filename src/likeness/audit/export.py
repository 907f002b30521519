"""Other forms of the trail: JSON Lines for people and programs, CEF for the tools of a security team."""

import json
from collections.abc import Iterator

from sqlalchemy import Connection, select

from likeness import __version__
from likeness.audit.actions import REFUSED, Action
from likeness.audit.records import TrailRecord, read_records
from likeness.kit.clock import timestamp
from likeness.store.tables import audit_records, audit_seals

_SEVERE = {Action.REFUSAL: 5, Action.FLOOD: 8, Action.LOSS: 8, Action.TENANT_ERASURE: 6, Action.KEY_REVOCATION: 6}
_USUAL = 3


def json_lines(connection: Connection, *, since: float = 0.0) -> Iterator[str]:
    """Give the records from a time on, in their order of time, and then all seals, each as a line of JSON."""
    for record in _records(connection, since):
        fields = {"kind": "record", "at": timestamp(record.time), **record._asdict(), "link": record.link.hex()}
        yield json.dumps(fields, separators=(",", ":"))
    for row in connection.execute(select(audit_seals).order_by(audit_seals.c.number)):
        yield json.dumps({"kind": "seal", "number": row.number, "jws": row.jws}, separators=(",", ":"))


def cef_lines(connection: Connection, *, since: float = 0.0) -> Iterator[str]:
    """Give the records from a time on, in their order of time, as lines of CEF (version 0)."""
    for record in _records(connection, since):
        severity = 6 if record.outcome == REFUSED else _SEVERE.get(Action(record.action), _USUAL)
        facts = {
            "rt": str(round(record.time * 1000)),
            "suser": record.who,
            "outcome": record.outcome,
            "externalId": f"{record.strand}:{record.number}",
            "cs1Label": "tenant",
            "cs1": record.tenant,
            "cs2Label": "object",
            "cs2": record.object,
            "cs3Label": "requestId",
            "cs3": record.request_id,
        }
        labels = {name for name, value in facts.items() if value is None}
        written = " ".join(
            f"{name}={_extension(value)}"
            for name, value in facts.items()
            if value is not None and name.removesuffix("Label") not in labels
        )
        name = _header(record.action)
        yield f"CEF:0|Likeness|Likeness|{_header(__version__)}|{name}|{name}|{severity}|{written}"


def _records(connection: Connection, since: float) -> Iterator[TrailRecord]:
    order = audit_records.c.time, audit_records.c.strand, audit_records.c.number
    return read_records(
        connection, lambda query: query.where(audit_records.c.time >= since).order_by(*order), batch=10_000
    )


def _header(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")


def _extension(text: str) -> str:
    return text.replace("\\", "\\\\").replace("=", "\\=").replace("\n", "\\n").replace("\r", "\\r")
