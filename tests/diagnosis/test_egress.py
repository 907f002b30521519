"""The webhooks' hosts."""

import socket
from pathlib import Path

import pytest

from audit.trails import opened
from likeness.diagnosis import egress as module
from likeness.diagnosis.egress import egress
from likeness.diagnosis.findings import Grade
from likeness.webhooks.service import Webhooks


def test_a_webhook_is_reached_refused_or_silent(tmp_path: Path) -> None:
    with opened(tmp_path, webhook_private_addresses=True) as deployment:
        assert [finding.fact for finding in egress(deployment)] == ["no tenant has a webhook"]
        tenant = deployment.tenants.create("acme")
        webhooks = Webhooks(deployment.database, deployment.clock, private_addresses=True)
        with socket.create_server(("127.0.0.1", 0)) as receiver:
            port = receiver.getsockname()[1]
            webhooks.put(tenant, f"http://127.0.0.1:{port}/face", {})
            (reached,) = egress(deployment)
            assert (reached.health, f"127.0.0.1:{port}, can be reached" in reached.fact) == (Grade.OK, True)
        (refused,) = egress(deployment)
        assert (refused.health, "cannot be reached" in refused.fact) == (Grade.WRONG, True)
    with opened(tmp_path) as deployment:
        (forbidden,) = egress(deployment)
        assert "an address that is not public" in forbidden.fact


@pytest.mark.parametrize("images", [None, "s3://photos"])
def test_a_proxy_that_photos_travel_through_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: str | None
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    with opened(tmp_path, images_url=images) as deployment:
        assert ["HTTPS_PROXY" in finding.fact for finding in egress(deployment)] == (
            [True, False] if images else [False]
        )


def test_a_name_server_that_is_silent_does_not_hold_it_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0)
    with opened(tmp_path, webhook_private_addresses=True) as deployment:
        tenant = deployment.tenants.create("acme")
        Webhooks(deployment.database, deployment.clock, private_addresses=True).put(tenant, "http://127.0.0.1:9/x", {})
        (silent,) = egress(deployment)
        assert silent.fact.endswith("no answer in time")
