"""The tables.

Times are seconds since the Unix epoch. ``sealed_…`` columns hold ciphertext (see ``likeness.kit.envelope``).
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite makes row ids only for a column of the type INTEGER.
BigKey = BigInteger().with_variant(Integer, "sqlite")


def _tenant() -> "Column[str]":
    return Column("tenant_id", Text, ForeignKey("tenants.id"), nullable=False, index=True)


deployment = Table(
    "deployment",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", JSON, nullable=False),
)
"""Facts about the whole deployment, such as the model pack in use."""

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("expires_at", Double, nullable=False),
)
"""Who does what only one process may do (see ``likeness.store.sharing.leases``). SQLite has no rows."""

call_limits = Table(
    "call_limits",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, primary_key=True),
    Column("remaining", Double, nullable=False),
    Column("noted_at", Double, nullable=False),
)
"""What the calls of the last minute left of a limit (see ``likeness.access.shared_limits``). SQLite has no rows."""

tenants = Table(
    "tenants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("settings", JSON, nullable=False),
    Column("register", JSON, nullable=False, server_default="{}"),
    Column("created_at", Double, nullable=False),
    Column("changed_at", Double),
    Column("mac", LargeBinary),
)
"""``register`` has the MAC of each client's newest row, by the client's id. ``changed_at`` is the time of the tenant's
newest change, or that of a client. ``mac`` is described in ``likeness.store.authentic.rows``, here and below.
"""

data_keys = Table(
    "data_keys",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenants.id"), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("sealed_key", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
)
"""A tenant's data keys. The one with the highest number seals, and the others open (see ``likeness.kit.envelope``)."""

