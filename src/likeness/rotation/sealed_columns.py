"""Every column that a tenant's data keys seal, and what each value in it is bound to."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Row, and_, bindparam, func, select, tuple_, update

from likeness.console.accounts.repository import FACTS_PURPOSE
from likeness.errors import SetupError
from likeness.gallery.templates.sealing import BLOCK_PURPOSE
from likeness.gallery.templates.sealing import TEMPLATE_PURPOSE as ENTRY_PURPOSE
from likeness.kit.envelope import HEAD_BYTES, Cipher
from likeness.results.service import IMAGE_PURPOSE, JWS_PURPOSE
from likeness.sessions.service import TEMPLATE_PURPOSE as SESSION_PURPOSE
from likeness.store.tables import (
    accounts,
    face_sessions,
    gallery_blocks,
    gallery_entries,
    gallery_templates,
    session_results,
    webhook_deliveries,
    webhooks,
)
from likeness.webhooks.outbox import CLAIMS_PURPOSE
from likeness.webhooks.target import TARGET_PURPOSE


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of sealed values. ``record`` gives what a row's value is bound to. ``at_once`` rows are a batch."""

    column: Column[Any]
    purpose: str
    record: Callable[[Row[Any]], str]
    at_once: int = 200

    def older(self, connection: Connection, tenant_id: str, head: bytes, after: Sequence[Any]) -> Sequence[Any]:
        """Give the next rows whose value does not begin with ``head``: their key, then what else is needed.

        ``after`` is the key of the last row before, or empty.
        """
        table = self.column.table
        keys = tuple(table.primary_key.columns)
        owner = gallery_entries if table is gallery_templates else table
        names = [column for column in (*owner.c, *table.c) if not column.name.startswith("sealed_")]
        query = select(*keys, self.column.label("sealed"), *(each for each in names if each.name not in _names(keys)))
        if owner is gallery_entries:
            query = query.join(gallery_entries, gallery_entries.c.key == gallery_templates.c.entry_key)
        is_older = and_(self.column.is_not(None), func.substr(self.column, 1, HEAD_BYTES) != head)
        query = query.where(owner.c.tenant_id == tenant_id, is_older).order_by(*keys).limit(self.at_once)
        return connection.execute(query.where(tuple_(*keys) > tuple_(*after)) if after else query).all()

    def sealed_again(self, cipher: Cipher, rows: Sequence[Row[Any]]) -> Iterator[dict[str, Any]]:
        """Give the changes of some rows. A value that does not open has none."""
        names = _names(self.column.table.primary_key.columns)
        for row in rows:
            record = self.record(row)
            try:
                content = cipher.open(row.sealed, self.purpose, record)
            except SetupError:
                continue
            key = {f"its_{name}": value for name, value in zip(names, row, strict=False)}
            yield {**key, "old": row.sealed, "new": cipher.seal(content, self.purpose, record)}

    def replace(self, connection: Connection, changes: Sequence[dict[str, Any]]) -> None:
        """Write changes. A value that was replaced or deleted meanwhile stays as it is."""
        table = self.column.table
        mine = [column == bindparam(f"its_{column.name}") for column in table.primary_key.columns]
        change = update(table).where(*mine, self.column == bindparam("old")).values({self.column: bindparam("new")})
        if changes:
            connection.execute(change, changes)


def _names(columns: Any) -> list[str]:
    return [column.name for column in columns]


SEALED_COLUMNS = (
    SealedColumn(gallery_templates.c.sealed_template, ENTRY_PURPOSE, lambda row: f"{row.pack}/{row.id}"),
    SealedColumn(gallery_blocks.c.sealed_block, BLOCK_PURPOSE, lambda row: f"{row.pack}/{row.span}", at_once=2),
    SealedColumn(face_sessions.c.sealed_template, SESSION_PURPOSE, lambda row: str(row.id)),
    SealedColumn(session_results.c.sealed_jws, JWS_PURPOSE, lambda row: str(row.session_id)),
    SealedColumn(session_results.c.sealed_image, IMAGE_PURPOSE, lambda row: str(row.image_id), at_once=20),
    SealedColumn(accounts.c.sealed_facts, FACTS_PURPOSE, lambda row: str(row.id)),
    SealedColumn(webhooks.c.sealed_target, TARGET_PURPOSE, lambda row: str(row.tenant_id)),
    SealedColumn(webhook_deliveries.c.sealed_claims, CLAIMS_PURPOSE, lambda row: str(row.id)),
)
