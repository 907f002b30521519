"""Jobs that only one process may do, on a real PostgreSQL."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text, update

import job_process
from job_process import done
from likeness.errors import ServiceUnavailable
from likeness.store import migrations
from likeness.store.database import Database
from likeness.store.sharing import holding, leases
from likeness.store.sharing.holding import LeaseHolder
from likeness.store.sharing.leases import HELD, Lease, LeaseLost, release_lease, renew_lease, take_lease
from likeness.store.tables import leases as table
from servers import wait_until


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    migrations.upgrade(postgres_url)
    database = Database(postgres_url)
    yield database
    database.close()


@contextmanager
def worker(database: Database) -> "Iterator[subprocess.Popen[bytes]]":
    process = subprocess.Popen(
        [sys.executable, job_process.__file__, database.url],
        env=os.environ | {"PYTHONPATH": str(Path(job_process.__file__).parent)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def changes(database: Database) -> list[tuple[int, int]]:
    """Give process and lease number of each change, in the order of the changes."""
    rows = database.read_now(lambda c: c.execute(select(done.c.process, done.c.number).order_by(done.c.id)).all())
    return [(process, number) for process, number in rows]


@pytest.mark.long
def test_another_process_takes_over_from_one_that_pauses_or_dies(database: Database) -> None:
    database.write_now(done.create)

    def works(process: "subprocess.Popen[bytes]", least: int) -> None:
        wait_until(lambda: any(each[0] == process.pid and each[1] >= least for each in changes(database)), seconds=120)

    with ExitStack() as stack:
        first = stack.enter_context(worker(database))
        works(first, 1)
        second = stack.enter_context(worker(database))
        first.send_signal(signal.SIGSTOP)
        works(second, 2)
        first.send_signal(signal.SIGCONT)
        count = len(changes(database))
        wait_until(lambda: len(changes(database)) > count + 20)
        second.kill()
        works(first, 3)
        third = stack.enter_context(worker(database))
        first.terminate()
        works(third, 4)
    made = changes(database)
    holders = dict.fromkeys(made)  # in the order of their first changes
    assert [process for process, _ in holders] == [first.pid, second.pid, first.pid, third.pid]
    assert [number for _, number in made] == sorted(number for _, number in made)


def test_a_lease_has_one_holder_and_its_number_rises(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def take(holder: str) -> Lease | None:
        return database.write_now(lambda c: take_lease(c, "job", holder))

    first = take("a")
    assert first == Lease("job", 1)
    assert take("b") is None
    assert database.write_now(lambda c: renew_lease(c, first))
    database.write_now(first.demand)
    database.write_now(lambda c: release_lease(c, first))
    with pytest.raises(LeaseLost):
        database.write_now(first.demand)
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.0)
    second = take("b")
    assert second == Lease("job", 2)
    with pytest.raises(LeaseLost):  # it has ended, though nobody took it
        database.write_now(second.demand)
    assert take("c") == Lease("job", 3)
    assert not database.write_now(lambda c: renew_lease(c, second))
    database.write_now(lambda c: release_lease(c, first))
    assert take("d") == Lease("job", 4)


def test_nobody_takes_a_lease_before_the_change_that_demands_it_is_committed(database: Database) -> None:
    lease = database.write_now(lambda c: take_lease(c, "job", "a"))
    assert lease
    other = Database(database.url)

    def change(connection: Connection) -> None:
        lease.demand(connection)
        with pytest.raises(ServiceUnavailable):
            other.write_now(take_at_once)

    def take_at_once(connection: Connection) -> None:
        connection.execute(text("SET LOCAL lock_timeout = 50"))
        connection.execute(update(table).values(number=table.c.number + 1))

    database.write_now(change)
    other.write_now(take_at_once)
    with pytest.raises(LeaseLost):
        database.write_now(lease.demand)
    other.close()


class Job:
    """A job that counts its starts, and stays until it is cancelled."""

    def __init__(self) -> None:
        self.starts: list[Lease | None] = []
        self.running = 0

    async def __call__(self) -> None:
        self.starts.append(HELD.get())
        self.running += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.running -= 1


async def until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_until, condition, seconds=60)


def with_job(database: Database, steps: Callable[[Job], Awaitable[None]]) -> Job:
    """Run a job under a lease, and take the steps meanwhile. Then cancel it."""
    job = Job()

    async def main() -> None:
        holding_it = asyncio.create_task(LeaseHolder(database).while_held("job", job))
        await until(lambda: bool(job.starts))
        await steps(job)
        holding_it.cancel()
        with suppress(asyncio.CancelledError):
            await holding_it

    asyncio.run(main())
    assert job.running == 0
    return job


def test_a_lease_is_released_when_its_job_is_cancelled(database: Database) -> None:
    async def nothing(_: Job) -> None:
        pass

    assert with_job(database, nothing).starts == [Lease("job", 1)]
    assert database.write_now(lambda c: take_lease(c, "job", "other")) == Lease("job", 2)


def test_a_job_whose_lease_was_taken_stops_and_waits(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(holding, "TAKE_SECONDS", 0.05)

    async def take_it_away(job: Job) -> None:
        await database.write(lambda c: c.execute(update(table).values(number=7)))
        await until(lambda: job.running == 0)
        await database.write(lambda c: c.execute(update(table).values(expires_at=0)))
        await until(lambda: job.running == 1)

    assert with_job(database, take_it_away).starts == [Lease("job", 1), Lease("job", 8)]


def test_a_job_stops_when_its_lease_cannot_be_renewed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(holding, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(holding, "STOP_SECONDS", 9.0)
    refused = False

    async def cut_off(job: Job) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(holding, "renew_lease", refuse)
            await until(lambda: len(job.starts) == 2)  # this process may take the lease again, as any other
        assert refused

    def refuse(*_: object, **__: object) -> bool:
        nonlocal refused
        refused = True
        raise ServiceUnavailable("unreachable")

    assert with_job(database, cut_off).starts == [Lease("job", 1), Lease("job", 2)]


def test_a_change_of_a_job_that_lost_its_lease_is_refused_alone(database: Database) -> None:
    database.write_now(done.create)

    async def steps(job: Job) -> None:
        HELD.set(job.starts[0])
        await database.write(lambda c: c.execute(done.insert().values(process=1, number=1)))
        HELD.set(None)
        await database.write(lambda c: c.execute(update(table).values(number=7)))
        HELD.set(job.starts[0])
        late = asyncio.create_task(database.write(lambda c: c.execute(done.insert().values(process=2, number=1))))
        HELD.set(None)
        other = asyncio.create_task(database.write(lambda c: c.execute(done.insert().values(process=3, number=1))))
        with pytest.raises(LeaseLost):
            await late
        await other

    with_job(database, steps)
    assert changes(database) == [(1, 1), (3, 1)]


def test_what_a_job_raises_is_raised(database: Database) -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(LeaseHolder(database).while_held("job", fail))


def test_on_sqlite_a_job_runs_at_once_without_a_lease(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'likeness.sqlite3'}"
    migrations.upgrade(address)
    database = Database(address)
    assert with_job(database, lambda _: asyncio.sleep(0)).starts == [None]
    assert database.read_now(lambda c: c.execute(select(table)).all()) == []
    database.close()
