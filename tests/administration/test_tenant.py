"""A tenant's administrators change its settings and its webhook."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from likeness.engine.fake import FakeEngine, fake_photo
from likeness.tenants.repository import set_tenant_settings
from likeness.tenants.schemas import TenantSettings
from likeness.webhooks.signature import verify_body
from servers import Api, Server, calling, serving, test_settings, wait_until
from session_endings import end, opened, success
from webhooks.receiver import receiving

SETTINGS, WEBHOOK = "/api/v1/admin/settings", "/api/v1/admin/webhook"


def test_settings_work_at_once(api: Api) -> None:
    two = fake_photo(1, faces=2)
    before = api.call("GET", SETTINGS).json()
    assert (before["name"], before["settings"]["facePolicy"]) == (api.tenant.name, "largest")
    reply = api.call("PUT", SETTINGS, {"facePolicy": "single", "redirectHosts": ["shop.example"]})
    assert reply.json()["settings"]["facePolicy"] == "single"
    assert api.match(two, two).json()["error"] == "MULTIPLE_FACES"
    refused = api.open_session(fake_photo(1), redirectUrl="https://other.example/")
    assert "does not allow its host" in refused.json()["message"]
    assert api.call("PUT", SETTINGS, {}).json() == before
    assert api.open_session(fake_photo(1), redirectUrl="https://other.example/").status_code == 201


@pytest.mark.parametrize(
    "fields",
    [{"searchLevel": 6}, {"searchLevel": "4"}, {"facePolicy": "any"}, {"redirectHosts": ["a b"]}, {"targetFpir": 0}]
    + [{"privacyName": text} for text in ("", "x" * 301, "two\nlines", "\u202eturned")]
    + [
        {"privacyUrl": url} for url in ("http://a.example", "javascript:alert(1)", "https://u@a.example", "https://a b")
    ],
)
def test_what_no_setting_can_be_is_refused(api: Api, fields: dict[str, object]) -> None:
    before = api.call("GET", SETTINGS).json()
    assert api.call("PUT", SETTINGS, fields).json()["error"] == "INVALID_INPUT"
    assert api.call("GET", SETTINGS).json() == before


def test_the_operators_limit_stays(server: Server) -> None:
    with calling(server, settings=TenantSettings(gallery_limit=7)) as api:
        reply = api.call("PUT", SETTINGS, {"galleryLimit": 8, "searchLevel": 5}).json()
        assert (reply["settings"]["galleryLimit"], reply["settings"]["searchLevel"]) == (7, 5)
        new = {"gallery_limit": 9}  # by a command, which is another process
        server.deployment.database.write_now(lambda c: set_tenant_settings(c, api.tenant.id, new, now=0))
        assert api.call("PUT", SETTINGS, {}).json()["settings"]["galleryLimit"] == 9


class WithoutPassiveModel(FakeEngine):
    judges_passively = False


def test_the_passive_mode_needs_a_passive_model(api: Api, tmp_path: Path) -> None:
    assert api.call("PUT", SETTINGS, {"livenessMode": "passive"}).status_code == 200
    with serving(test_settings(tmp_path), WithoutPassiveModel()) as server, calling(server) as other:
        reply = other.call("PUT", SETTINGS, {"livenessMode": "passive"})
        assert (reply.status_code, reply.json()["error"]) == (400, "INVALID_INPUT")


@pytest.fixture
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    settings = test_settings(tmp_path_factory.mktemp("server"), webhook_private_addresses=True)
    with serving(settings) as server, calling(server) as api:
        yield api


def test_a_webhook_is_set_tried_and_its_deliveries_repeated(caller: Api) -> None:
    with receiving() as receiver:
        assert caller.call("GET", WEBHOOK).status_code == 404
        assert caller.call("POST", f"{WEBHOOK}/test").status_code == 404
        made = caller.call("PUT", WEBHOOK, {"url": receiver.url, "headers": {"X-Api-Key": "k"}}).json()
        assert (made["headers"], made["secret"][:6]) == (["X-Api-Key"], "whsec_")
        assert caller.call("GET", WEBHOOK).json()["secret"] is None
        assert caller.call("POST", f"{WEBHOOK}/test").json() == {"delivered": True, "status": 200, "error": None}
        signature = receiver.headers[0]["Likeness-Signature"]
        assert verify_body(made["secret"], receiver.bodies[0], signature, now=caller.server.clock.now())
        end(caller.server, opened(caller), success())
        wait_until(lambda: len(receiver.bodies) == 2)
        wait_until(lambda: caller.call("GET", f"{WEBHOOK}/deliveries").json()["deliveries"][0]["state"] == "delivered")
        (delivery,) = caller.call("GET", f"{WEBHOOK}/deliveries").json()["deliveries"]
        replayed = caller.call("POST", f"{WEBHOOK}/deliveries/{delivery['deliveryId']}/replay")
        assert replayed.status_code == 204
        wait_until(lambda: len(receiver.bodies) == 3)
        assert caller.call("POST", f"{WEBHOOK}/deliveries/x/replay").status_code == 404
        assert caller.call("PUT", WEBHOOK, {"url": receiver.url}).json()["secret"] is None
        assert caller.call("DELETE", WEBHOOK).status_code == 204
        assert caller.call("DELETE", WEBHOOK).status_code == 404


def test_an_address_inside_is_refused(api: Api) -> None:
    reply = api.call("PUT", WEBHOOK, {"url": "http://127.0.0.1:1/"})
    assert (reply.status_code, reply.json()["error"]) == (400, "INVALID_INPUT")
