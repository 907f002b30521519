"""A server's work for the trail."""

import asyncio
import time
from pathlib import Path

import pytest

from audit.trails import append, opened, records
from likeness.audit import upkeep
from likeness.audit.seals import DAY_SECONDS
from likeness.deployment import Deployment
from likeness.kit.clock import MovableClock
from servers import wait_until


async def work(deployment: Deployment, days: int, seals: int) -> None:
    """Do a server's work until there are so many seals, and a little longer."""

    def made() -> bool:
        count = "SELECT max(number) FROM audit_seals"
        return bool(deployment.database.read_now(lambda c: c.exec_driver_sql(count).scalar_one()) == seals)

    def wait() -> None:
        wait_until(made)
        time.sleep(0.1)

    keeping = asyncio.create_task(upkeep.keep_sealed(deployment.seals, deployment.clock, days))
    await asyncio.to_thread(wait)
    keeping.cancel()


@pytest.mark.parametrize(("days", "left"), [(1, ["b", "1"]), (0, ["a", "b"])])
def test_a_server_seals_and_trims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, left: list[str]) -> None:
    monkeypatch.setattr(upkeep, "SEAL_SECONDS", 0.01)
    monkeypatch.setattr(upkeep, "TRIM_SECONDS", 0.01)
    clock = MovableClock()
    with opened(tmp_path, clock) as deployment:
        append(deployment, "a")
        asyncio.run(work(deployment, days, seals=1))
        clock.move(2 * DAY_SECONDS)
        append(deployment, "b")
        asyncio.run(work(deployment, days, seals=3 if days else 2))  # the trim leaves a record, which is sealed
        assert [record.object for record in records(deployment)] == left
