"""``likeness webhook ...`` on a real data folder."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from likeness.cli import app
from likeness.deployment import open_deployment
from likeness.errors import InvalidInput, NotFound
from likeness.kit.ids import new_id
from likeness.settings import Settings
from likeness.webhooks.outbox import Outbox
from webhooks.receiver import Receiver, receiving


def run(*arguments: str, typed: str | None = None) -> str:
    result = CliRunner().invoke(app, ["webhook", *arguments], input=typed, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in {
        "DATA_DIR": str(tmp_path / "data"),
        "PACK": "fake",
        "WEBHOOK_PRIVATE_ADDRESSES": "true",
    }.items():
        monkeypatch.setenv(f"LIKENESS_{name}", value)
    monkeypatch.setenv("COLUMNS", "240")
    for command in (["init"], ["tenant", "create", "acme"]):
        assert CliRunner().invoke(app, command).exit_code == 0
    return tmp_path / "data"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def test_set_show_test_remove(folder: Path, receiver: Receiver) -> None:
    shown = run("set", "acme", receiver.url, "--header", "X-Key: very secret", "--basic", "me", typed="pass\n")
    assert re.search(r"secret +whsec_\S{20,}", shown)
    assert "secret" not in run("set", "acme", receiver.url, "--header", "X-Key: very secret")
    listed = run("show", "acme")
    assert receiver.url in listed
    assert "X-Key" in listed
    assert "very secret" not in listed
    assert "200" in run("test", "acme")
    assert receiver.headers[0]["X-Key"] == "very secret"
    assert receiver.results[0].count(".") == 2
    receiver.answers = [500]
    with pytest.raises(InvalidInput, match="500"):
        run("test", "acme")
    run("remove", "acme")
    with pytest.raises(NotFound):
        run("show", "acme")


def test_the_password_may_come_from_the_environment(
    folder: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKENESS_WEBHOOK_PASSWORD", "open sesame")
    run("set", "acme", receiver.url, "--basic", "Aladdin")
    run("test", "acme")
    assert receiver.headers[0]["Authorization"] == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


def test_a_header_without_a_colon(folder: Path) -> None:
    with pytest.raises(InvalidInput, match="Name: value"):
        run("set", "acme", "https://example.com/", "--header", "nonsense")


def test_deliveries_and_replay(folder: Path, receiver: Receiver) -> None:
    run("set", "acme", receiver.url)
    deployment = open_deployment(Settings())
    tenant = deployment.tenants.by_name("acme")
    session_id = new_id()
    deployment.database.write_now(
        lambda c: Outbox(deployment.clock).add(c, tenant, session_id, {"exp": 1, "iat": 0, "jti": new_id()})
    )
    deployment.close()
    listed = run("deliveries", "acme")
    assert session_id in listed
    assert "pending" in listed
    delivery_id = next(word for word in re.findall(r"[0-9a-f-]{36}", listed) if word != session_id)
    run("replay", "acme", delivery_id)
    with pytest.raises(NotFound):
        run("replay", "acme", "unknown")
