"""Whatever is done to the trail without the master key is found."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from audit.trails import append, check, opened, tamper
from likeness.audit.seals import SealPlace
from likeness.kit.clock import MovableClock


def attack_with(folder: Path, statements: str) -> None:
    tamper(folder, *statements.replace("<first>", FIRST).replace("<last>", LAST).split(";"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the data of three processes: eight sealed records each of the first two, and four unsealed of the last."""
    clock = MovableClock()
    for _ in range(2):
        with opened(tmp_path, clock) as deployment:
            append(deployment, *"abcd")
            deployment.seals.seal()
            append(deployment, *"efgh")
    with opened(tmp_path, clock) as deployment:
        append(deployment, *"ijkl")
        for ending in ("", "-wal"):
            file = tmp_path / f"likeness.sqlite3{ending}"
            shutil.copy(file, file.with_name(f"copy{ending}"))
    for ending in ("", "-wal"):
        (tmp_path / f"copy{ending}").replace(tmp_path / f"likeness.sqlite3{ending}")
    return tmp_path


FIRST = "strand = (SELECT strand FROM audit_records WHERE object = 'a' ORDER BY strand LIMIT 1)"
LAST = "strand = (SELECT strand FROM audit_records WHERE object = 'i')"
ATTACKS = {
    "a changed outcome": "UPDATE audit_records SET outcome = 'refused' WHERE <first> AND number = 3",
    "a changed time": "UPDATE audit_records SET time = time - 1 WHERE <first> AND number = 3",
    "a changed record that is not sealed": "UPDATE audit_records SET who = 'nobody' WHERE <last> AND number = 2",
    "a changed link": "UPDATE audit_records SET link = zeroblob(32) WHERE <first> AND number = 8",
    "a deleted record": "DELETE FROM audit_records WHERE <first> AND number = 3",
    "a deleted first record": "DELETE FROM audit_records WHERE <first> AND number = 1",
    "a deleted last record": "DELETE FROM audit_records WHERE <first> AND number = 8",
    "a deleted record that is not sealed": "DELETE FROM audit_records WHERE <last> AND number = 2",
    "a deleted strand": "DELETE FROM audit_records WHERE <first>",
    "a cut-off half": "DELETE FROM audit_records WHERE <first> AND number > 4",
    "an inserted record": "INSERT INTO audit_records SELECT strand, 9, time, who, tenant, action, object, outcome, request_id, link"
    " FROM audit_records WHERE <first> AND number = 8",
    "an inserted strand": "INSERT INTO audit_records SELECT 'new', 1, time, who, tenant, action, object, outcome, request_id, link"
    " FROM audit_records WHERE <first> AND number = 1",
    "two swapped records": "UPDATE audit_records SET number = CASE number WHEN 2 THEN -3 ELSE -2 END WHERE <first> AND number IN (2, 3);"
    "UPDATE audit_records SET number = -number WHERE number < 0",
    "a moved strand": "UPDATE audit_records SET strand = 'other' WHERE <first>",
    "a deleted seal": "DELETE FROM audit_seals WHERE number = 2",
    "deleted first seals": "DELETE FROM audit_seals WHERE number <= 2",
    "deleted first seals and records": "DELETE FROM audit_seals WHERE number <= 2; DELETE FROM audit_records WHERE <first>",
    "a changed seal": "UPDATE audit_seals SET jws = replace(jws, '.eyJ', '.eyK') WHERE number = 2",
    "two swapped seals": "UPDATE audit_seals SET number = 99 WHERE number = 2; UPDATE audit_seals SET number = 2 WHERE number = 3;"
    "UPDATE audit_seals SET number = 3 WHERE number = 99",
    "an invented anchor": "INSERT INTO deployment VALUES ('audit_anchor', '\"a.b.c\"')",
    "a seal as anchor": "INSERT INTO deployment SELECT 'audit_anchor', '\"' || jws || '\"' FROM audit_seals WHERE number = 4",
}


def test_an_honest_trail_is_whole(folder: Path) -> None:
    with opened(folder) as deployment:
        report = check(deployment)
        assert (report.faults, report.records, report.unsealed, report.newest.number) == ([], 20, 4, 4)
        assert not check(deployment, report.newest).faults


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_altered_trail_is_found(folder: Path, attack: str) -> None:
    attack_with(folder, ATTACKS[attack])
    with opened(folder) as deployment:
        assert check(deployment).faults


def test_what_was_altered_is_not_sealed_and_is_reported_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    attack_with(folder, ATTACKS["a changed record that is not sealed"])
    with opened(folder) as deployment:
        assert deployment.seals.seal() is None
        assert deployment.seals.seal() is None
        assert caplog.text.count("the audit trail was altered at record 2") == 1
        append(deployment, "m")
        assert deployment.seals.seal() is not None  # what other processes append is sealed as before
        assert len(check(deployment).faults) == 1


def whole_copy(folder: Path) -> None:
    """Put back an older copy of the whole database."""
    shutil.copy(folder / "older.sqlite3", folder / "likeness.sqlite3")
    (folder / "likeness.sqlite3-wal").unlink(missing_ok=True)


def cut(folder: Path) -> None:
    """Cut off the end of the trail with its seals."""
    only = (
        "DELETE FROM audit_records WHERE number > 4 OR strand != (SELECT strand FROM audit_records WHERE object = 'm')"
    )
    tamper(folder, "DELETE FROM audit_seals WHERE number > 1", only)


@pytest.mark.parametrize("attack", [whole_copy, cut])
def test_a_seal_that_was_kept_elsewhere_shows_an_older_trail(folder: Path, attack: Callable[[Path], None]) -> None:
    with opened(folder):
        pass
    shutil.copy(folder / "likeness.sqlite3", folder / "older.sqlite3")
    with opened(folder) as deployment:
        append(deployment, "m")
        kept = deployment.seals.seal()
    attack(folder)
    with opened(folder) as deployment:
        assert any("which was kept, is missing" in fault for fault in check(deployment, kept).faults)
        assert any("another one" in fault for fault in check(deployment, SealPlace(1, "0" * 64)).faults)


def test_claims_hold_nothing_but_places_and_hashes(folder: Path) -> None:
    with opened(folder) as deployment:
        jws = deployment.database.read_now(
            lambda c: c.exec_driver_sql("SELECT jws FROM audit_seals WHERE number = 1").scalar_one()
        )
        claims = deployment.seals.signer.open("likeness-seal+jwt", jws)
    assert set(claims) == {"number", "time", "previous", "ranges"}
    assert set(claims["ranges"][0]) == {"strand", "first", "last", "before", "link", "sha256"}
    assert json.dumps(claims).count('"a"') == 0
