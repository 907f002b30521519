"""A person who visits the console of a server, without a browser."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from likeness.console.accounts.roles import Role
from likeness.console.accounts.service import NewSecrets, code_of
from likeness.console.composition import accounts_of_deployment
from likeness.console.requires import COOKIE
from servers import Api, Server

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}
_names = iter(range(1 << 30))


@dataclass
class Guest:
    """Keeps the cookie itself: httpx sends one that is ``Secure`` over TLS alone."""

    http: httpx.Client
    token: str = ""

    def ask(self, method: str, path: str, *, headers: dict[str, str] | None = None, **options: Any) -> httpx.Response:
        cookie = {"Cookie": f"{COOKIE}={self.token}"} if self.token else {}
        given = SAME_SITE if headers is None else headers
        return self.http.request(method, path, headers={**cookie, **given}, **options)

    def get(self, path: str) -> httpx.Response:
        return self.ask("GET", path)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.ask("POST", path, **options)


def account(api: Api, role: Role) -> NewSecrets:
    accounts = accounts_of_deployment(api.server.deployment)
    return accounts.create(api.tenant, f"person {next(_names)}", role)


def secrets_of(server: Server, made: NewSecrets) -> dict[str, str]:
    seed = made.totp_address.split("secret=")[1].split("&")[0]
    code = code_of(seed, server.clock.now())
    return {"name": made.account.name, "password": made.password, "code": code}


@contextlib.contextmanager
def visiting(api: Api, role: Role) -> Iterator[Guest]:
    """Give a person of a tenant who is signed in."""
    with httpx.Client(base_url=api.server.url, timeout=60) as http:
        guest = Guest(http)
        reply = guest.post("/console/sign-in", data=secrets_of(api.server, account(api, role)))
        assert reply.status_code == 303, reply.text
        guest.token = reply.cookies[COOKIE]
        yield guest
