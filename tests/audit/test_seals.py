"""Seals and the trim."""

from pathlib import Path

import pytest

from audit.trails import append, check, opened, records, tamper
from likeness.audit import seals
from likeness.audit.seals import DAY_SECONDS, SealPlace
from likeness.errors import SetupError
from likeness.kit.clock import MovableClock


def test_a_seal_covers_what_came_since_the_last_one(tmp_path: Path) -> None:
    with opened(tmp_path) as deployment:
        assert deployment.seals.seal() is None
        append(deployment, "a", "b")
        assert deployment.seals.seal().number == 1
        assert deployment.seals.seal() is None
        append(deployment, "c")
        report = check(deployment)
        assert (report.unsealed, report.newest.number) == (1, 1)


def test_a_process_that_was_killed_leaves_its_records_to_the_next_seal(tmp_path: Path) -> None:
    with opened(tmp_path) as killed:
        append(killed, "a")
        with opened(tmp_path) as deployment:
            assert deployment.seals.seal().number == 1
            assert check(deployment).unsealed == 0


def test_a_strand_that_ended_is_no_longer_looked_at(tmp_path: Path) -> None:
    clock = MovableClock()

    def strands() -> int:
        with opened(tmp_path, clock) as deployment:
            return deployment.database.read_now(
                lambda c: c.exec_driver_sql("SELECT count(*) FROM audit_strands").scalar_one()
            )

    with opened(tmp_path, clock) as killed:
        append(killed, "a")
        with opened(tmp_path, clock) as deployment:
            append(deployment, "b")
        assert strands() == 1
        clock.move(2 * DAY_SECONDS)
        with opened(tmp_path, clock) as deployment:
            append(deployment, "c")
        assert strands() == 0


def test_many_records_are_sealed_and_trimmed_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "SEALED_AT_ONCE", 4)
    monkeypatch.setattr(seals, "TRIMMED_AT_ONCE", 4)
    clock = MovableClock()
    with opened(tmp_path, clock) as deployment:
        append(deployment, *"abcdefghij")
        assert deployment.seals.seal().number == 3
        clock.move(DAY_SECONDS)
        assert deployment.seals.trim(before=clock.now()) == 10
        assert [record.action for record in records(deployment)] == ["trim"] * 3
        assert not check(deployment).faults


def test_a_trimmed_trail_still_verifies(tmp_path: Path) -> None:
    clock = MovableClock()
    with opened(tmp_path, clock) as deployment:
        append(deployment, "a", "b")
        first = deployment.seals.seal()
        clock.move(10 * DAY_SECONDS)
        append(deployment, "c")
        second = deployment.seals.seal()
        append(deployment, "d")
        assert deployment.seals.trim(before=clock.now() - DAY_SECONDS) == 2
        assert [record.object for record in records(deployment)] == ["c", "d", "1"]
        report = check(deployment, second)
        assert (report.faults, report.records) == ([], 3)
        assert not check(deployment, first).faults
        assert "another one" in check(deployment, SealPlace(1, "0" * 64)).faults[0]
        assert deployment.seals.trim(before=clock.now() + 1) == 1
        append(deployment, "e")
        assert deployment.seals.seal().number == 3
        assert not check(deployment).faults
        assert "which was kept, was trimmed" in check(deployment, first).faults[0]
    with opened(tmp_path, clock) as deployment:
        assert not check(deployment).faults


