"""The check of a caller's permissions. An endpoint's signature names the scope that it needs.

For example ``principal: Annotated[Principal, Depends(Requires(Scope.FACE_MATCH))]``.
"""

from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends, Request

from likeness.access.clients import Clients
from likeness.access.scopes import Scope
from likeness.access.tokens import Principal, Tokens
from likeness.audit.actions import REFUSED, Action
from likeness.audit.actor import ACTOR, Actor
from likeness.audit.trail import Trail
from likeness.errors import Forbidden, Unauthorized
from likeness.kit.fairness import OWNER
from likeness.tenants.service import Tenants
from likeness.web.components import Component, components_of
from likeness.web.proxies import Proxies
from likeness.web.quota import Limits
from likeness.web.route import OfRequest


@dataclass(frozen=True, kw_only=True)
class AccessComponents:
    """The application's components that a call with a token needs."""

    tokens: Tokens
    clients: Clients
    tenants: Tenants
    limits: Limits
    trail: Trail
    proxies: Proxies


TenantsComponent = Annotated[Tenants, Depends(Component(AccessComponents, lambda components: components.tenants))]
"""The type of an endpoint's parameter that gets the tenants."""


TrailComponent = Annotated[Trail, Depends(Component(AccessComponents, lambda components: components.trail))]


class Requires(OfRequest):
    """A dependency that lets a request through when its token holds one of the scopes.

    It reads headers only, so it runs before the body is received.
    """

    def __init__(self, *any_of: Scope) -> None:
        self.any_of = any_of

    async def __call__(self, request: Request) -> Principal:
        components = components_of(request.app, AccessComponents)
        principal = await components.tokens.verify(request.headers.get("authorization"))
        request.state.tenant, request.state.client = (
            principal.tenant_id,
            principal.client_id,
        )  # for the call's line in the log
        ACTOR.set(Actor(principal.client_id, principal.tenant_id, request.state.request_id))
        client = await components.clients.enabled(principal.client_id)
        if client is None:
            raise Unauthorized("The client of this token is disabled, or was erased.")
        caller = components.proxies.caller(request)
        is_bound = principal.certificate or client.certificates
        if is_bound and (caller.certificate != principal.certificate or caller.certificate not in client.certificates):
            components.trail.record(Action.REFUSAL, "certificate", outcome=REFUSED)
            raise Unauthorized("The access token needs the client's certificate. Get a new one with the certificate.")
        if not client.allows(caller.address):
            components.trail.record(Action.REFUSAL, "address", outcome=REFUSED)
            raise Forbidden("This client may not call from this address.")
        # A permission that the client has lost is lost to the tokens that it has already.
        principal = replace(principal, scopes=principal.scopes.intersection(client.scopes))
        request.state.hides_scores = client.hides_scores
        request.state.leave = components.limits.enter(principal.tenant_id, principal.client_id)
        demand(principal, *self.any_of, trail=components.trail)
        OWNER.set(principal.tenant_id)
        return principal


def demand(principal: Principal, *any_of: Scope, trail: Trail) -> None:
    """Raise Forbidden unless the principal holds one of the scopes. A refusal goes into the audit trail."""
    if principal.scopes.isdisjoint(any_of):
        trail.record(Action.REFUSAL, " or ".join(any_of), outcome=REFUSED)
        raise Forbidden(f"This request needs the permission {' or '.join(any_of)}, which the token does not have.")
