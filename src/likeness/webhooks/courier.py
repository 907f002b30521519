"""The sending of deliveries: each is repeated at growing intervals until it is accepted, for up to two hours.

Due deliveries survive a restart.
"""

import asyncio
import logging
import random
from collections import Counter

from likeness.kit.clock import Clock
from likeness.kit.jose import Signer
from likeness.kit.metrics import Count
from likeness.store.database import Database
from likeness.tenants.service import Tenants
from likeness.webhooks import repository
from likeness.webhooks.outbox import open_claims
from likeness.webhooks.repository import Delivery, DeliveryState
from likeness.webhooks.sender import DeliveryOutcome, Sender
from likeness.webhooks.signing import sign_claims
from likeness.webhooks.target import open_target

log = logging.getLogger("likeness.webhooks")

AT_ONCE, AT_ONCE_PER_TENANT = 16, 4
LEASE_SECONDS = 60.0
"""Longer than any try. If the server dies during a try, the delivery is tried again after this time."""
POLL_SECONDS = 1.0
_tries = Count(
    "likeness_webhook_tries_total",
    "Tries of webhook deliveries, by the delivery's state after the try; pending is tried again.",
    {"state": (DeliveryState.PENDING, DeliveryState.DELIVERED, DeliveryState.FAILED)},
)
LOG_SECONDS = 30 * 86_400.0
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 5.0, 900.0


class Courier:
    """Sends the due deliveries. Each is repeated until it is accepted or given up."""

    def __init__(
        self,
        database: Database,
        tenants: Tenants,
        signer: Signer,
        sender: Sender,
        clock: Clock,
        *,
        replay_seconds: float,
    ) -> None:
        self._database = database
        self._tenants = tenants
        self._signer = signer
        self._sender = sender
        self._clock = clock
        self._replay_seconds = replay_seconds
        self._under_way: dict[asyncio.Task[None], str] = {}

    async def run(self) -> None:
        """Deliver until cancelled. After a fault, log it and try again."""
        try:
            while True:
                try:
                    taken = await self.take_due()
                except Exception:
                    log.exception("the due deliveries could not be read; trying again")
                    taken = 0
                if not taken:
                    await asyncio.sleep(POLL_SECONDS)
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def close(self) -> None:
        """Release the connections. ``run`` must have ended."""
        await self._sender.close()

    async def take_due(self) -> int:
        """Begin the due tries, as many as may run at once. Give their number."""
        per_tenant = Counter(self._under_way.values())
        busy = [tenant_id for tenant_id, count in per_tenant.items() if count >= AT_ONCE_PER_TENANT]
        free = min(AT_ONCE - len(self._under_way), AT_ONCE_PER_TENANT)
        now = self._clock.now()
        if free <= 0 or not await self._database.read(lambda c: repository.is_any_due(c, now=now, skip=busy)):
            return 0
        due = await self._database.write(
            lambda c: repository.claim_due(c, now=now, lease_until=now + LEASE_SECONDS, limit=free, skip=busy)
        )
        for delivery in due:
            task = asyncio.create_task(self._try(delivery))
            self._under_way[task] = delivery.tenant_id
            task.add_done_callback(self._finish)
        return len(due)

    async def remove_old(self) -> None:
        """Erase the content of old deliveries, and the oldest rows of the log."""
        now = self._clock.now()
        claims_before, rows_before = now - self._replay_seconds, now - LOG_SECONDS
        await self._database.write(
            lambda c: repository.remove_old(c, claims_before=claims_before, rows_before=rows_before)
        )

    def _finish(self, task: "asyncio.Task[None]") -> None:
        del self._under_way[task]
        if not task.cancelled() and task.exception():
            log.error("the server failed to try a delivery; it tries again", exc_info=task.exception())

    async def _try(self, delivery: Delivery) -> None:
        try:
            outcome = await self._send(delivery)
        except Exception:
            log.exception("the server failed to send delivery %s", delivery.id)
            outcome = DeliveryOutcome(error="a fault of the server; see its log")
        now = self._clock.now()
        wait = next_wait_seconds(delivery.tries)
        if outcome.delivered:
            state, next_try_at = DeliveryState.DELIVERED, None
        elif now >= delivery.give_up_at:
            state, next_try_at = DeliveryState.FAILED, None
        else:
            state, next_try_at = DeliveryState.PENDING, min(now + wait, delivery.give_up_at)
        _tries.add(state)
        await self._database.write(
            lambda c: repository.note_try(
                c,
                delivery.id,
                state=state,
                next_try_at=next_try_at,
                status=outcome.status,
                error=outcome.error,
                delivered_at=now if outcome.delivered else None,
            )
        )

    async def _send(self, delivery: Delivery) -> DeliveryOutcome:
        tenant = await self._tenants.get(delivery.tenant_id)
        claims = open_claims(tenant, delivery)
        sealed = await self._database.read(lambda c: repository.find_target(c, tenant.id))
        if claims is None or sealed is None:
            return DeliveryOutcome(error="no webhook is set")
        jws = await asyncio.to_thread(sign_claims, self._signer, claims, now=self._clock.now())
        return await self._sender.send(open_target(tenant, sealed), jws, delivery_id=delivery.id)


def next_wait_seconds(tries: int) -> float:
    """Give the wait after ``tries`` tries: 5 s, doubled each time up to 15 min, and up to a tenth more or less."""
    wait = min(FIRST_WAIT_SECONDS * 2.0 ** min(tries, 10), LONGEST_WAIT_SECONDS)
    return wait * random.uniform(0.9, 1.1)  # noqa: S311  it spreads the load, and is no secret
