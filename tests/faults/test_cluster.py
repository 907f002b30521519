"""Parts of a deployment with shared galleries are killed with SIGKILL under mixed load of two tenants on both servers.

It has two servers, PostgreSQL, and a Ray cluster of a head and two machines with two parts of two replicas.
``LIKENESS_FAULT_ROUNDS`` sets how often each part is killed. The times until full service are printed.
"""

import os
import random
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
import pytest

from clusters import ALONE, NODE, SharedServers, actor_processes, add_node, shared_servers
from faults.cluster import Load, Tenancy, insert, new_tenancy, rush
from faults.ledger import Fate, check_promises, images
from likeness.deployment import open_deployment
from likeness.gallery.sharded.layout import Layout
from postgres import needed_programs, new_database
from postgres_server import PostgresServer, running_server
from servers import wait_until

try:
    import ray

    from likeness.gallery.sharded.ray_cluster import NamedShards
    from likeness.kit.cluster.connection import connect, disconnect
except ModuleNotFoundError:
    pass

ROUNDS = int(os.environ.get("LIKENESS_FAULT_ROUNDS", "1"))
FACES = 10
SAMPLE = 20
STILL_SECONDS, PAUSE_SECONDS = 0.3, 8.0
SEARCHING_SECONDS = 15.0
"""After this time without shards, servers look for them in the Ray cluster."""
PARTS, REPLICAS = 2, 2

pytestmark = [ALONE, pytest.mark.faults, pytest.mark.long, pytest.mark.timeout(300 + 60 * ROUNDS)]


@dataclass
class Victim:
    """A deployment whose parts are killed, its two tenants, and what they were promised."""

    postgres: PostgresServer
    shared: SharedServers
    namespace: str
    """The shards' name space."""
    database_url: str
    tenancies: list[Tenancy]
    rng: random.Random = field(default_factory=lambda: random.Random(2024))

    def shards(self) -> NamedShards:
        return NamedShards(self.namespace)

    def actors(self) -> dict[str, Any]:
        """Give the handles of all shards by name."""
        return {name: ray.get_actor(name, self.namespace) for name in self.shards().statuses()}

    def shard_pids(self) -> list[int]:
        """Give the processes of all shards."""
        return actor_processes("ShardActor")

    def silent_changes(self) -> set[tuple[int, datetime]]:
        """Give the changes of the database that their process began, and about which it has said nothing since.

        Each is a process of PostgreSQL and the time when its transaction began.
        """
        query = """
            SELECT pid, xact_start FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE state = 'idle in transaction'
            AND mode = 'RowExclusiveLock' AND extract(epoch FROM clock_timestamp() - state_change) > %s
        """
        with psycopg.connect(self.database_url.replace("+psycopg", "")) as connection:
            return set(connection.execute(query, [STILL_SECONDS]).fetchall())

    def is_whole(self) -> bool:
        """Whether every replica of every part has loaded its galleries."""
        statuses = self.shards().statuses()
        return sum(bool(each and each.loaded) for each in statuses.values()) == PARTS * REPLICAS

    def check(self, seed: int) -> None:
        """Hold both servers against all promises: neither more nor less is stored than was acknowledged."""
        for tenancy in self.tenancies:
            promised = tenancy.ledger.with_fate(Fate.HERE, Fate.WITHOUT_IMAGE).keys()
            for http in tenancy.https:
                assert check_promises(http, tenancy.ledger, people=SAMPLE, seed=seed) == promised
        with psycopg.connect(self.database_url.replace("+psycopg", "")) as connection:
            rows = connection.execute("SELECT image_id FROM gallery_entries WHERE image_id IS NOT NULL").fetchall()
        assert {row[0] for row in rows} <= images(self.shared.servers[0]), "an image is lost"

    def outlive(self, fault: Callable[[], None], *, losing_calls: bool = False, rounds: int = ROUNDS) -> None:
        """Do something to the deployment under load, again and again. All promises must hold."""
        service, whole = [], []
        started = time.monotonic()
        for number in range(rounds):
            load = Load(self.tenancies, seed=self.rng.randrange(1 << 30))
            newcomer_name = f"newcomer {self.rng.randrange(1 << 60)}"
            with (
                new_tenancy(self.shared.servers, newcomer_name) as newcomer,
                ThreadPoolExecutor(1) as pool,
                load.running(),
            ):
                load.await_calls(self.rng.randrange(10, 80))
                lost = load.lost()
                rushing = pool.submit(rush, newcomer, faces=FACES)
                time.sleep(self.rng.uniform(0, 0.3))
                began = time.monotonic()
                fault()
                service.append(load.await_service(began))
                wait_until(self.is_whole, seconds=120)
                whole.append(time.monotonic() - began)
                rushing.result()
                assert losing_calls or load.lost() == lost, "a server that was not killed did not answer"
                for http in newcomer.https:
                    assert len(check_promises(http, newcomer.ledger)) == FACES
            self.check(number)
        calls = [call for each in self.tenancies for call in each.calls if call.begun > started]
        print(f"\n{len(calls)} calls, {sum(not call.served for call in calls)} of them refused or lost")  # noqa: T201
        for what, times in (("full service", service), ("all replicas", whole)):
            median, worst = statistics.median(times), max(times)
            print(f"\n{what} after {median:.1f} s, at worst {worst:.1f} s")  # noqa: T201  the figures


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    folder = tmp_path_factory.mktemp("victim")
    with ExitStack() as stack:
        postgres = stack.enter_context(running_server(needed_programs(), durable=True))
        url = new_database(postgres.url)
        bare = {**NODE, "num_cpus": 0}
        shared = stack.enter_context(
            shared_servers(folder, url, nodes=3, head=bare, parts=PARTS, replicas=REPLICAS, log_level="error")
        )
        with closing(open_deployment(shared.servers[0].settings)) as deployment:
            namespace = Layout.of(deployment).namespace
        connect(shared.cluster.address, "test")
        stack.callback(disconnect)
        names = ("first", "second")
        tenancies = [stack.enter_context(new_tenancy(shared.servers, name)) for name in names]
        victim = Victim(postgres, shared, namespace, url, tenancies)
        wait_until(victim.is_whole, seconds=60)
        yield victim


