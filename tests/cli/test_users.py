"""``likeness tenant user``: the accounts of the console."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from likeness.cli import app
from likeness.errors import Conflict, NotFound


@pytest.fixture(autouse=True)
def _tenant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LIKENESS_PACK", "fake")
    for command in (["init"], ["tenant", "create", "acme"]):
        assert CliRunner().invoke(app, command).exit_code == 0


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["tenant", "user", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def accounts() -> list[dict[str, object]]:
    return list(json.loads(run("list", "acme", "--json")))


def test_an_account_is_made_changed_disabled_and_renewed() -> None:
    made = run("add", "acme", "ana@acme.example", "--role", "administrator")
    assert "http://127.0.0.1:8000/console" in made
    assert re.search(r"password +[a-z2-7]{24}\n", made)
    assert re.search(r"otpauth://totp/Likeness:ana%40acme.example\?secret=[A-Z2-7]{32}&issuer=Likeness\n", made)
    assert accounts() == [{"name": "ana@acme.example", "role": "administrator", "disabled": False}]
    with pytest.raises(Conflict):
        run("add", "acme", "ANA@acme.example")
    run("role", "acme", "ana@acme.example", "viewer")
    run("disable", "acme", "ana@acme.example")
    assert accounts() == [{"name": "ana@acme.example", "role": "viewer", "disabled": True}]
    assert "disabled" in run("list", "acme")
    assert run("renew", "acme", "ana@acme.example") != made
    assert accounts() == [{"name": "ana@acme.example", "role": "viewer", "disabled": False}]
    with pytest.raises(NotFound):
        run("disable", "acme", "nobody")
