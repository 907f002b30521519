"""The check of who visits the console. An endpoint's signature names the role that it needs.

For example ``visitor: ReviewerVisit``.
"""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from likeness.access.requires import AccessComponents
from likeness.audit.actions import REFUSED, Action
from likeness.audit.actor import ACTOR, Actor
from likeness.console.accounts.roles import Role
from likeness.console.accounts.service import Account
from likeness.console.composition import ConsoleComponents
from likeness.errors import Forbidden, Unauthorized
from likeness.kit.fairness import OWNER
from likeness.tenants.service import Tenant
from likeness.web.components import components_of
from likeness.web.route import OfRequest

COOKIE = "__Host-console"
SAFE = frozenset({"GET", "HEAD"})


class SignedOut(Unauthorized):
    """The visit has ended, or never began. A page then leads to the sign-in."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person who is signed in, with their tenant."""

    account: Account
    tenant: Tenant
    token: str

    def may(self, role: str) -> bool:
        """Whether the person may do what a role may."""
        return self.account.role.includes(Role(role))


class RequiresRole(OfRequest):
    """A dependency that lets a request through when its visitor has a role. It reads headers only."""

    def __init__(self, role: Role) -> None:
        self.role = role

    async def __call__(self, request: Request) -> Visitor:
        refuse_other_sites(request)
        token = request.cookies.get(COOKIE, "")
        components = components_of(request.app, ConsoleComponents)
        account = await components.console.visits.find(token) if token else None
        if account is None:
            raise SignedOut("Sign in first.")
        access = components_of(request.app, AccessComponents)
        request.state.tenant, request.state.client = account.tenant_id, account.id  # for the call's line in the log
        ACTOR.set(Actor(account.id, account.tenant_id, request.state.request_id))
        request.state.leave = access.limits.enter(account.tenant_id, account.id)
        if not account.role.includes(self.role):
            access.trail.record(Action.REFUSAL, f"role {self.role}", outcome=REFUSED)
            raise Forbidden(f"This needs the role {self.role}. Yours is {account.role}.")
        OWNER.set(account.tenant_id)
        return Visitor(account, await access.tenants.get(account.tenant_id), token)


ViewerVisit = Annotated[Visitor, Depends(RequiresRole(Role.VIEWER))]
ReviewerVisit = Annotated[Visitor, Depends(RequiresRole(Role.REVIEWER))]
AdministratorVisit = Annotated[Visitor, Depends(RequiresRole(Role.ADMINISTRATOR))]
"""The types of an endpoint's parameter that gets the visitor, by the role that it needs."""


def refuse_other_sites(request: Request) -> None:
    """Raise Forbidden for a change that a page of another site asks for (CSRF).

    Each browser of today names the site in ``Sec-Fetch-Site``. Older ones name the origin. A request with neither is
    refused. The cookie is ``SameSite=Strict``, too.
    """
    if request.method in SAFE:
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin", "")
    same = site == "same-origin" if site else bool(origin) and urlsplit(origin).netloc == request.headers.get("host")
    if not same:
        raise Forbidden("A change must come from a page of this console.")
