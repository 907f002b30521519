"""A liveness mode that the server cannot judge is refused when the session is opened."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from likeness.app import create_app
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.engine.packs.identity import PackId
from likeness.engine.packs.loading import judges_passively
from likeness.tenants.schemas import TenantSettings
from servers import Server, calling, serving, test_settings


class WithoutPassiveModel(FakeEngine):
    judges_passively = False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(test_settings(tmp_path_factory.mktemp("mode")), WithoutPassiveModel()) as running:
        yield running


@pytest.mark.parametrize(
    ("fields", "settings", "status"),
    [
        ({"livenessMode": "passive"}, {}, 400),
        ({"activeLiveness": False}, {}, 400),
        ({}, {"liveness_mode": "passive"}, 400),
        ({"livenessMode": "active"}, {"liveness_mode": "passive"}, 201),
        ({"activeLiveness": True}, {"liveness_mode": "passive"}, 201),
        ({}, {}, 201),
    ],
)
def test_a_mode_that_nobody_could_pass_opens_no_session(
    server: Server, fields: dict[str, Any], settings: dict[str, Any], status: int
) -> None:
    with calling(server, settings=TenantSettings(**settings)) as api:
        reply = api.open_session(fake_photo(1), **fields)
    assert reply.status_code == status
    if status == 400:
        assert reply.json()["error"] == "INVALID_INPUT"
        assert "passive model" in reply.json()["message"]


def test_a_passive_model_lets_the_mode_in(own_server: Server) -> None:
    with calling(own_server) as api:
        assert api.open_session(fake_photo(1), activeLiveness=False).status_code == 201


def test_a_tenant_whose_mode_nobody_could_pass_is_named_at_start(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    name = server.deployment.tenants.create("passive at start", TenantSettings(liveness_mode="passive")).name
    with caplog.at_level(logging.WARNING, "likeness.sessions"):
        create_app(server.deployment, FakeEngine())
        assert caplog.messages == []
        create_app(server.deployment, WithoutPassiveModel())
    (said,) = caplog.messages
    assert name in said


def test_a_pack_judges_passively_only_with_a_model_installed(tmp_path: Path) -> None:
    assert judges_passively(PackId("fake"), tmp_path)
    assert not judges_passively(PackId("builtin"), tmp_path)