ATTACKS = {
    "no anchor": "DELETE FROM deployment WHERE name = 'audit_anchor'",
    "more trimmed": "DELETE FROM audit_seals WHERE number = 2; DELETE FROM audit_records WHERE object IN ('c', 'd')",
    "an older record put back": "INSERT INTO audit_records SELECT strand, number - 1, time, who, tenant, action, object, outcome,"
    " request_id, link FROM audit_records WHERE object = 'c'",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_deletion_does_not_look_like_a_trim(tmp_path: Path, attack: str) -> None:
    clock = MovableClock()
    with opened(tmp_path, clock) as deployment:
        for each in ("a", "c", "e"):
            append(deployment, each)
            if each == "c":
                append(deployment, "d")
            deployment.seals.seal()
            clock.move(DAY_SECONDS)
        deployment.seals.trim(before=clock.now() - 2.5 * DAY_SECONDS)
        assert not check(deployment).faults
    tamper(tmp_path, *ATTACKS[attack].split(";"))
    with opened(tmp_path, clock) as deployment:
        assert check(deployment).faults


def test_a_trim_stops_at_a_seal_that_is_missing_or_altered(tmp_path: Path) -> None:
    clock = MovableClock()
    with opened(tmp_path, clock) as deployment:
        for each in "abc":
            append(deployment, each)
            deployment.seals.seal()
        tamper(tmp_path, "DELETE FROM audit_seals WHERE number = 1")
        with pytest.raises(SetupError, match="is missing"):
            deployment.seals.trim(before=clock.now() + 1)
        tamper(tmp_path, "UPDATE audit_seals SET jws = 'x' WHERE number = 2")
        with pytest.raises(SetupError, match="altered"):
            deployment.seals.trim(before=clock.now() + 1)
        assert len(records(deployment)) == 3


def test_another_process_that_seals_at_the_same_moment_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as deployment:
        append(deployment, "a")
        found = deployment.database.read_now(deployment.seals._unsealed)
        assert deployment.seals.seal() is not None
        monkeypatch.setattr(deployment.seals, "_unsealed", lambda _: found)
        assert deployment.seals.seal() is None
        assert not check(deployment).faults


def test_the_place_before_the_first_seal_is_the_same_everywhere(tmp_path: Path) -> None:
    with opened(tmp_path) as deployment:
        assert check(deployment).newest == SealPlace(0, "")


def test_an_older_copy_of_the_database_is_told_by_the_seal_in_the_data_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path) as deployment:
        append(deployment, "a")
    older = (tmp_path / "likeness.sqlite3").read_bytes()
    with opened(tmp_path) as deployment:
        append(deployment, "b")
    newest = (tmp_path / seals.KEPT_NAME).read_text()
    assert newest.startswith("2:")
    (tmp_path / "likeness.sqlite3").write_bytes(older)
    for name in "cd":
        with opened(tmp_path) as deployment:
            append(deployment, name)
            deployment.seals.seal()
            append(deployment, name)
            deployment.seals.seal()
            assert str(deployment.seals.lacks()) == newest.strip()
    assert caplog.text.count("the database is an older copy than") == 2  # once for each process
    assert (tmp_path / seals.KEPT_NAME).read_text() == newest
    (tmp_path / seals.KEPT_NAME).unlink()  # as after a restore that was meant
    with opened(tmp_path) as deployment:
        append(deployment, "e")
    with opened(tmp_path) as deployment:
        assert deployment.seals.lacks() is None


def test_the_seal_in_the_data_folder_may_be_trimmed_but_not_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = MovableClock()
    with opened(tmp_path, clock) as deployment:
        append(deployment, "a")
        deployment.seals.seal()
        kept = (tmp_path / seals.KEPT_NAME).read_text()
        append(deployment, "b")
        deployment.seals.seal()
        deployment.seals.trim(before=clock.now() + 1)
        (tmp_path / seals.KEPT_NAME).write_text(kept)  # as of a server that did not run meanwhile
        assert deployment.seals.lacks() is None
        (tmp_path / seals.KEPT_NAME).write_text("1:x")
        with pytest.raises(SetupError, match="is damaged: delete it"):
            deployment.seals.lacks()
        append(deployment, "c")
        assert deployment.seals.seal() is not None
    assert "is not kept in a file" in caplog.text


def test_a_new_deployment_begins_without_the_seal_of_an_earlier_one(tmp_path: Path) -> None:
    (tmp_path / seals.KEPT_NAME).write_text(f"7:{'0' * 64}")
    with opened(tmp_path) as deployment:
        assert deployment.seals.lacks() is None
