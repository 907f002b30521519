"""``POST /api/oauth/token`` and the public keys."""

import base64
import binascii
from typing import Annotated, Any
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from likeness.kit.http import part, read_body
from likeness.tokens.service import InvalidClient, InvalidScope, Tokens

router = APIRouter(tags=["token"])
LARGEST_FORM_BYTES = 16 * 1024
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class TokenReply(BaseModel):
    """RFC 6749 §5.1, with the contract's ``jti``."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105  the word of RFC 6750, not a secret
    expires_in: int
    scope: str
    jti: str


class OAuthFault(Exception):
    """An error reply of RFC 6749 §5.2, whose shape differs from every other call's."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.status = status


async def handle_oauth_fault(_request: Request, fault: Exception) -> JSONResponse:
    assert isinstance(fault, OAuthFault)
    headers = {**NO_STORE, "WWW-Authenticate": "Basic"} if fault.status == 401 else NO_STORE
    return JSONResponse({"error": fault.error, "error_description": str(fault)}, fault.status, headers)


@router.post(
    "/api/oauth/token",
    response_model=TokenReply,
    summary="Get an access token (client credentials)",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "type": "object",
                        "required": ["grant_type"],
                        "properties": {
                            "grant_type": {"type": "string", "enum": ["client_credentials"]},
                            "client_id": {"type": "string"},
                            "client_secret": {"type": "string", "format": "password"},
                            "scope": {
                                "type": "string",
                                "description": "Permissions, separated by spaces, to narrow the token to.",
                            },
                        },
                    },
                    "example": {"grant_type": "client_credentials", "client_id": "…", "client_secret": "…"},
                }
            },
        }
    },
    responses={400: {"description": "RFC 6749 §5.2"}, 401: {"description": "`invalid_client`"}},
)
async def issue_token(request: Request, tokens: Annotated[Tokens, Depends(part(Tokens))]) -> JSONResponse:
    """Exchange a client's id and secret, in the form or as HTTP Basic, for a token of 30 minutes."""
    form = await _read_form(request)
    if form.get("grant_type") is None:
        raise OAuthFault("invalid_request", "grant_type is missing.")
    if form["grant_type"] != "client_credentials":
        raise OAuthFault("unsupported_grant_type", "Only grant_type=client_credentials is supported.")
    client_id, client_secret = _credentials(request, form)
    scopes = frozenset(form["scope"].split()) if form.get("scope", "").strip() else None
    try:
        issued = await tokens.issue(client_id, client_secret, scopes)
    except InvalidClient as error:
        raise OAuthFault("invalid_client", "The client id or the client secret is wrong.", 401) from error
    except InvalidScope as error:
        raise OAuthFault("invalid_scope", "The client does not hold every permission asked for.") from error
    reply = TokenReply(
        access_token=issued.token, expires_in=issued.expires_in_seconds, scope=" ".join(issued.scopes), jti=issued.jti
    )
    return JSONResponse(reply.model_dump(), headers=NO_STORE)


@router.get("/api/.well-known/jwks.json", summary="Public keys of tokens and results")
async def get_public_keys(tokens: Annotated[Tokens, Depends(part(Tokens))]) -> JSONResponse:
    """Give the JWK Set; a retired key stays while anything that it signed is valid."""
    return JSONResponse(tokens.public_keys(), headers={"Cache-Control": "public, max-age=300"})


async def _read_form(request: Request) -> dict[str, str]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise OAuthFault("invalid_request", "Send the parameters form-encoded.")
    body = await read_body(request, limit_bytes=LARGEST_FORM_BYTES)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        raise OAuthFault("invalid_request", "The form is not well-formed.") from error
    form: dict[str, str] = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthFault("invalid_request", "A parameter is given twice.")
    return form


def _credentials(request: Request, form: dict[str, str]) -> tuple[str, str]:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
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
