"""The galleries in memory: one exact index per tenant, rebuilt from the database at start and fed in commit order."""

import threading
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection

from likeness.engine.base import PackIdentity, Template
from likeness.gallery.repository import GalleryRows
from likeness.index.base import Index
from likeness.index.exact import ExactIndex
from likeness.store.database import Database
from likeness.tenants.service import Tenant

TEMPLATE_PURPOSE = "template"
REBUILD_BATCH = 8192


@dataclass(slots=True)
class RebuildProgress:
    """How far the rebuild at start has come, for the readiness answer."""

    loaded: int = 0
    total: int = 0
    done: bool = False


@dataclass(slots=True)
class Galleries:
    """The tenants' indexes for one pack."""

    pack: PackIdentity
    progress: RebuildProgress = field(default_factory=RebuildProgress)
    _indexes: dict[str, Index] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def index(self, tenant_id: str) -> Index:
        """Give the tenant's index, empty at first."""
        index = self._indexes.get(tenant_id)
        if index is None:
            with self._lock:
                index = self._indexes.setdefault(tenant_id, ExactIndex(self.pack.template_size))
        return index

    def rebuild(self, database: Database, tenants: list[Tenant]) -> None:
        """Fill every tenant's index from the database. Runs once, before the server is ready."""
        rows = [(tenant, GalleryRows(tenant.id)) for tenant in tenants]
        self.progress.total = sum(database.read_now(mine.count) for _, mine in rows)
        for tenant, mine in rows:
            self._load(database, tenant, mine)
        self.progress.done = True

    def _load(self, database: Database, tenant: Tenant, mine: GalleryRows) -> None:
        index = self.index(tenant.id)

        def load(connection: Connection) -> None:
            for batch in mine.templates(connection, str(self.pack), batch=REBUILD_BATCH):
                keys = np.fromiter((key for key, _, _ in batch), np.int64, len(batch))
                packed = b"".join(
                    tenant.cipher.open(sealed, TEMPLATE_PURPOSE, entry_id) for _, entry_id, sealed in batch
                )
                index.add_many(keys, np.frombuffer(packed, "<f4").reshape(len(batch), self.pack.template_size))
                self.progress.loaded += len(batch)

        database.read_now(load)


def seal_template(tenant: Tenant, template: Template, record: str) -> bytes:
    """Seal a template as little-endian float32 numbers."""
    return tenant.cipher.seal(template.astype("<f4").tobytes(), TEMPLATE_PURPOSE, record)


def open_template(tenant: Tenant, sealed: bytes, record: str) -> Template:
    return np.frombuffer(tenant.cipher.open(sealed, TEMPLATE_PURPOSE, record), "<f4").astype(np.float32)
