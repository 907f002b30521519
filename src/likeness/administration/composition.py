"""The parts that the administration's endpoints need."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import Depends

from likeness.access.requires import Requires
from likeness.access.scopes import Scope
from likeness.access.tokens import Principal
from likeness.audit.reading import TrailReader
from likeness.deployment import Deployment
from likeness.engine.base import Engine
from likeness.kit.jose import Signer
from likeness.tenants.service import Tenant
from likeness.usage.counting import Usage
from likeness.web.components import Component
from likeness.webhooks.sender import DeliveryOutcome, Sender
from likeness.webhooks.service import Webhooks


@dataclass(frozen=True, slots=True)
class Administration:
    """The services of the administration, apart from those of all endpoints."""

    webhooks: Webhooks
    test_webhook: Callable[[Tenant], Awaitable[DeliveryOutcome]]
    judges_passively: bool
    """Whether this server can judge a face session in passive mode."""
    trail: TrailReader
    usage: Usage


@dataclass(frozen=True, kw_only=True)
class AdministrationComponents:
    """The application's components that these endpoints need."""

    administration: Administration


def compose_administration(
    deployment: Deployment, engine: Engine, sender: Sender, signer: Signer, usage: Usage
) -> Administration:
    """Put the administration's services together."""
    webhooks = Webhooks(deployment.database, deployment.clock, deployment.settings.webhook_private_addresses)
    test = partial(webhooks.test, signer=signer, sender=sender, issuer=deployment.settings.origin)
    return Administration(webhooks, test, engine.judges_passively, TrailReader(deployment.database), usage)


Administrator = Annotated[Principal, Depends(Requires(Scope.ADMIN))]
AdministrationComponent = Annotated[
    Administration, Depends(Component(AdministrationComponents, lambda components: components.administration))
]
