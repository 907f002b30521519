"""Two tenants on one server. Each call of the API is made with one tenant's token on all that the other one has."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from likeness.access.scopes import Scope
from likeness.engine.fake import fake_photo
from likeness.webhooks.outbox import Outbox
from likeness.webhooks.service import Webhooks
from servers import Api, Server, b64, calling
from session_endings import end, opened, success, verified
from test_openapi import OPERATIONS

PERSON, OTHER_PERSON = fake_photo(1), fake_photo(2)
ROOT, ADMIN = "/api/v1/face/one-to-n", "/api/v1/admin"
ANYBODY = {"getToken", "getPublicKeys", "getHealth", "getReadiness"}
"""Calls without a token. They are made without one here."""


@dataclass
class Owner:
    """A tenant that has some of everything, and the ids of it all."""

    api: Api
    secret_words: list[str]
    ids: dict[str, str] = field(default_factory=dict)

    def owned(self) -> str:
        """Give all that the tenant has, as its own calls show it."""
        calls = [ROOT, f"{ADMIN}/settings", f"{ADMIN}/webhook", f"{ADMIN}/clients"]
        calls += [f"{ADMIN}/sessions", f"{ROOT}/{self.ids['entry']}", f"/api/v1/info/{self.ids['session']}"]
        image = self.api.call("GET", f"/api/v1/info/img/{self.ids['image']}")
        assert image.status_code == 200
        replies = [self.api.call("GET", path) for path in calls]
        assert {reply.status_code for reply in replies} == {200}
        # The server tries the deliveries meanwhile.
        log = self.api.call("GET", f"{ADMIN}/webhook/deliveries").json()["deliveries"]
        deliveries = sorted((each["deliveryId"], each["canReplay"]) for each in log)
        return json.dumps([*(reply.text for reply in replies), base64.b64encode(image.content).decode(), deliveries])


def make_owner(api: Api) -> Owner:
    server = api.server
    entry = api.insert(PERSON, externalId="customer-of-owner", metadata={"name": "word-of-owner"}).json()
    session_id = opened(api, nonce="nonce-of-owner")
    webhooks = Webhooks(server.deployment.database, server.deployment.clock, private_addresses=False)
    webhooks.put(api.tenant, "https://webhook-of-owner.example/x", {})
    jws = end(server, session_id, success())
    assert jws
    claims = verified(api, jws)
    waiting = opened(api)
    server.deployment.database.write_now(
        lambda c: Outbox(server.deployment.clock).add(c, api.tenant, session_id, {**claims, "jti": "of-owner"})
    )
    (secret, *_) = api.call("GET", f"{ADMIN}/clients/{api.client_id}").json()["secrets"]
    ids = {
        "entry": entry["oneToNVerificationId"],
        "session": session_id,
        "jti": claims["jti"],
        "image": claims["data"]["face"]["auditTrailImageId"],
        "waiting": waiting,
        "delivery": webhooks.deliveries(api.tenant)[0].id,
        "client": api.client_id,
        "secret": secret["secretId"],
    }
    words = [*ids.values(), api.tenant.id, api.tenant.name, "customer-of-owner", "word-of-owner", "nonce-of-owner"]
    return Owner(api, [*words, "webhook-of-owner"], ids)


@pytest.fixture(scope="module")
def owner(server: Server) -> Iterator[Owner]:
    with calling(server) as api:
        yield make_owner(api)


@pytest.fixture
def stranger(server: Server) -> Iterator[Api]:
    """Give a caller of another tenant, with every permission."""
    with calling(server) as api:
        yield api


Drive = Callable[[Api, Owner], list[httpx.Response]]


def on(method: str, path: str, *names: str, body: Any = None) -> Drive:
    """Call a path once with each of the owner's ids that the call could take."""

    def drive(caller: Api, owner: Owner) -> list[httpx.Response]:
        return [caller.call(method, path.format(id=owner.ids[name], **owner.ids), body) for name in names]

    return drive


