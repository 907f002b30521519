"""Access tokens: issued for client credentials (RFC 6749 §4.4), and verified to name the caller."""

import logging
from collections import deque
from dataclasses import dataclass
from typing import Any

from likeness.access.assertions import Assertions, jti_of, subject_of
from likeness.access.clients import Clients
from likeness.access.repository import ClientRow
from likeness.access.scopes import Scope
from likeness.errors import TooManyRequests, Unauthorized
from likeness.kit.clock import Clock
from likeness.kit.ids import new_id
from likeness.kit.jose import InvalidToken, Signer
from likeness.web.proxies import Caller
from likeness.web.quota import Quota

log = logging.getLogger("likeness.access")

AUDIENCE = "likeness-api"
TYPE = "at+jwt"
"""The kind of token in its header (RFC 9068 §2.1)."""
THUMBPRINT = "x5t#S256"
NOBODY = Caller()
FAILURE_WINDOW_SECONDS = 60.0
TRACKED_CLIENTS = 10_000
TRACKED_CHARACTERS = 64


class InvalidClient(Exception):
    """The client id, the secret or the address is wrong. The caller never learns which of them."""


class InvalidScope(Exception):
    """The caller asked for a permission that the client does not hold."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An issued token, with the facts for its reply."""

    token: str
    scopes: tuple[str, ...]
    expires_in_seconds: int
    jti: str
    tenant_id: str


@dataclass(frozen=True, slots=True)
class Principal:
    """The verified caller. It is the only source of a request's tenant id."""

    tenant_id: str
    client_id: str
    scopes: frozenset[str]
    certificate: str | None = None
    """The certificate that its token is bound to, as :class:`~likeness.web.proxies.Caller` has it."""


class Tokens:
    """Issues access tokens to clients, and verifies them. After too many wrong secrets it refuses more for a while."""

    def __init__(
        self,
        clients: Clients,
        signer: Signer,
        clock: Clock,
        *,
        issuer: str,
        ttl_seconds: int,
        failures_per_minute: int,
        quota: Quota,
    ) -> None:
        self._clients = clients
        self._signer = signer
        self._clock = clock
        self._assertions = Assertions(clock, issuer=issuer)
        self._issuer = issuer
        self._ttl_seconds = ttl_seconds
        self._failures_per_minute = failures_per_minute
        self._quota = quota
        self._failures: dict[str, deque[float]] = {}

    async def issue(
        self,
        client_id: str,
        client_secret: str,
        scopes: frozenset[str] | None = None,
        *,
        caller: Caller = NOBODY,
    ) -> AccessToken:
        """Issue a token with the client's permissions, or only with ``scopes``.

        Raises InvalidClient, InvalidScope, ServiceUnavailable, and TooManyRequests after too many calls of the client
        or too many wrong secrets. Wrong secrets never keep the right one from getting a token: a client's id is not
        secret, so a stranger who knows it must not be able to lock the client out.
        """
        return self._grant(await self._clients.verify_secret(client_id, client_secret), client_id, scopes, caller)

    async def issue_for_assertion(
        self, assertion: str, client_id: str | None, scopes: frozenset[str] | None, *, caller: Caller
    ) -> AccessToken:
        """Issue a token as :meth:`issue` does, to a client that signed an assertion. Raises the same errors.

        ``client_id`` is the client that the request names apart from the assertion, or None. An assertion of another
        issuer does not name the client itself.
        """
        claimed = client_id or subject_of(assertion)
        client = await self._clients.with_keys(claimed)
        if client is not None and not (
            self._assertions.accepts(client, assertion) and await self._is_unused(client, assertion)
        ):
            client = None
        return self._grant(client, claimed, scopes, caller)

    async def issue_for_certificate(
        self, client_id: str, scopes: frozenset[str] | None, *, caller: Caller
    ) -> AccessToken:
        """Issue a token as :meth:`issue` does, by the client's certificate (RFC 8705 §2.2). Raises the same errors."""
        client = await self._clients.with_keys(client_id)
        if client is not None and caller.certificate not in client.certificates:
            client = None
        return self._grant(client, client_id, scopes, caller)

    async def _is_unused(self, client: ClientRow, assertion: str) -> bool:
        """Whether no other server accepted an assertion before. One of another issuer may be shown again."""
        if client.settings is not None and client.settings.issuer is not None:
            return True
        return await self._clients.use_assertion(client, jti_of(assertion))

    def _grant(
        self, client: ClientRow | None, client_id: str, scopes: frozenset[str] | None, caller: Caller
    ) -> AccessToken:
        """Issue a token to a client that proved to be itself, or count a failure for None. It is one of its calls.

        A client with certificates gets a token that is bound to the one of this connection (RFC 8705 §3).
        """
        if client is not None and not client.allows(caller.address):
            log.warning("client %s was refused a token: it may not call from %s", client.id, caller.address)
            raise InvalidClient  # a thief of the secret does not learn that it is right
        if client is not None and client.certificates and caller.certificate not in client.certificates:
            log.warning("client %s was refused a token: its certificate is missing", client.id)
            raise InvalidClient
        if client is None:
            tracked = client_id[:TRACKED_CHARACTERS]
            self._refuse_guessing(tracked)
            self._note_failure(tracked)
            raise InvalidClient
        self._quota.take(client.id)
        held = frozenset(client.scopes)
        granted = held if scopes is None else scopes
        if not granted <= held:
            raise InvalidScope
        now = int(self._clock.now())
        ordered = tuple(scope for scope in Scope if scope in granted)
        jti = new_id()
        claims = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": client.id,
            "client_id": client.id,
            "tenant_id": client.tenant_id,
            "iat": now,
            "nbf": now,
            "exp": now + self._ttl_seconds,
            "jti": jti,
            "scope": list(ordered),
        }
        if client.certificates:
            claims["cnf"] = {THUMBPRINT: caller.certificate}
        return AccessToken(self._signer.sign(claims, typ=TYPE), ordered, self._ttl_seconds, jti, client.tenant_id)

    async def verify(self, authorization: str | None) -> Principal:
        """Give the principal of an ``Authorization`` header. Raises Unauthorized."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized("Send an access token: 'Authorization: Bearer <token>'.")
        try:
            claims = await self._signer.verify_any(
                token.strip(), typ=TYPE, issuer=self._issuer, audience=AUDIENCE, now=self._clock.now()
            )
        except InvalidToken as error:
            raise Unauthorized(
                "The access token is malformed or expired, or this server did not issue it. Get a new one."
            ) from error
        bound_to = claims.get("cnf", {}).get(THUMBPRINT)
        return Principal(claims["tenant_id"], claims["client_id"], frozenset(claims["scope"]), bound_to)

    async def public_keys(self) -> dict[str, Any]:
        """Give the JWK Set that verifies tokens and results, also those of other servers."""
        await self._signer.renew()
        return self._signer.public_set(now=self._clock.now())

    def _refuse_guessing(self, client_id: str) -> None:
        recent = self._failures.get(client_id)
        if recent is None:
            return
        oldest = self._clock.now() - FAILURE_WINDOW_SECONDS
        while recent and recent[0] <= oldest:
            recent.popleft()
        if not recent:
            del self._failures[client_id]
        elif len(recent) >= self._failures_per_minute:
            wait = int(recent[0] - oldest) + 1
            raise TooManyRequests("Too many wrong secrets for this client.", retry_after_seconds=wait)

    def _note_failure(self, client_id: str) -> None:
        if len(self._failures) >= TRACKED_CLIENTS:
            self._failures.pop(next(iter(self._failures)))
        self._failures.setdefault(client_id, deque()).append(self._clock.now())
