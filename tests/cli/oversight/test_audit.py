"""``likeness audit``, and the records that commands leave."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import jwt
import pytest
from typer.testing import CliRunner

from likeness.cli import app
from likeness.errors import InvalidInput, NotFound


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LIKENESS_PACK", "fake")
    run("init")
    return tmp_path / "data"


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def exported() -> list[dict[str, Any]]:
    lines = map(json.loads, run("audit", "export").splitlines())
    return [line for line in lines if line["kind"] == "record"]


def test_each_command_and_what_it_changes_is_recorded_without_names(folder: Path) -> None:
    run("tenant", "create", "Secret Bank")
    run("tenant", "set", "Secret Bank", "--search-level", "4")
    run("client", "create", "Secret Bank", "--scope", "KYC_FACE_MATCH", "--name", "Secret Client")
    run("keys", "rotate")
    run("gallery", "export", str(folder / "people.csv"), "--tenant", "Secret Bank")
    run("tenant", "erase", "Secret Bank", "--yes")
    records = exported()
    assert {record["who"] for record in records} == {"operator"}
    assert [(record["action"], record["object"]) for record in records if record["action"] == "command"] == [
        ("command", name)
        for name in (
            "init",
            "tenant create",
            "tenant set",
            "client create",
            "keys rotate",
            "gallery export",
            "tenant erase",
        )
    ]
    acts = {record["action"] for record in records}
    assert acts == {
        *("command", "tenant creation", "tenant change", "client creation", "key creation", "export", "tenant erasure")
    }
    assert len({record["tenant"] for record in records} - {None}) == 1
    assert "Secret" not in json.dumps(records)
    assert "The audit trail is whole." in run("audit", "verify")


def test_a_command_that_is_only_its_help_needs_no_data(folder: Path) -> None:
    before = len(exported())
    run("tenant", "create", "--help")
    assert len(exported()) == before + 1  # the first export


def test_verify_fails_for_an_altered_trail_and_for_an_older_one(folder: Path) -> None:
    run("tenant", "create", "acme")
    older = (folder / "likeness.sqlite3").read_bytes()
    run("tenant", "list")
    report = run("audit", "verify")
    seal = next(line.split()[-1] for line in report.splitlines() if line.startswith("newest seal"))
    assert "The audit trail is whole." in run("audit", "verify", "--seal", seal)
    (folder / "likeness.sqlite3").write_bytes(older)
    assert "is missing: the trail was cut, or is an old copy" in run("audit", "verify", "--seal", seal, code=1)
    with closing(sqlite3.connect(folder / "likeness.sqlite3")) as connection:
        connection.execute("UPDATE audit_records SET who = 'nobody' WHERE action = 'tenant creation'")
        connection.commit()
    assert "was changed, inserted or moved" in run("audit", "verify", code=1)


def test_a_seal_that_is_none_is_a_sentence(folder: Path) -> None:
    with pytest.raises(InvalidInput, match="NUMBER:HASH"):
        run("audit", "verify", "--seal", "17")


def test_a_receipt_of_an_erased_tenant_verifies_with_the_printed_key(folder: Path) -> None:
    tenant = run("tenant", "create", "acme").split()[1]
    with pytest.raises(NotFound):
        run("audit", "receipt", tenant)
    run("tenant", "erase", "acme", "--yes")
    key = jwt.PyJWK(json.loads(run("audit", "key"))).key
    claims = jwt.decode(run("audit", "receipt", tenant).strip(), key, ["EdDSA"])
    assert (claims["sub"], claims["action"], claims["who"]) == (tenant, "tenant erasure", "operator")


def test_cef_is_exported_from_a_time_on(folder: Path) -> None:
    assert run("audit", "export", "--format", "cef").startswith("CEF:0|Likeness|Likeness|")
    assert run("audit", "export", "--format", "cef", "--since", "2999-01-01") == ""