def plain(method: str, path: str, body: Any = None, **options: Any) -> Drive:
    return lambda caller, _: [caller.call(method, path, body, **options)]


def token(caller: Api, owner: Owner) -> list[httpx.Response]:
    """Ask for a token of the owner's client with one's own secret."""
    form = {"grant_type": "client_credentials", "client_id": owner.ids["client"], "client_secret": caller.client_secret}
    return [caller.http.post("/api/oauth/token", data=form)]


def by_header(caller: Api, owner: Owner) -> list[httpx.Response]:
    names = ("session", "jti", "waiting")
    return [caller.call("GET", "/api/v1/info", headers={"UQ-Session-ID": owner.ids[name]}) for name in names]


def with_cursor(caller: Api, owner: Owner) -> list[httpx.Response]:
    """List with the owner's cursor, and by the owner's externalId."""
    owner.api.insert(OTHER_PERSON)
    page = owner.api.call("GET", f"{ROOT}?limit=1").json()
    assert page["next"]
    return [
        caller.call("GET", ROOT),
        caller.call("GET", ROOT, params={"cursor": page["next"]}),
        caller.call("GET", ROOT, params={"externalId": "customer-of-owner"}),
    ]


def comparisons(caller: Api, owner: Owner) -> list[httpx.Response]:
    """Compare a photo with another one, and with the owner's entry."""
    source = {"sourceImage": b64(PERSON)}
    targets = {"targetImage": b64(PERSON)}, {"targetId": owner.ids["entry"]}
    return [caller.call("POST", "/api/v1/face/match", source | target) for target in targets]


NOT_FOUND, EMPTY = {404}, {200}
DRIVES: dict[str, tuple[Drive, set[int]]] = {
    "getToken": (token, {401}),
    "getPublicKeys": (plain("GET", "/api/.well-known/jwks.json"), {200}),
    "getHealth": (plain("GET", "/healthz"), {200}),
    "getReadiness": (plain("GET", "/readyz"), {200}),
    "faceMatch": (comparisons, {200, 404}),
    "facePortrait": (plain("POST", "/api/v1/face/portrait", {"idPhoto": b64(PERSON)}), {200}),
    "faceSearch": (plain("POST", f"{ROOT}/search", {"idPhoto": b64(PERSON), "candidates": 10}), EMPTY),
    "faceSearchInsert": (
        plain(
            "POST",
            f"{ROOT}/insert",
            {"idPhoto": b64(OTHER_PERSON), "externalId": "customer-of-owner"},
            headers={"Idempotency-Key": "k"},
        ),
        {200},
    ),
    "deleteEntryImage": (on("DELETE", f"{ROOT}/search/{{id}}", "entry"), NOT_FOUND),
    "eraseEntry": (on("DELETE", f"{ROOT}/{{id}}", "entry"), NOT_FOUND),
    "getEntry": (on("GET", f"{ROOT}/{{id}}", "entry"), NOT_FOUND),
    "listEntries": (with_cursor, {200, 400}),
    "initSession": (plain("POST", "/api/v1/face", {"idPhoto": b64(PERSON), "oneToN": "search"}), {201}),
    "getResultByHeader": (by_header, NOT_FOUND),
    "getResult": (on("GET", "/api/v1/info/{id}", "session", "jti", "waiting"), NOT_FOUND),
    "purgeResult": (on("DELETE", "/api/v1/info/{id}", "session", "jti", "waiting"), {204}),
    "getAuditImage": (on("GET", "/api/v1/info/img/{id}", "image"), NOT_FOUND),
    "getSettings": (plain("GET", f"{ADMIN}/settings"), {200}),
    "putSettings": (plain("PUT", f"{ADMIN}/settings", {"search_level": 5}), {200, 400}),
    "getWebhook": (plain("GET", f"{ADMIN}/webhook"), NOT_FOUND),
    "putWebhook": (plain("PUT", f"{ADMIN}/webhook", {"url": "https://other.example/x"}), {200, 201}),
    "listDeliveries": (plain("GET", f"{ADMIN}/webhook/deliveries"), EMPTY),
    "replayDelivery": (on("POST", f"{ADMIN}/webhook/deliveries/{{id}}/replay", "delivery"), NOT_FOUND),
    "testWebhook": (plain("POST", f"{ADMIN}/webhook/test"), {200, 404}),
    "removeWebhook": (plain("DELETE", f"{ADMIN}/webhook"), {204, 404}),
    "listClients": (plain("GET", f"{ADMIN}/clients"), {200}),
    "createClient": (plain("POST", f"{ADMIN}/clients", {"name": "new", "scopes": [Scope.FACE_MATCH]}), {201}),
    "getClient": (on("GET", f"{ADMIN}/clients/{{id}}", "client"), NOT_FOUND),
    "changeClient": (on("PUT", f"{ADMIN}/clients/{{id}}", "client", body={}), {404, 400}),
    "disableClient": (on("DELETE", f"{ADMIN}/clients/{{id}}", "client"), NOT_FOUND),
    "rotateSecret": (on("POST", f"{ADMIN}/clients/{{id}}/secrets", "client", body={}), NOT_FOUND),
    "endSecret": (on("DELETE", f"{ADMIN}/clients/{{client}}/secrets/{{id}}", "secret"), NOT_FOUND),
    "getUsage": (plain("GET", f"{ADMIN}/usage"), {200}),
    "listAuditRecords": (plain("GET", f"{ADMIN}/audit"), {200}),
    "listSessions": (plain("GET", f"{ADMIN}/sessions"), {200}),
    "putLegalHold": (on("PUT", f"{ADMIN}/entries/{{id}}/legal-hold", "entry", body={"reference": "x"}), NOT_FOUND),
    "endLegalHold": (on("DELETE", f"{ADMIN}/entries/{{id}}/legal-hold", "entry"), NOT_FOUND),
}


