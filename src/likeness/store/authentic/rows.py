"""The MACs of rows: each says that this deployment wrote the row, with exactly these values.

A MAC covers the columns of ``COVERED``, under a key of the deployment that the master key protects. A reader asks
``is_authentic``. A row that is not authentic decides nothing: its reader treats it as refused, and the alarm is raised.

A MAC does not show that a row is the newest one: an older row with its older MAC is authentic, too. For that there are
the roll of each gallery's entries (``likeness.store.authentic.roll``), and the register of each tenant's clients
(``likeness.tenants.register``).
"""

import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Double, Engine, Table

from likeness.kit.envelope import Cipher
from likeness.kit.metrics import Count
from likeness.store.tables import clients, face_sessions, gallery_entries, tenants

log = logging.getLogger("likeness.store")
ALTERED = Count(
    "likeness_altered_rows_total",
    "Reads of rows that this deployment did not write so, by table: somebody wrote to the database.",
    {"table": ("tenants", "clients", "gallery_entries", "face_sessions", "galleries")},
)
MAC_BYTES = 16
MOST_REPORTED = 10_000
COVERED: Mapping[str, tuple[str, ...]] = {
    tenants.name: ("id", "name", "settings", "register", "created_at", "changed_at"),
    clients.name: ("id", "tenant_id", "name", "scopes", "secrets", "settings", "created_at", "disabled_at"),
    gallery_entries.name: ("key", "id", "tenant_id", "external_id", "labels", "quality", "image_id", "created_at"),
    face_sessions.name: (
        *("id", "tenant_id", "client_id", "state", "options", "pack", "failures", "device_digest", "attempt_id"),
        *("created_at", "expires_at"),
    ),
}
"""The columns that the MAC of each table's rows covers. Sealed columns are bound to their row by their seal."""
COVERED_IF_GIVEN: Mapping[str, tuple[str, ...]] = {
    gallery_entries.name: ("consent_reference", "purpose", "expires_at", "legal_hold")
}
"""Further columns that a MAC covers, unless they are null. So a row from before such a column keeps its MAC."""
_OPTION = "likeness_rows"
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class RowKey:
    """The key of a deployment's rows. Thread-safe."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, b"rows of a deployment", hashlib.sha256)
        self.rolls = Cipher({1: hmac.digest(key, b"rolls", hashlib.sha256)}, "rolls")
        """Seals the rolls of the galleries."""
        self.roll_key = hmac.digest(key, b"members of a roll", hashlib.sha256)
        self.report: Callable[[str, str], None] = lambda table, name: None  # noqa: ARG005
        """Called once for each altered row that is met: with its table and its id."""
        self._reported: set[tuple[str, str]] = set()

    @classmethod
    def new(cls) -> "RowKey":
        """Make a random key. Rows that another key wrote are not authentic under it."""
        return cls(secrets.token_bytes(32))

    def mac(self, table: Table, values: Mapping[str, Any]) -> bytes:
        """Give the MAC of a row of a table in ``COVERED``, from its columns' values by name."""
        covered = [values[name] for name in COVERED[table.name]]
        for place in _DOUBLES[table.name]:
            if covered[place] is not None:
                covered[place] = float(covered[place])  # as the database gives it back
        added = COVERED_IF_GIVEN.get(table.name, ())
        if given := {name: values[name] for name in added if values[name] is not None}:
            covered.append(given)
        # A keyed BLAKE2b is a MAC (RFC 7693). It takes a fifth of the time of an HMAC, and each insert waits for it.
        return hashlib.blake2b(_encode([table.name, *covered]).encode(), digest_size=MAC_BYTES, key=self._key).digest()

    def is_authentic(self, table: Table, values: Mapping[str, Any], mac: bytes | None) -> bool:
        """Whether the deployment wrote a row so. If not, raise the alarm. The values have the row's ``id``."""
        if mac is not None and hmac.compare_digest(mac, self.mac(table, values)):
            return True
        self.raise_alarm(table, str(values["id"]))
        return False

    def raise_alarm(self, table: Table, name: str) -> None:
        """Count, log and report that a row was altered, came back or went. Each row is logged once."""
        ALTERED.add(table.name)
        if (table.name, name) not in self._reported and len(self._reported) < MOST_REPORTED:
            self._reported.add((table.name, name))
            log.critical("a row of %s was altered, put back or taken away, and is refused: %s", table.name, name)
            self.report(table.name, name)


_DOUBLES = {
    table.name: [place for place, name in enumerate(COVERED[table.name]) if isinstance(table.c[name].type, Double)]
    for table in (tenants, clients, gallery_entries, face_sessions)
}


def use_row_key(engine: Engine, key: RowKey) -> None:
    """Let connections of an engine use a key for the rows they read and write."""
    engine.update_execution_options(**{_OPTION: key})


def row_key_of(connection: Connection) -> RowKey:
    """Give the key for the rows of a connection of ``likeness.store.database``."""
    key: RowKey = connection.engine.get_execution_options()[_OPTION]
    return key
