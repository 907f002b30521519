"""An enrolled person as the database has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from likeness.engine.packs.identity import PackIdentity
from likeness.store.authentic.rows import COVERED, COVERED_IF_GIVEN
from likeness.store.tables import gallery_entries


@dataclass(frozen=True, slots=True)
class Entry:
    """An enrolled person, without template and image."""

    key: int
    id: str
    external_id: str | None
    metadata: dict[str, str] = field(default_factory=dict)
    quality: int = 0
    image_id: str | None = None
    created_at: float = 0.0
    consent_reference: str | None = None
    purpose: str | None = None
    expires_at: float | None = None
    legal_hold: str | None = None
    """The reference of the legal hold that keeps the entry from its erasure, or None."""

    def covered(self, tenant_id: str) -> dict[str, Any]:
        """Give the values that the MAC of the entry's row covers, by column."""
        who = self.key, self.id, tenant_id, self.external_id
        values = *who, self.metadata, self.quality, self.image_id, self.created_at
        added = self.consent_reference, self.purpose, self.expires_at, self.legal_hold
        names = *COVERED[gallery_entries.name], *COVERED_IF_GIVEN[gallery_entries.name]
        return dict(zip(names, (*values, *added), strict=True))


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to insert, with a sealed template for each pack that it is enrolled with."""

    id: str
    external_id: str | None
    metadata: dict[str, str]
    quality: int
    image_id: str | None
    created_at: float
    sealed_templates: Mapping[PackIdentity, bytes]
    consent_reference: str | None = None
    purpose: str | None = None
    expires_at: float | None = None

    def at(self, key: int) -> Entry:
        first = key, self.id, self.external_id, self.metadata, self.quality
        return Entry(*first, self.image_id, self.created_at, self.consent_reference, self.purpose, self.expires_at)


COLUMNS = (
    gallery_entries.c.key,
    gallery_entries.c.id,
    gallery_entries.c.external_id,
    gallery_entries.c.labels,
    gallery_entries.c.quality,
    gallery_entries.c.image_id,
    gallery_entries.c.created_at,
    gallery_entries.c.consent_reference,
    gallery_entries.c.purpose,
    gallery_entries.c.expires_at,
    gallery_entries.c.legal_hold,
)
"""The columns of an ``Entry``, in its order."""
STORED = (*COLUMNS, gallery_entries.c.mac)
WRITTEN = (*COVERED[gallery_entries.name], *COVERED_IF_GIVEN[gallery_entries.name], "mac")
"""The names of the columns that a new row gets."""
