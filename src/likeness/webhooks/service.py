"""The commands' work on webhooks: set one, test it, list and repeat its deliveries."""

from collections.abc import Mapping
from dataclasses import dataclass

from likeness.errors import NotFound
from likeness.kit.clock import Clock
from likeness.kit.ids import new_id
from likeness.kit.jose import Signer
from likeness.store.database import Database
from likeness.tenants.service import Tenant
from likeness.webhooks import repository
from likeness.webhooks.outbox import RETRY_SECONDS
from likeness.webhooks.repository import Delivery
from likeness.webhooks.sender import DeliveryOutcome, Sender
from likeness.webhooks.signing import RESULT_TYPE
from likeness.webhooks.target import Target, check_target, new_secret, open_target, seal_target

TEST_TTL_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Sets, reads, tests and removes a tenant's webhook, and repeats deliveries."""

    database: Database
    clock: Clock
    private_addresses: bool

    def put(self, tenant: Tenant, url: str, headers: Mapping[str, str], *, rotate_secret: bool = False) -> Target:
        """Set the tenant's webhook.

        The signing secret stays, unless there is none or ``rotate_secret`` is set. Raises InvalidInput.
        """
        known = self.find(tenant)
        secret = new_secret() if known is None or rotate_secret else known.secret
        target = check_target(Target(url, dict(headers), secret), private_addresses=self.private_addresses)
        sealed, now = seal_target(tenant, target), self.clock.now()
        self.database.write_now(lambda c: repository.put_target(c, tenant.id, sealed, now=now))
        return target

    def find(self, tenant: Tenant) -> Target | None:
        sealed = self.database.read_now(lambda c: repository.find_target(c, tenant.id))
        return None if sealed is None else open_target(tenant, sealed)

    def get(self, tenant: Tenant) -> Target:
        """Give the tenant's webhook. Raises NotFound."""
        target = self.find(tenant)
        if target is None:
            raise NotFound(f"No webhook is set for {tenant.name!r}.")
        return target

    def remove(self, tenant: Tenant) -> None:
        """Remove the tenant's webhook. Raises NotFound."""
        if not self.database.write_now(lambda c: repository.remove_target(c, tenant.id)):
            raise NotFound(f"No webhook is set for {tenant.name!r}.")

    async def test(self, tenant: Tenant, signer: Signer, sender: Sender, *, issuer: str) -> DeliveryOutcome:
        """Send a signed call without session data (``data.test`` is true), and give its outcome. Raises NotFound."""
        now = int(self.clock.now())
        claims = {
            "iss": issuer,
            "aud": tenant.id,
            "iat": now,
            "exp": now + TEST_TTL_SECONDS,
            "jti": new_id(),
            "data": {"test": True},
        }
        return await sender.send(self.get(tenant), signer.sign(claims, typ=RESULT_TYPE), delivery_id=new_id())

    def deliveries(self, tenant: Tenant, *, limit: int = 50) -> list[Delivery]:
        """Give the tenant's deliveries, newest first."""
        return self.database.read_now(lambda c: repository.list_deliveries(c, tenant.id, limit=limit))

    def replay(self, tenant: Tenant, delivery_id: str) -> None:
        """Make a delivery due again. The running server sends it.

        Raises NotFound if the delivery is unknown or its content is gone.
        """
        now = self.clock.now()
        until = now + RETRY_SECONDS
        if not self.database.write_now(
            lambda c: repository.replay_delivery(c, tenant.id, delivery_id, now=now, give_up_at=until)
        ):
            raise NotFound("There is no such delivery, or its content is gone.")
