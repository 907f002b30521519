"""All that a tenant's data holds on one enrolled person, in the clear, for the person (GDPR Art. 15 and 20)."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from likeness.audit.reading import records_about
from likeness.errors import NotFound
from likeness.gallery.entries.entry import Entry
from likeness.gallery.idempotency import answers_about
from likeness.gallery.repository import GalleryRepository
from likeness.gallery.templates.sealing import open_templates, template_length
from likeness.kit.clock import timestamp
from likeness.kit.jose import claims_of
from likeness.results.repository import ResultRepository
from likeness.results.service import JWS_PURPOSE
from likeness.tenants.service import Tenant
from likeness.webhooks.outbox import open_claims
from likeness.webhooks.repository import deliveries_with_claims


@dataclass(frozen=True, slots=True)
class PersonalData:
    """What is held on an entry. ``document`` is for JSON, and has the words of the API. The photo is apart."""

    entry_id: str
    image_id: str | None
    document: dict[str, Any] = field(repr=False)


def personal_data(connection: Connection, tenant: Tenant, name: str) -> PersonalData:
    """Collect what is held on an entry, by its id or its externalId. Raises NotFound."""
    entries = GalleryRepository(tenant.id)
    entry = entries.find(connection, name)
    entry = entry or next(iter(entries.page(connection, after_key=0, limit=1, external_id=name)), None)
    if entry is None:
        raise NotFound(f"{tenant.name!r} has no entry with this id or externalId.")
    document = {
        "oneToNVerificationId": entry.id,
        "externalId": entry.external_id,
        "metadata": entry.metadata,
        "quality": entry.quality,
        "imageStored": entry.image_id is not None,
        "createdAt": timestamp(entry.created_at),
        "consentReference": entry.consent_reference,
        "purpose": entry.purpose,
        "expiresAt": None if entry.expires_at is None else timestamp(entry.expires_at),
        "legalHold": entry.legal_hold,
        "templates": _templates(connection, tenant, entry),
        "repeatableAnswers": answers_about(connection, tenant.id, entry.id),
        "results": _results(connection, tenant, entry.id),
        "webhookDeliveries": _deliveries(connection, tenant, entry.id),
        "auditRecords": [
            {"time": timestamp(each.time), "who": each.who, "action": each.action, "outcome": each.outcome}
            for each in records_about(connection, tenant.id, entry.id)
        ],
    }
    return PersonalData(entry.id, entry.image_id, document)


def _templates(connection: Connection, tenant: Tenant, entry: Entry) -> list[dict[str, Any]]:
    """Give the entry's templates: unit vectors as little-endian float32 numbers, in base64."""
    rows, found = GalleryRepository(tenant.id), []
    for pack in rows.stored_packs(connection):
        mine = rows.templates(connection, pack, first_key=entry.key, end_key=entry.key + 1, batch=1)
        for ((_, entry_id, sealed),) in list(mine):
            size = template_length(tenant, pack, [entry_id], [sealed]) or 0
            numbers = open_templates(tenant, pack, [entry_id], [sealed], size).rows[0]
            content = base64.b64encode(numbers.astype("<f4").tobytes()).decode()
            found.append({"model": pack, "dimension": size, "float32": content})
    return found


def _results(connection: Connection, tenant: Tenant, word: str) -> list[dict[str, Any]]:
    found = []
    for session_id, sealed in ResultRepository(tenant.id).all_jws(connection):
        claims = claims_of(tenant.cipher.open(sealed, JWS_PURPOSE, session_id).decode())
        if word in json.dumps(claims):
            found.append(claims)
    return found


def _deliveries(connection: Connection, tenant: Tenant, word: str) -> list[dict[str, Any]]:
    kept = deliveries_with_claims(connection, tenant.id)
    found = [(each, open_claims(tenant, each)) for each in kept]
    return [{"deliveryId": each.id, "claims": claims} for each, claims in found if word in json.dumps(claims)]
