"""``likeness doctor``."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from likeness.cli import app


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LIKENESS_PACK", "fake")
    return tmp_path / "data"


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def examined(*, code: int = 0) -> dict[str, list[tuple[str, str, str]]]:
    report: dict[str, Any] = json.loads(run("doctor", "--json", code=code))
    assert report["healthy"] == (code == 0)
    parts: dict[str, list[tuple[str, str, str]]] = {}
    for each in report["findings"]:
        parts.setdefault(each["part"], []).append((each["health"], each["fact"], each["advice"]))
    return parts


def test_a_new_deployment_has_no_fault_but_the_doubts_that_init_names(folder: Path) -> None:
    assert "the key lies beside the data" in run("init").replace("\n", " ")
    parts = examined()
    assert parts.keys() == {
        *("settings", "keys", "disk", "clock", "open files", "database", "audit trail", "packs", "photos", "egress")
    }
    assert parts["keys"][0][0] == "doubt"
    text = run("doctor")
    assert "doubt keys        the master key lies in the data folder" in text
    assert "→ Move the key file elsewhere" in text


def test_init_does_not_warn_of_a_key_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKENESS_KEY_FILE", str(folder.parent / "master.key"))
    assert "Warning" not in run("init")
    assert examined()["keys"][0][0] == "ok"


def test_without_a_key_it_says_what_to_do_and_looks_no_further(folder: Path) -> None:
    parts = examined(code=1)
    assert "likeness init" in parts["keys"][0][2]
    assert "database" not in parts


def test_a_wrong_key_is_a_fault(folder: Path) -> None:
    run("init")
    (folder / "master.key").write_bytes(bytes(32))
    assert "wrong master key" in examined(code=1)["database"][0][1]


def test_an_older_database_is_not_upgraded(folder: Path) -> None:
    run("init")
    with closing(sqlite3.connect(folder / "likeness.sqlite3")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '985708885580'")
        connection.commit()
    ((health, fact, _),) = examined()["database"]
    assert (health, fact) == ("doubt", "it has the tables of an older version")
    with closing(sqlite3.connect(folder / "likeness.sqlite3")) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("985708885580",)


def test_the_fault_of_one_part_does_not_hide_the_others(folder: Path) -> None:
    run("init")
    run("keys", "rotate")
    with closing(sqlite3.connect(folder / "likeness.sqlite3")) as connection:
        connection.execute("UPDATE signing_keys SET sealed_private_key = x'00'")
        connection.commit()
    parts = examined(code=1)
    assert parts["signing keys"][0][0] == "wrong"
    assert parts["photos"][0][0] == "ok"