def test_a_server_is_killed(victim: Victim) -> None:
    def fault() -> None:
        server = victim.rng.choice(victim.shared.servers)
        server.kill()
        server.launch()

    victim.outlive(fault, losing_calls=True)


def fullest_node(victim: Victim) -> Any:
    """Give the machine with the most shards, of those that are not the head."""
    machines = [ray.get(actor.machine.remote(), timeout=30) for actor in victim.actors().values()]
    return max(victim.shared.cluster.worker_nodes, key=lambda node: machines.count(node.node_id))


def test_a_machine_with_shards_is_killed(victim: Victim) -> None:
    def fault() -> None:
        cluster = victim.shared.cluster
        cluster.remove_node(fullest_node(victim), allow_graceful=False)
        add_node(cluster, victim.shared.environment)

    victim.outlive(fault)


def test_postgresql_is_killed(victim: Victim) -> None:
    def fault() -> None:
        victim.postgres.kill()
        victim.postgres.start()

    victim.outlive(fault)


def test_all_replicas_of_a_part_are_killed(victim: Victim) -> None:
    def fault() -> None:
        for name, actor in victim.actors().items():
            if name.startswith("part 0 "):
                ray.kill(actor, no_restart=False)

    victim.outlive(fault, rounds=1)


def test_a_shard_is_paused(victim: Victim) -> None:
    def fault() -> None:
        pid = victim.rng.choice(victim.shard_pids())
        os.kill(pid, signal.SIGSTOP)
        time.sleep(PAUSE_SECONDS)
        os.kill(pid, signal.SIGCONT)

    victim.outlive(fault, rounds=1)


def test_all_shards_are_lost_while_ray_answers_nothing(victim: Victim) -> None:
    """The servers look for their shards in vain. Meanwhile enrolments without a search go on."""

    def fault() -> None:
        (gcs,) = victim.shared.cluster.head_node.all_processes["gcs_server"]
        gcs.process.send_signal(signal.SIGSTOP)
        try:
            for pid in victim.shard_pids():
                os.kill(pid, signal.SIGKILL)
            time.sleep(SEARCHING_SECONDS)
            for server in range(len(victim.shared.servers)):
                for tenancy in victim.tenancies:
                    insert(tenancy, server)
        finally:
            gcs.process.send_signal(signal.SIGCONT)

    victim.outlive(fault, rounds=1)


def test_a_server_starts_while_postgresql_is_down(victim: Victim) -> None:
    """It ends with a reason, and whoever watches over it starts it again."""

    def fault() -> None:
        server = victim.rng.choice(victim.shared.servers)
        server.kill()
        victim.postgres.kill()
        assert server.launch().wait(timeout=60) == 1
        victim.postgres.start()
        server.launch()

    victim.outlive(fault, losing_calls=True, rounds=1)


def test_a_server_is_paused_within_a_change(victim: Victim) -> None:
    """PostgreSQL ends its transaction, which holds a gallery's lock, so that the other server can go on."""

    def fault() -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with victim.shared.servers[0].paused():
                time.sleep(STILL_SECONDS)
                # The other server may be silent for as long on a busy machine, in one change after another.
                if held := victim.silent_changes():
                    wait_until(lambda: not held & victim.silent_changes(), seconds=60)
                    return
            time.sleep(victim.rng.uniform(0, 0.1))
        raise AssertionError("it was never paused within a change")

    victim.outlive(fault, rounds=1)
