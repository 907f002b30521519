"""The parts of a server that webhooks need, run step by step."""

import asyncio
from dataclasses import dataclass
from typing import Any

from likeness.deployment import Deployment
from likeness.kit.clock import MovableClock
from likeness.kit.ids import new_id
from likeness.kit.jose import Signer
from likeness.tenants.service import Tenant
from likeness.webhooks.courier import Courier
from likeness.webhooks.outbox import Outbox
from likeness.webhooks.repository import Delivery
from likeness.webhooks.sender import Sender
from likeness.webhooks.service import Webhooks

REPLAY_SECONDS = 24 * 3600.0


@dataclass
class House:
    """A deployment with one tenant. Tests make its deliveries step by step."""

    deployment: Deployment
    clock: MovableClock
    tenant: Tenant
    signer: Signer

    @property
    def webhooks(self) -> Webhooks:
        return Webhooks(self.deployment.database, self.clock, private_addresses=True)

    def claims(self, session_id: str) -> dict[str, Any]:
        now = int(self.clock.now())
        data = {"sessionId": session_id, "face": {"match": True}}
        return {"iss": "us", "aud": "c", "iat": now, "exp": now + 600, "jti": new_id(), "data": data}

    def put_out(self, session_id: str | None = None) -> str:
        session_id = session_id or new_id()
        claims = self.claims(session_id)
        self.deployment.database.write_now(lambda c: Outbox(self.clock).add(c, self.tenant, session_id, claims))
        return session_id

    def deliver(self, *, private_addresses: bool = True) -> int:
        """Make the tries that are due now. Give their number."""

        async def run() -> int:
            sender = Sender(self.clock, private_addresses=private_addresses)
            courier = self.courier(sender)
            try:
                taken = await courier.take_due()
                while courier._under_way:
                    await asyncio.gather(*courier._under_way)
                    await asyncio.sleep(0)
            finally:
                await sender.close()
            return taken

        return asyncio.run(run())

    def remove_old(self) -> None:
        async def run() -> None:
            sender = Sender(self.clock, private_addresses=True)
            await self.courier(sender).remove_old()
            await sender.close()

        asyncio.run(run())

    def courier(self, sender: Sender) -> Courier:
        return Courier(
            self.deployment.database,
            self.deployment.tenants,
            self.signer,
            sender,
            self.clock,
            replay_seconds=REPLAY_SECONDS,
        )

    @property
    def log(self) -> list[Delivery]:
        return self.webhooks.deliveries(self.tenant)
