"""A small example of a caller's backend.

It opens face sessions and verifies their results, for a person in front of this machine. An integrator writes this
part. It calls the server over HTTP only, with a client's credentials, and listens on this machine only.
"""

import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from jinja2 import Environment, FileSystemLoader
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from likeness.access.clients import ClientCredentials

PHOTO_BYTES = 5 * 1024 * 1024
SESSIONS_KEPT = 100
CLOCK_TOLERANCE_SECONDS = 60
_PAGES = Environment(loader=FileSystemLoader(Path(__file__).parent / "pages"), autoescape=True)


class BadResult(Exception):
    """A result of another session."""


@dataclass(slots=True)
class Backend:
    """Opens face sessions with an ID photo, and shows their results."""

    server: str
    own_address: str
    credentials: ClientCredentials
    http: httpx.AsyncClient = field(init=False)
    _sessions: dict[str, str] = field(default_factory=dict)
    _token: tuple[str, float] = ("", 0.0)

    def __post_init__(self) -> None:
        self.http = httpx.AsyncClient(base_url=self.server, timeout=30, trust_env=False)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self.show_start),
                Route("/sessions", self.open_session, methods=["POST"]),
                Route("/result/{nonce}", self.show_result),
            ],
        )

    async def show_start(self, _request: Request) -> Response:
        return _page("start.html", server=self.server)

    async def open_session(self, request: Request) -> Response:
        """Open a session with the photo in the body. The nonce ties the result to this session."""
        if int(request.headers.get("content-length", PHOTO_BYTES + 1)) > PHOTO_BYTES:
            return JSONResponse({"message": "Send a photo of at most 5 MB."}, 413)
        photo = await request.body()
        if not photo:
            return JSONResponse({"message": "Choose a photo first."}, 400)
        nonce = secrets.token_urlsafe(16)
        reply = await self.http.post(
            "/api/v1/face",
            headers=await self._authorisation(),
            files={"idPhoto": ("id.jpg", photo)},
            data={
                "nonce": nonce,
                "redirectUrl": f"{self.own_address}/result/{nonce}",
                "returnDataForIncompleteSession": "true",
            },
        )
        body = reply.json()
        if reply.status_code != httpx.codes.CREATED:
            return JSONResponse({"message": body["message"]}, reply.status_code)
        self._remember(nonce, body["sessionId"])
        return JSONResponse({"captureUrl": body["captureUrl"]}, 201)

    async def show_result(self, request: Request) -> Response:
        """Fetch the session's signed result, verify it, and show it."""
        nonce = request.path_params["nonce"]
        session_id = self._sessions.get(nonce)
        if session_id is None:
            return _page("result.html", fault="This backend does not know the session. Start a new one.", status=404)
        reply = await self.http.get(f"/api/v1/info/{session_id}", headers=await self._authorisation())
        if reply.status_code != httpx.codes.OK:
            return _page("result.html", fault=reply.json()["message"], status=reply.status_code)
        try:
            claims = await self._verify(reply.text, session_id, nonce)
        except (BadResult, JoseError, ValueError) as error:
            return _page("result.html", fault=f"The result does not verify: {error}", status=502)
        return _page("result.html", face=claims["data"]["face"], claims=claims, jws=reply.text)

    async def _verify(self, jws: str, session_id: str, nonce: str) -> dict[str, Any]:
        keys = KeySet.import_key_set((await self.http.get("/api/.well-known/jwks.json")).json())
        claims = jwt.decode(jws, keys, ["RS256"]).claims
        jwt.JWTClaimsRegistry(
            leeway=CLOCK_TOLERANCE_SECONDS,
            iss={"essential": True, "value": self.server},
            aud={"essential": True, "value": self.credentials.client_id},
            exp={"essential": True},
        ).validate(claims)
        if claims["data"]["sessionId"] != session_id or claims["data"].get("nonce") != nonce:
            raise BadResult("it belongs to another session")
        return claims

    async def _authorisation(self) -> dict[str, str]:
        token, end = self._token
        if time.monotonic() > end:
            form = {
                "grant_type": "client_credentials",
                "client_id": self.credentials.client_id,
                "client_secret": self.credentials.client_secret,
            }
            body = (await self.http.post("/api/oauth/token", data=form)).raise_for_status().json()
            token, end = body["access_token"], time.monotonic() + body["expires_in"] / 2
            self._token = token, end
        return {"Authorization": f"Bearer {token}"}

    def _remember(self, nonce: str, session_id: str) -> None:
        self._sessions[nonce] = session_id
        while len(self._sessions) > SESSIONS_KEPT:
            del self._sessions[next(iter(self._sessions))]


def _page(name: str, status: int = 200, **values: Any) -> HTMLResponse:
    return HTMLResponse(_PAGES.get_template(name).render(**values), status, {"Cache-Control": "no-store"})
