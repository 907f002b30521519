"""Two servers on one PostgreSQL: each background job runs in one of them."""

import shutil
from pathlib import Path

from sqlalchemy import select

from likeness.kit.ids import new_id
from likeness.store.tables import leases
from likeness.webhooks.outbox import Outbox
from likeness.webhooks.service import Webhooks
from servers import Server, calling, serving, test_settings, wait_until
from webhooks.receiver import receiving

JOBS = {"gallery upkeep", "re-indexing", "webhooks", "sessions", "audit", "data keys"}
DELIVERIES = 20


def holders(server: Server) -> dict[str, str]:
    """Give who holds which lease. One that was released has no holder."""
    query = select(leases.c.name, leases.c.holder).where(leases.c.expires_at > 0)
    return {row[0]: row[1] for row in server.deployment.database.read_now(lambda c: c.execute(query).all())}


def test_each_job_runs_in_one_server_and_another_takes_over(tmp_path: Path, postgres_url: str) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    settings = [test_settings(folder, database_url=postgres_url, webhook_private_addresses=True) for folder in folders]
    with serving(settings[0]) as first, calling(first) as api, receiving() as receiver:
        wait_until(lambda: holders(first).keys() == JOBS)
        of_first = holders(first)
        folders[1].mkdir()
        shutil.copy(folders[0] / "master.key", folders[1])
        with serving(settings[1]) as second:
            database, outbox = second.deployment.database, Outbox(first.clock)
            Webhooks(database, second.clock, private_addresses=True).put(api.tenant, receiver.url, {})
            tenant = second.deployment.tenants.by_name(api.tenant.id)

            def put_out() -> None:
                for _ in range(DELIVERIES):
                    claims = {"jti": new_id(), "aud": "c", "iat": 1, "exp": 2, "data": {}}
                    database.write_now(lambda c, claims=claims: outbox.add(c, tenant, new_id(), claims))  # type: ignore[misc]

            def delivered(count: int) -> bool:
                for server in (first, second):
                    server.clock.move(1)  # a try that could not begin is repeated
                return len(receiver.bodies) >= count

            put_out()
            wait_until(lambda: delivered(DELIVERIES), seconds=120)
            assert holders(second) == of_first
            first.app.state.server.should_exit = True
            wait_until(
                lambda: holders(second).keys() == JOBS and not set(of_first.values()) & set(holders(second).values()),
                seconds=120,
            )
            put_out()
            wait_until(lambda: delivered(2 * DELIVERIES), seconds=120)
        assert len({headers["Likeness-Delivery"] for headers in receiver.headers}) == len(receiver.headers)
