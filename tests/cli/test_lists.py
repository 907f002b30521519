"""Lists and reports for programs: each has ``--json``, with the members that the API gives them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from likeness.cli import app

LISTS = {"list", "secrets", "deliveries", "status", "doctor"}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LIKENESS_PACK", "fake")
    monkeypatch.setenv("LIKENESS_WEBHOOK_PRIVATE_ADDRESSES", "true")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def listed(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))


def test_every_list_has_it() -> None:
    found = {path: command for path, command in commands(typer.main.get_command(app)) if path[-1] in LISTS}
    assert len(found) >= 10
    assert not [path for path, command in found.items() if "--json" not in {o for p in command.params for o in p.opts}]


def test_the_lists_are_the_apis() -> None:
    run("init")
    run("tenant", "create", "acme")
    (tenant,) = listed("tenant", "list")
    assert (tenant["name"], tenant["settings"]["searchLevel"]) == ("acme", 4)
    (client,) = listed("client", "list", "acme")
    assert (client["name"], client["disabled"], client["networks"]) == ("first", False, None)
    (secret,) = listed("client", "secrets", client["clientId"])
    assert secret == client["secrets"][0]
    assert listed("webhook", "deliveries", "acme") == []
    run("webhook", "set", "acme", "http://127.0.0.1:9/", "--header", "X-Api-Key: secret")
    assert listed("webhook", "show", "acme") == {"url": "http://127.0.0.1:9/", "headers": ["X-Api-Key"]}
    assert listed("gallery", "status") == []
    run("keys", "rotate")
    run("keys", "rotate")
    keys = listed("keys", "list")
    assert [key["endsAt"] is None for key in keys] == [True, False]
    packs = {pack["id"]: pack for pack in listed("packs", "list")}
    assert packs["builtin"]["calibrated"] is True
    assert packs["face-landmarks"]["calibrated"] is None


def test_a_shell_completes_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    for words, place, wanted in (("likeness ten", "1", "tenant"), ("likeness tenant us", "2", "user")):
        environment = {"COMP_WORDS": words, "COMP_CWORD": place, "_LIKENESS_COMPLETE": "complete_bash"}
        result = CliRunner().invoke(app, prog_name="likeness", env=environment)
        assert result.output.split() == [wanted]
