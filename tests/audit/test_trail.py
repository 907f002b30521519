"""What is appended, in which transaction, and what happens when a transaction fails."""

import threading
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection

from audit.trails import append, check, opened, records
from likeness.audit import trail
from likeness.audit.actions import HIT, REFUSED, Action
from likeness.audit.actor import ACTOR, Actor
from likeness.audit.trail import note
from likeness.deployment import Deployment, open_deployment
from likeness.kit.clock import MovableClock
from servers import wait_until


class Failed(Exception):
    pass


def test_a_record_says_who_did_what_to_which_id(tmp_path: Path) -> None:
    clock = MovableClock()
    with opened(tmp_path, clock) as deployment:
        ACTOR.set(Actor("client-1", "tenant-1", "request-1"))
        deployment.database.write_now(partial(note, action=Action.ERASURE, object_id="entry-1"))
        (record,) = records(deployment)
    assert record[1:-1] == (1, clock.now(), "client-1", "tenant-1", "erasure", "entry-1", "done", "request-1")


def test_a_change_that_fails_leaves_no_record_and_the_others_of_its_group_do(tmp_path: Path) -> None:
    def fail(connection: Connection) -> None:
        note(connection, Action.ERASURE, "never")
        raise Failed

    with opened(tmp_path) as deployment:
        waiting, go = threading.Event(), threading.Event()

        def hold(_: Connection) -> None:
            waiting.set()
            go.wait(10)

        holding = threading.Thread(target=deployment.database.write_now, args=(hold,))
        holding.start()
        waiting.wait(10)
        errors: list[BaseException] = []

        def try_to(work: object) -> None:
            try:
                deployment.database.write_now(work)  # type: ignore[arg-type]
            except Failed as error:
                errors.append(error)

        works = [
            partial(note, action=Action.ERASURE, object_id="a"),
            fail,
            partial(note, action=Action.ERASURE, object_id="b"),
        ]
        threads = [threading.Thread(target=try_to, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        wait_until(lambda: deployment.database._writer._waiting.qsize() == 3)
        go.set()
        for thread in (holding, *threads):
            thread.join()
        assert len(errors) == 1
        assert sorted(str(record.object) for record in records(deployment)) == ["a", "b"]
        assert not check(deployment).faults


def test_what_changes_nothing_is_recorded_within_a_second_or_with_the_next_change(tmp_path: Path) -> None:
    with opened(tmp_path) as deployment:
        deployment.trail.record(Action.SEARCH, "found", outcome=HIT)
        wait_until(lambda: not deployment.trail.is_waiting)
        assert [record.object for record in records(deployment)] == ["found"]
        deployment.trail.record(Action.SEARCH, "second", outcome=HIT)
        append(deployment, "third")
        assert [record.number for record in records(deployment)] == [1, 2, 3]


def test_what_waits_at_the_end_is_written(tmp_path: Path) -> None:
    with opened(tmp_path) as deployment:
        deployment.trail.record(Action.SEARCH, "last", outcome=HIT)
    with opened(tmp_path) as deployment:
        assert [record.object for record in records(deployment)] == ["last"]
        assert check(deployment).unsealed == 0


def test_a_refused_append_begins_a_new_strand_and_loses_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as deployment:
        append(deployment, "a")
        deployment.trail.record(Action.SEARCH, "waits", outcome=HIT)

        def fail_at_the_end(connection: Connection) -> None:
            note(connection, Action.ERASURE, "never")
            connection.exec_driver_sql(
                "CREATE TEMP TRIGGER no BEFORE INSERT ON audit_records BEGIN SELECT RAISE(ABORT, 'no'); END"
            )

        with pytest.raises(Exception, match="no"):
            deployment.database.write_now(fail_at_the_end)
        append(deployment, "b")
        assert sorted((record.object, record.number) for record in records(deployment)) == [
            ("a", 1),
            ("b", 2),
            ("waits", 1),
        ]
        assert not check(deployment).faults


def test_strangers_cannot_fill_the_trail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "REFUSALS_PER_MINUTE", 3)
    clock = MovableClock()
    with opened(tmp_path, clock) as deployment:
        for _ in range(10):
            deployment.trail.record(Action.SIGN_IN, None, outcome=REFUSED)
        clock.move(60)
        deployment.trail.record(Action.SIGN_IN, None, outcome=REFUSED)
        append(deployment, "x")
        found = [
            (record.action, record.outcome) for record in sorted(records(deployment), key=lambda each: each.number)
        ]
    assert found == [*[("sign-in", "refused")] * 3, ("flood", "7"), ("sign-in", "refused"), ("erasure", "done")]


def test_what_is_lost_while_the_database_takes_nothing_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "MOST_WAITING", 2)
    with opened(tmp_path) as deployment:
        go = threading.Event()
        holding = threading.Thread(target=deployment.database.write_now, args=(lambda _: go.wait(10),))
        holding.start()
        for name in "abcd":
            deployment.trail.record(Action.SEARCH, name, outcome=HIT)
        go.set()
        holding.join()
        found = sorted((record.action, record.outcome) for record in records(deployment))
    assert found == [("loss", "2"), *[("search", "hit")] * 2]


def test_each_process_has_a_strand_of_its_own_and_a_long_pause_ends_it(tmp_path: Path) -> None:
    clock = MovableClock()
    with opened(tmp_path, clock) as one, closing(open_deployment(one.settings, clock)) as other:
        for deployment in (one, other, one):
            append(deployment, "x")
        clock.move(trail.LONGEST_PAUSE_SECONDS + 1)
        append(one, "y")
        strands = [(record.strand, record.number) for record in records(one)]
    assert len({strand for strand, _ in strands}) == 3
    assert sorted(number for _, number in strands) == [1, 1, 1, 2]


def appended_by_two(one: Deployment, other: Deployment, each: int) -> None:
    threads = [
        threading.Thread(target=append, args=(deployment, *[f"{deployment is one} {number}" for number in range(each)]))
        for deployment in (one, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_two_servers_on_one_postgres_append_and_seal_together(tmp_path: Path, postgres_url: str) -> None:
    with (
        opened(tmp_path, database_url=postgres_url) as one,
        closing(open_deployment(one.settings)) as other,
    ):
        appended_by_two(one, other, 50)
        for deployment in (one, other, one):
            deployment.seals.seal()
            append(deployment, "z")
        report = check(one)
    assert (report.faults, report.records, report.newest.number) == ([], 103, 3)


def test_an_open_transaction_of_one_server_does_not_hold_up_the_other(tmp_path: Path, postgres_url: str) -> None:
    with (
        opened(tmp_path, database_url=postgres_url) as one,
        closing(open_deployment(one.settings)) as other,
    ):
        append(one, "x")
        append(other, "x")

        def append_meanwhile(connection: Connection) -> None:
            note(connection, Action.ERASURE, "slow")
            one.trail.write(connection, [])
            append(other, "quick")

        one.database.write_now(append_meanwhile)
        assert {record.object for record in records(one)} == {"x", "slow", "quick"}
