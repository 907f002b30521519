"""``POST /api/oauth/token`` and the public keys."""

import base64
import binascii
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from likeness.access.assertions import ASSERTION_TYPE, subject_of
from likeness.access.requires import AccessComponents
from likeness.access.tokens import AccessToken, InvalidClient, InvalidScope, Tokens
from likeness.audit.actions import ISSUED, REFUSED, Action
from likeness.audit.actor import Actor
from likeness.errors import LikenessError, TooManyRequests
from likeness.kit.ids import is_uuid
from likeness.web.components import Component, components_of
from likeness.web.http import read_body, refuse_encoded
from likeness.web.wire import example

router = APIRouter(tags=["token"])
TokensComponent = Annotated[Tokens, Depends(Component(AccessComponents, lambda components: components.tokens))]
LARGEST_FORM_BYTES = 16 * 1024
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class TokenReply(BaseModel):
    """RFC 6749 §5.1, with the contract's ``jti``."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105  the word of RFC 6750, not a secret
    expires_in: int
    scope: str
    jti: str


class OAuthErrorBody(BaseModel):
    """RFC 6749 §5.2."""

    model_config = example(error="invalid_client", error_description="The client id, secret or assertion is wrong.")

    error: str
    error_description: str


class Jwk(BaseModel):
    """An RSA key (RFC 7517, RFC 7518 §6.3)."""

    kty: Literal["RSA"]
    kid: str
    use: Literal["sig"]
    alg: Literal["RS256"]
    n: str
    e: str


class JwkSet(BaseModel):
    """The public keys that verify tokens and results (RFC 7517)."""

    keys: list[Jwk]


OAUTH_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": OAuthErrorBody, "description": "The form, the grant or a scope is wrong, by RFC 6749 §5.2"},
    401: {"model": OAuthErrorBody, "description": "`invalid_client`"},
    413: {"model": OAuthErrorBody, "description": "Too many bytes: `invalid_request`"},
    415: {"model": OAuthErrorBody, "description": "A compressed form: `invalid_request`"},
    429: {"model": OAuthErrorBody, "description": "Too many failures, see `Retry-After`: `temporarily_unavailable`"},
    503: {"model": OAuthErrorBody, "description": "Full or not ready, see `Retry-After`: `temporarily_unavailable`"},
}


class OAuthFault(Exception):
    """An error reply of RFC 6749 §5.2. Its shape differs from the errors of all other calls."""

    def __init__(
        self, error: str, description: str, status: int = 400, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(description)
        self.error = error
        self.status = status
        self.headers = dict(headers or {})

    @classmethod
    def of(cls, error: LikenessError) -> "OAuthFault":
        """Convert another call's error to this shape."""
        code = "temporarily_unavailable" if error.status in {429, 503} else "invalid_request"
        return cls(code, error.message, error.status, headers=error.headers)


async def handle_oauth_fault(_request: Request, fault: Exception) -> JSONResponse:
    """Answer a refused token call as RFC 6749 §5.2 says."""
    assert isinstance(fault, OAuthFault)
    headers = NO_STORE | fault.headers | ({"WWW-Authenticate": "Basic"} if fault.status == 401 else {})
    return JSONResponse({"error": fault.error, "error_description": str(fault)}, fault.status, headers)


@router.post(
    "/api/oauth/token",
    response_model=TokenReply,
    operation_id="getToken",
    summary="Get an access token (client credentials)",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "title": "TokenRequest",
                        "type": "object",
                        "required": ["grant_type"],
                        "properties": {
                            "grant_type": {"type": "string", "enum": ["client_credentials"]},
                            "client_id": {"type": "string"},
                            "client_secret": {"type": "string", "format": "password"},
                            "client_assertion_type": {"type": "string", "enum": [ASSERTION_TYPE]},
                            "client_assertion": {
                                "type": "string",
                                "description": "In place of the secret: a JWT that the client signed (RFC 7523).",
                            },
                            "scope": {
                                "type": "string",
                                "description": "The token's permissions, separated by spaces. Default: all of the "
                                "client's.",
                            },
                        },
                    },
                    "example": {"grant_type": "client_credentials", "client_id": "…", "client_secret": "…"},
                }
            },
        }
    },
    responses=OAUTH_ERRORS,
)
async def issue_token(request: Request, tokens: TokensComponent) -> JSONResponse:
    """Exchange a client's id and secret for a token of 30 minutes. Send them in the form or as HTTP Basic.

    A client with a key of its own sends a signed assertion instead (`private_key_jwt`). A client with a TLS
    certificate sends only its id.
    """
    try:
        return await _issue(tokens, request, await _read_form(request))
    except LikenessError as error:
        raise OAuthFault.of(error) from error