def test_every_call_is_driven() -> None:
    assert DRIVES.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("call", DRIVES)
def test_a_call_reaches_nothing_of_another_tenant(owner: Owner, stranger: Api, call: str) -> None:
    drive, statuses = DRIVES[call]
    caller = stranger if call not in ANYBODY else _without_token(stranger)
    before = owner.owned()
    replies = drive(caller, owner)
    assert replies
    assert {reply.status_code for reply in replies} <= statuses, [reply.text for reply in replies]
    for reply in replies:
        told = reply.text + json.dumps(dict(reply.headers))
        asked = (
            str(reply.request.url) + json.dumps(dict(reply.request.headers)) + reply.request.content.decode("latin-1")
        )
        assert not [word for word in owner.secret_words if word in told and word not in asked]
    if call == "faceMatch":
        assert [reply.status_code for reply in replies] == [200, 404]
    if call == "faceSearch":
        assert replies[0].json()["oneToNVerificationId"] is None
        assert replies[0].json()["candidates"] == []
    if call == "listEntries":
        assert [reply.json().get("entries", []) for reply in replies] == [[], [], []]
    if call not in ANYBODY:
        acts = caller.call("GET", f"{ADMIN}/audit").text
        assert not [word for word in owner.ids.values() if word in acts], "the audit trail says that it was done"
    after = owner.owned()
    if call not in {"listEntries", "getToken"}:  # they enrol somebody, and count a refusal
        assert before == after


def _without_token(caller: Api) -> Api:
    return Api(caller.server, caller.tenant, caller.client_id, caller.client_secret, caller.http)


def test_the_owner_can_do_what_the_stranger_cannot(api: Api) -> None:
    """The refusals above are for the tenant. They are not for a wrong path or body."""
    owner = make_owner(api)
    for call in ("getEntry", "getResult", "getResultByHeader", "getAuditImage", "getClient", "getWebhook"):
        drive, _ = DRIVES[call]
        replies = drive(owner.api, owner)
        assert replies[0].status_code == 200, (call, replies[0].text)
    for call in ("replayDelivery", "deleteEntryImage", "eraseEntry", "purgeResult"):
        drive, _ = DRIVES[call]
        assert drive(owner.api, owner)[0].is_success, call
