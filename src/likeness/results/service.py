"""A session's result: how it is signed, kept for its time, and deleted."""

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection

from likeness.kit.clock import Clock
from likeness.kit.ids import new_id, new_object_id
from likeness.kit.jose import Signer, claims_of
from likeness.results import repository
from likeness.results.audit_image import Obfuscation, write_audit_image
from likeness.results.claims import AuditReference, Ending, write_claims
from likeness.results.repository import ResultRepository, ResultRow
from likeness.store.database import Database
from likeness.tenants.service import Tenant
from likeness.webhooks.outbox import Outbox
from likeness.webhooks.signing import RESULT_TYPE

JWS_PURPOSE, IMAGE_PURPOSE = "session result", "audit image"


@dataclass(frozen=True, slots=True, eq=False)
class SignedResult:
    """A signed result that is ready to record."""

    jws: str
    claims: dict[str, Any]
    tenant: Tenant
    row: ResultRow


class Results:
    """The sealed results of sessions: one for each session that ends. An expired result is never given."""

    def __init__(
        self,
        database: Database,
        signer: Signer,
        clock: Clock,
        outbox: Outbox,
        *,
        issuer: str,
        ttl_seconds: int,
        image_ttl_seconds: int,
    ) -> None:
        self._database = database
        self._signer = signer
        self._clock = clock
        self._outbox = outbox
        self._issuer = issuer
        self._ttl_seconds = ttl_seconds
        self._image_ttl_seconds = image_ttl_seconds

    def sign(
        self, tenant: Tenant, ending: Ending, obfuscation: Obfuscation | None = None, jti: str | None = None
    ) -> SignedResult:
        """Write the audit image, sign the claims and seal both. Blocks some milliseconds, so run it on an executor."""
        jti, audit, image = jti or new_id(), None, None
        if ending.audit:
            image = write_audit_image(ending.audit, obfuscation)
            audit = AuditReference(new_object_id(), hashlib.sha256(image).hexdigest())
        claims = write_claims(ending, audit, issuer=self._issuer, jti=jti, ttl_seconds=self._ttl_seconds)
        jws = self._signer.sign(claims, typ=RESULT_TYPE)
        expires_at = ending.ended_at + self._ttl_seconds
        row = ResultRow(
            session_id=ending.session_id,
            tenant_id=tenant.id,
            jti=jti,
            sealed_jws=tenant.cipher.seal(jws.encode(), JWS_PURPOSE, ending.session_id),
            image_id=audit.image_id if audit else None,
            sealed_image=tenant.cipher.seal(image, IMAGE_PURPOSE, audit.image_id) if audit and image else None,
            expires_at=expires_at,
            image_expires_at=ending.ended_at + self._image_ttl_seconds if audit else expires_at,
        )
        return SignedResult(jws, claims, tenant, row)

    def for_browser(self, tenant: Tenant, jws: str) -> str:
        """Give the copy of a signed result for the browser. Blocks some milliseconds, so run it on an executor.

        An attacker holds the browser, and must not learn how near each liveness signal was to its threshold. So the
        copy has no signals, unless the tenant wants them there.
        """
        if tenant.settings.liveness_in_browser:
            return jws
        claims = claims_of(jws)
        claims["data"]["face"]["liveness"]["signals"] = []
        return self._signer.sign(claims, typ=RESULT_TYPE)

    def record(self, connection: Connection, result: SignedResult) -> None:
        """Store the result, and queue it for the tenant's webhook. Use the transaction that ends the session."""
        repository.add_result(connection, result.row)
        self._outbox.add(connection, result.tenant, result.row.session_id, result.claims)

    async def find(self, tenant: Tenant, session_id_or_jti: str, *, jti: str | None = None) -> str | None:
        """Give a signed result by its session's id or its own ``jti``. With ``jti``, only the result with this ``jti``.

        Gives None when the session has not ended, is unknown or is another tenant's, and when the result is gone.
        """
        find = partial(ResultRepository(tenant.id).find_jws, now=self._clock.now(), jti=jti)
        found = await self._database.read(lambda c: find(c, session_id_or_jti))
        if found is None:
            return None
        session_id, sealed = found
        return tenant.cipher.open(sealed, JWS_PURPOSE, session_id).decode()

    async def find_image(self, tenant: Tenant, image_id: str) -> bytes | None:
        """Give the bytes of an audit image. None when it is gone, unknown or another tenant's."""
        now = self._clock.now()
        sealed = await self._database.read(lambda c: ResultRepository(tenant.id).find_image(c, image_id, now=now))
        return None if sealed is None else tenant.cipher.open(sealed, IMAGE_PURPOSE, image_id)

    def forget(self, connection: Connection, tenant: Tenant, session_id_or_jti: str) -> tuple[str, bool]:
        """Delete a result, its image and its waiting webhook deliveries.

        Gives the session's id, and whether there was anything.
        """
        removed = ResultRepository(tenant.id).remove(connection, session_id_or_jti)
        session_id = removed or self._outbox.session_of(connection, tenant, session_id_or_jti) or session_id_or_jti
        delivered = self._outbox.forget(connection, tenant, session_id)
        return session_id, removed is not None or delivered

    async def remove_expired(self) -> None:
        """Delete expired results and images of all tenants."""
        now = self._clock.now()
        await self._database.write(lambda c: repository.remove_expired(c, now=now))
