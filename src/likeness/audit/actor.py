"""Who acts in the present context: a client, the operator, or the server by itself."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """``who`` is a client's id, ``operator`` or ``server``. ``request_id`` names the call or the face session."""

    who: str
    tenant: str | None = None
    request_id: str | None = None


SERVER, OPERATOR = Actor("server"), Actor("operator")
ACTOR: ContextVar[Actor] = ContextVar("actor", default=SERVER)