async def _issue(tokens: Tokens, request: Request, form: dict[str, str]) -> JSONResponse:
    if form.get("grant_type") is None:
        raise OAuthFault("invalid_request", "grant_type is missing.")
    if form["grant_type"] != "client_credentials":
        raise OAuthFault("unsupported_grant_type", "Only grant_type=client_credentials is supported.")
    scopes = frozenset(form["scope"].split()) if form.get("scope", "").strip() else None
    caller = components_of(request.app, AccessComponents).proxies.caller(request)
    if "client_assertion" in form or "client_assertion_type" in form:
        assertion = _assertion(request, form)
        client_id = form.get("client_id") or subject_of(assertion)
        issuing = tokens.issue_for_assertion(assertion, form.get("client_id"), scopes, caller=caller)
    elif caller.certificate and form.get("client_id") and not (form.get("client_secret") or _authorization(request)):
        client_id = form["client_id"]
        issuing = tokens.issue_for_certificate(client_id, scopes, caller=caller)
    else:
        client_id, client_secret = _credentials(request, form)
        issuing = tokens.issue(client_id, client_secret, scopes, caller=caller)
    try:
        issued = await _recorded(request, client_id, issuing)
    except InvalidClient as error:
        raise OAuthFault("invalid_client", "The client id, secret or assertion is wrong.", 401) from error
    except InvalidScope as error:
        raise OAuthFault("invalid_scope", "The client does not hold all requested permissions.") from error
    reply = TokenReply(
        access_token=issued.token, expires_in=issued.expires_in_seconds, scope=" ".join(issued.scopes), jti=issued.jti
    )
    return JSONResponse(reply.model_dump(), headers=NO_STORE)


async def _recorded(request: Request, client_id: str, issuing: Awaitable[AccessToken]) -> AccessToken:
    """Issue a token, or refuse it, with a record in the audit trail. A text that is no client's id is left out."""
    trail = components_of(request.app, AccessComponents).trail
    caller = Actor(client_id.lower() if is_uuid(client_id) else "unknown", request_id=request.state.request_id)
    try:
        issued = await issuing
    except (InvalidClient, InvalidScope, TooManyRequests):
        trail.record(Action.SIGN_IN, None, outcome=REFUSED, actor=caller)
        raise
    trail.record(Action.SIGN_IN, issued.jti, outcome=ISSUED, actor=replace(caller, tenant=issued.tenant_id))
    return issued


@router.get(
    "/api/.well-known/jwks.json",
    response_model=JwkSet,
    operation_id="getPublicKeys",
    summary="Public keys of tokens and results",
)
async def get_public_keys(tokens: TokensComponent) -> JSONResponse:
    """Give the JWK Set. A retired key stays in it until all that it signed has expired."""
    return JSONResponse(await tokens.public_keys(), headers={"Cache-Control": "public, max-age=300"})


async def _read_form(request: Request) -> dict[str, str]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise OAuthFault("invalid_request", "Send the parameters form-encoded.")
    refuse_encoded(request)
    body = await read_body(request, limit_bytes=LARGEST_FORM_BYTES)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        raise OAuthFault("invalid_request", "The form is not well-formed.") from error
    form: dict[str, str] = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthFault("invalid_request", "A parameter is given twice.")
    return form


def _authorization(request: Request) -> str:
    return request.headers.get("authorization", "")


def _assertion(request: Request, form: dict[str, str]) -> str:
    if form.get("client_secret") or _authorization(request):
        raise OAuthFault("invalid_request", "Send the client's secret or an assertion, not both.")
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise OAuthFault("invalid_request", f"The client_assertion_type must be {ASSERTION_TYPE}.")
    if not form.get("client_assertion"):
        raise OAuthFault("invalid_client", "The client_assertion is missing.", 401)
    return form["client_assertion"]


def _credentials(request: Request, form: dict[str, str]) -> tuple[str, str]:
    scheme, _, encoded = _authorization(request).partition(" ")
    given: list[Any] = [form.get("client_id"), form.get("client_secret")]
    if scheme.lower() == "basic":
        if form.get("client_secret"):
            raise OAuthFault("invalid_request", "Send the client's secret once: in the form or as HTTP Basic.")
        try:
            user, separator, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, ValueError) as error:
            raise OAuthFault("invalid_client", "The HTTP Basic credentials are not well-formed.", 401) from error
        given = [unquote_plus(user), unquote_plus(password)] if separator else [None, None]
    if not given[0] or not given[1]:
        raise OAuthFault("invalid_client", "The client id or the client secret is missing.", 401)
    return given[0], given[1]
