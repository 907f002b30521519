"""What the console's pages need of the application."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from likeness.console.accounts.service import Accounts, Visits
from likeness.deployment import Deployment
from likeness.kit.clock import Clock
from likeness.kit.jose import InvalidToken, Signer
from likeness.web.components import Component
from likeness.webhooks.signing import RESULT_TYPE


@dataclass(frozen=True, slots=True)
class Console:
    """The console's own parts. ``origin`` is the server's public address."""

    visits: Visits
    origin: str
    clock: Clock
    signer: Signer

    async def is_genuine(self, jws: str, client_id: str) -> bool:
        """Whether a result is signed for a client by this server, and is valid now."""
        now = self.clock.now()
        try:
            await self.signer.verify_any(jws, typ=RESULT_TYPE, issuer=self.origin, audience=client_id, now=now)
        except InvalidToken:
            return False
        return True


@dataclass(frozen=True, kw_only=True)
class ConsoleComponents:
    """The application's components that these endpoints need."""

    console: Console


def accounts_of_deployment(deployment: Deployment) -> Accounts:
    """Give the accounts of a deployment."""
    key = deployment.derived_key("account name")
    return Accounts(deployment.database, deployment.tenants, deployment.clock, key)


def compose_console(deployment: Deployment, signer: Signer) -> Console:
    """Put the console's parts together."""
    accounts = accounts_of_deployment(deployment)
    visits = Visits(accounts, deployment.database, deployment.tenants, deployment.clock)
    return Console(visits, deployment.settings.origin, deployment.clock, signer)


ConsoleComponent = Annotated[Console, Depends(Component(ConsoleComponents, lambda components: components.console))]