clients = Table(
    "clients",
    metadata,
    Column("id", Text, primary_key=True),
    _tenant(),
    Column("name", Text, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("secrets", JSON, nullable=False, server_default="[]"),
    Column("settings", JSON, nullable=False, server_default="{}"),
    Column("created_at", Double, nullable=False),
    Column("disabled_at", Double),
    Column("mac", LargeBinary),
)

used_assertions = Table(
    "used_assertions",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    _tenant(),
    Column("ends_at", Double, nullable=False),
)
"""Clients' assertions that a server accepted, so that no other one does until they end. SQLite has no rows."""

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("sealed_private_key", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("retired_at", Double),
)

gallery_entries = Table(
    "gallery_entries",
    metadata,
    Column("key", BigKey, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    _tenant(),
    Column("external_id", Text),
    Column("labels", JSON, nullable=False),
    Column("quality", Integer, nullable=False),
    Column("image_id", Text),
    Column("created_at", Double, nullable=False),
    Column("mac", LargeBinary),
    Column("consent_reference", Text),
    Column("purpose", Text),
    Column("expires_at", Double),
    Column("legal_hold", Text),
    UniqueConstraint("tenant_id", "external_id"),
    sqlite_autoincrement=True,
)
"""Enrolled people. ``key`` rises and is never used again. ``image_id`` is null once the image is deleted. An entry
without ``mac`` is refused: it was altered or put back, and no search finds it. An entry with a ``legal_hold`` is not
erased. The column has the hold's reference.
"""
_expires = gallery_entries.c.expires_at
Index(None, _expires, sqlite_where=_expires.is_not(None), postgresql_where=_expires.is_not(None))

gallery_templates = Table(
    "gallery_templates",
    metadata,
    Column("entry_key", BigKey, ForeignKey("gallery_entries.key", ondelete="CASCADE"), primary_key=True),
    Column("pack", Text, primary_key=True),
    Column("sealed_template", LargeBinary, nullable=False),
)
"""An entry's templates, one for each model pack. A re-index adds the new ones and keeps the old ones."""

gallery_blocks = Table(
    "gallery_blocks",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenants.id"), primary_key=True),
    Column("pack", Text, primary_key=True),
    Column("span", BigKey, primary_key=True, autoincrement=False),
    Column("sealed_block", LargeBinary, nullable=False),
)
"""Copies of the templates of neighbouring entries, which load quickly (see ``likeness.gallery.templates.blocks``)."""

galleries = Table(
    "galleries",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenants.id"), primary_key=True),
    Column("pack", Text, nullable=False),
    Column("shadow", Text),
    Column("number", BigInteger, nullable=False, server_default="0"),
    Column("sealed_roll", LargeBinary),
)
"""A gallery's packs: the one that it answers with, and a second one that its entries also have templates of.

A gallery has a row from its first entry on. ``number`` is that of its newest change (see
``likeness.store.sharing.changes``). ``sealed_roll`` is described in ``likeness.store.authentic.roll``.
"""

gallery_changes = Table(
    "gallery_changes",
    metadata,
    Column("tenant_id", Text, ForeignKey("galleries.tenant_id"), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("entry_key", BigKey),
    Column("pack", Text),
)
"""What changed in the galleries (see ``likeness.store.sharing.changes``). SQLite has no rows."""

gallery_fpir = Table(
    "gallery_fpir",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenants.id"), primary_key=True),
    Column("measurement", JSON, nullable=False),
)
"""The false match rates that a gallery's own entries showed (see ``likeness.gallery.fpir.measurement``)."""

reindexes = Table(
    "reindexes",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenants.id"), primary_key=True),
    Column("pack", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("wish", Text),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("report", JSON),
    Column("error", Text),
    Column("changed_at", Double, nullable=False),
)
"""Galleries that move to another pack. ``wish`` is the operator's next request. The server carries it out and clears
it."""

reindex_refusals = Table(
    "reindex_refusals",
    metadata,
    Column("entry_key", BigKey, ForeignKey("gallery_entries.key", ondelete="CASCADE"), primary_key=True),
    Column("pack", Text, primary_key=True),
    Column("reason", Text, nullable=False),
)
"""Entries whose stored photo a pack could not use."""

photo_deletions = Table(
    "photo_deletions",
    metadata,
    Column("image_id", Text, primary_key=True),
    _tenant(),
    Column("entry_id", Text, nullable=False),
)
"""Photos to delete. The transaction that takes a photo from its entry adds the row. The row goes after the photo."""

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenants.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_digest", Text, nullable=False),
    Column("answer", JSON, nullable=False),
    Column("served_hour", Integer, nullable=False),
)
"""Answers to repeat. ``served_hour`` counts hours of service (see ``likeness.gallery.idempotency``)."""

face_sessions = Table(
    "face_sessions",
    metadata,
    Column("id", Text, primary_key=True),
    _tenant(),
    Column("client_id", Text, ForeignKey("clients.id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("options", JSON, nullable=False),
    Column("pack", Text, nullable=False),
    Column("sealed_template", LargeBinary),
    Column("failures", JSON, nullable=False),
    Column("device_digest", Text),
    Column("attempt_id", Text),
    Column("attempt_until", Double),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
    Column("mac", LargeBinary),
)
"""Face sessions until they expire. The template is deleted when the session ends.

``failures`` holds a code for each failed attempt. ``device_digest`` is the hash of the key with which the browser of
the session may resume it. ``attempt_id`` names the attempt in progress. Its server puts off ``attempt_until``.
"""

photo_attempts = Table(
    "photo_attempts",
    metadata,
    Column("id", Text, primary_key=True),
    _tenant(),
    Column("digest", Text, nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("opened_at", Double, nullable=False, index=True),
)
"""Attempts that a session allowed for its ID photo, for an hour (see ``likeness.sessions.velocity``)."""

session_results = Table(
    "session_results",
    metadata,
    Column("session_id", Text, primary_key=True),
    _tenant(),
    Column("jti", Text, nullable=False, unique=True),
    Column("sealed_jws", LargeBinary),
    Column("image_id", Text, unique=True),
    Column("sealed_image", LargeBinary),
    Column("expires_at", Double, nullable=False, index=True),
    Column("image_expires_at", Double, nullable=False, index=True),
)
"""Signed results and their audit images. One table holds both, so one transaction adds or removes both."""

audit_records = Table(
    "audit_records",
    metadata,
    Column("strand", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("time", Double, nullable=False),
    Column("who", Text, nullable=False),
    Column("tenant", Text),
    Column("action", Text, nullable=False),
    Column("object", Text),
    Column("outcome", Text, nullable=False),
    Column("request_id", Text),
    Column("link", LargeBinary, nullable=False),
    Index(None, "tenant", "time"),
    sqlite_with_rowid=False,
)
"""The audit trail (see ``likeness.audit.trail``). A tenant's records outlive the tenant, so no key refers to it."""

audit_strands = Table(
    "audit_strands",
    metadata,
    Column("strand", Text, primary_key=True),
    Column("sealed", BigInteger, nullable=False),
    Column("link", LargeBinary, nullable=False),
    Column("changed_at", Double, nullable=False),
)
"""Strands of the trail that may get more records: how far each is sealed, and the link of the last sealed record."""

audit_seals = Table(
    "audit_seals",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("jws", Text, nullable=False),
)
"""Signatures over the trail (see ``likeness.audit.seals``)."""

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    _tenant(),
    Column("name_digest", Text, nullable=False, unique=True),
    Column("sealed_facts", LargeBinary, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
)
"""People who may use the console (see ``likeness.console.accounts.service``)."""

console_visits = Table(
    "console_visits",
    metadata,
    Column("digest", Text, primary_key=True),
    _tenant(),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("expires_at", Double, nullable=False, index=True),
)
"""People who are signed in."""

usage_counts = Table(
    "usage_counts",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenants.id"), primary_key=True),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
)
"""What each tenant's calls and sessions came to (see ``likeness.usage``). ``hour`` counts from the Unix epoch."""

webhooks = Table(
    "webhooks",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenants.id"), primary_key=True),
    Column("sealed_target", LargeBinary, nullable=False),
    Column("changed_at", Double, nullable=False),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    _tenant(),
    Column("session_id", Text, nullable=False, index=True),
    Column("jti", Text, index=True),
    Column("sealed_claims", LargeBinary),
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_try_at", Double, index=True),
    Column("give_up_at", Double, nullable=False),
    Column("last_status", Integer),
    Column("last_error", Text),
    Column("created_at", Double, nullable=False, index=True),
    Column("delivered_at", Double),
)
"""The webhooks' outbox and its log. ``next_try_at`` is null when nothing is left to do.

The claims are deleted long before the row. ``jti`` is null in rows of older versions.
"""
