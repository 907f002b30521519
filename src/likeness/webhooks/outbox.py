"""The outbox: a result and its delivery are stored in one transaction, so neither exists without the other."""

import json
from typing import Any

from sqlalchemy import Connection

from likeness.kit.clock import Clock
from likeness.kit.ids import new_id
from likeness.tenants.service import Tenant
from likeness.webhooks import repository
from likeness.webhooks.repository import Delivery, DeliveryState

CLAIMS_PURPOSE = "webhook claims"
RETRY_SECONDS = 2 * 3600.0
"""How long a delivery is repeated (contract §6)."""


class Outbox:
    """Adds deliveries. It stores the claims, not the token, which is signed at each try."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def add(self, connection: Connection, tenant: Tenant, session_id: str, claims: dict[str, Any]) -> None:
        """Add a delivery of a result's claims, if the tenant has a webhook."""
        if repository.find_target(connection, tenant.id) is None:
            return
        delivery_id, now = new_id(), self._clock.now()
        delivery = Delivery(
            id=delivery_id,
            tenant_id=tenant.id,
            session_id=session_id,
            jti=claims["jti"],
            sealed_claims=tenant.cipher.seal(json.dumps(claims).encode(), CLAIMS_PURPOSE, delivery_id),
            state=DeliveryState.PENDING,
            tries=0,
            next_try_at=now,
            give_up_at=now + RETRY_SECONDS,
            last_status=None,
            last_error=None,
            created_at=now,
            delivered_at=None,
        )
        repository.add_delivery(connection, delivery)

    @staticmethod
    def session_of(connection: Connection, tenant: Tenant, jti: str) -> str | None:
        """Give the session of a result by its deliveries, which may outlive the result. None if there are none."""
        return repository.find_session_of_result(connection, tenant.id, jti)

    @staticmethod
    def forget(connection: Connection, tenant: Tenant, session_id: str) -> bool:
        """Erase the content of a session's deliveries. Give False if there was none."""
        return repository.forget_session(connection, tenant.id, session_id)


def open_claims(tenant: Tenant, delivery: Delivery) -> dict[str, Any] | None:
    """Give a delivery's claims, or None once they are erased."""
    if delivery.sealed_claims is None:
        return None
    claims: dict[str, Any] = json.loads(tenant.cipher.open(delivery.sealed_claims, CLAIMS_PURPOSE, delivery.id))
    return claims
