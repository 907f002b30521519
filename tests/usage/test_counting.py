"""Counts survive a database that refuses for a while, and end after their time."""

import asyncio
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from likeness.deployment import Deployment, initialise, open_deployment
from likeness.errors import ServiceUnavailable
from likeness.kit.clock import MovableClock
from likeness.usage import counting, repository
from likeness.usage.counting import HOUR_SECONDS, KEPT_HOURS, Usage, UsageKind
from servers import test_settings


def found(usage: Usage, tenant_id: str, hours: int = KEPT_HOURS * 2) -> dict[tuple[int, str], tuple[int, float]]:
    rows = asyncio.run(usage.of_tenant(tenant_id, hours=hours))
    return {(key.hour, key.name): (amount.count, amount.seconds) for key, amount in rows}


def opened(tmp_path: Path) -> tuple[Deployment, MovableClock]:
    settings, clock = test_settings(tmp_path), MovableClock(1000 * HOUR_SECONDS)
    initialise(settings)
    return open_deployment(settings, clock), clock


def test_two_processes_add_to_the_same_counts(tmp_path: Path) -> None:
    deployment, clock = opened(tmp_path)
    with closing(deployment):
        tenant = deployment.tenants.create("acme").id
        one, two = (Usage(deployment.database, clock) for _ in range(2))
        for usage in (one, two, two):
            usage.note(tenant, UsageKind.CALL, "GET /", seconds=0.5)
            asyncio.run(usage.flush())
        assert found(one, tenant) == {(1000, "GET /"): (3, 1.5)}
        clock.move(HOUR_SECONDS)
        one.note(tenant, UsageKind.CALL, "GET /", seconds=2)
        assert found(one, tenant) == {(1000, "GET /"): (3, 1.5), (1001, "GET /"): (1, 2)}
        assert found(one, tenant, hours=1) == {(1001, "GET /"): (1, 2)}


def test_what_the_database_refuses_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment, clock = opened(tmp_path)
    with closing(deployment):
        tenant = deployment.tenants.create("acme").id
        usage = Usage(deployment.database, clock)
        usage.note(tenant, UsageKind.LEVEL, "5")

        async def refuse(*_: Any) -> None:
            usage.note(tenant, UsageKind.LEVEL, "5")  # counted while the write is under way
            raise ServiceUnavailable("no")

        with monkeypatch.context() as patched:
            patched.setattr(deployment.database, "write", refuse)
            with pytest.raises(ServiceUnavailable):
                asyncio.run(usage.flush())
            asyncio.run(usage.stop())
        assert found(usage, tenant) == {(1000, "5"): (3, 0)}


def test_a_fault_does_not_end_the_counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "FLUSH_SECONDS", 0)
    deployment, clock = opened(tmp_path)
    add_usage, faults = repository.add_usage, [IntegrityError("INSERT", {}, Exception("foreign key"))]

    def fail_once(*arguments: Any) -> None:
        if faults:
            raise faults.pop()
        add_usage(*arguments)
        written.set()

    async def keep() -> None:
        keeping = asyncio.create_task(usage.keep())
        await asyncio.to_thread(written.wait, 30)
        keeping.cancel()

    with closing(deployment):
        tenant, written = deployment.tenants.create("acme").id, threading.Event()
        usage = Usage(deployment.database, clock)
        usage.note(tenant, UsageKind.LEVEL, "5")
        with monkeypatch.context() as patched:
            patched.setattr(repository, "add_usage", fail_once)
            asyncio.run(keep())
        assert not faults
        assert found(usage, tenant) == {(1000, "5"): (1, 0)}


def test_what_is_written_is_not_counted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment, clock = opened(tmp_path)

    def refuse(*_: Any, **__: Any) -> None:
        raise ServiceUnavailable("no")

    with closing(deployment):
        tenant = deployment.tenants.create("acme").id
        usage = Usage(deployment.database, clock)
        usage.note(tenant, UsageKind.LEVEL, "5")
        with monkeypatch.context() as patched:
            patched.setattr(repository, "remove_usage", refuse)
            with pytest.raises(ServiceUnavailable):
                asyncio.run(usage.flush())
        assert found(usage, tenant) == {(1000, "5"): (1, 0)}


def test_counts_end_and_an_erased_tenants_are_dropped(tmp_path: Path) -> None:
    deployment, clock = opened(tmp_path)
    with closing(deployment):
        kept, erased = (deployment.tenants.create(name).id for name in ("kept", "erased"))
        usage = Usage(deployment.database, clock)
        for tenant in (kept, erased):
            usage.note(tenant, UsageKind.CALL, "GET /")
        deployment.tenants.erase(erased)
        assert found(usage, kept).keys() == {(1000, "GET /")}
        assert found(usage, erased) == {}
        clock.move((KEPT_HOURS + 1) * HOUR_SECONDS)
        assert found(usage, kept) == {}


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MOST_KEYS", 2)
    deployment, clock = opened(tmp_path)
    with closing(deployment):
        tenant = deployment.tenants.create("acme").id
        usage = Usage(deployment.database, clock)
        for name in ("a", "b", "c", "a"):
            usage.note(tenant, UsageKind.CALL, name)
        assert found(usage, tenant) == {(1000, "a"): (2, 0), (1000, "b"): (1, 0)}
