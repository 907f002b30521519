"""Shards on a real Ray cluster of two nodes, over a real PostgreSQL."""

import asyncio
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import Any

import numpy as np
import pytest

from clusters import ALONE, ray_nodes
from gallery.operations import NEW, OLD
from gallery.sharded.galleries import AMPLE, RealGallery, ask
from likeness.errors import ServiceUnavailable
from likeness.gallery.sharded.fan_out import FanOut
from likeness.gallery.sharded.layout import Layout
from likeness.gallery.sharded.lines import LineAddress, LinePort
from likeness.gallery.sharded.shard import NOTHING, NumberedAnswer, ShardQuery
from servers import wait_until

try:
    import ray

    from likeness.gallery.sharded import ray_cluster
    from likeness.gallery.sharded.ray_cluster import NamedShards, RayReplica, ShardCluster
    from likeness.kit.cluster.connection import connect, disconnect
except ModuleNotFoundError:
    pass

EQUAL_IN_A_ROW = 10
MOST_TRIES = 100
pytestmark = ALONE


@pytest.fixture
def cluster(gallery: RealGallery) -> Iterator[Any]:
    """Run a cluster. Its nodes have the settings of the gallery's deployment, like machines of one."""
    settings = gallery.deployment.settings
    environment = {"LIKENESS_DATA_DIR": str(settings.data_dir), "LIKENESS_DATABASE_URL": str(settings.database_url)}
    with ray_nodes(environment) as cluster:
        connect(cluster.address, "test")
        try:
            yield cluster
        finally:
            disconnect()


def search_until_equal(gallery: RealGallery, fan_out: FanOut) -> int:
    """Change and search in turn until many answers in a row are right. Give how many searches were refused.

    A wrong answer fails at once: only a refusal may take the place of a right one.
    """
    in_a_row = refused = tries = 0
    while in_a_row < EQUAL_IN_A_ROW:
        tries += 1
        assert tries <= MOST_TRIES, f"{refused} searches were refused"
        gallery.change(1)
        pack = gallery.chance.choice((OLD, NEW))
        (query,) = gallery.queries(pack, 1)
        try:
            (found,) = ask(fan_out, [query], seconds=2)
        except ServiceUnavailable:
            refused += 1
            in_a_row = 0
        else:
            assert gallery.truth().gives(found, query)
            in_a_row += 1
    return refused


@contextmanager
def started(layout: Layout) -> Iterator["ShardCluster"]:
    try:
        yield ShardCluster(layout)
    finally:
        assert NamedShards(layout.namespace).remove(lambda _: True) == layout.parts * layout.replicas


class PausedActor:
    """An actor whose first ``silent`` calls are never answered."""

    def __init__(self, silent: int) -> None:
        self.silent = silent
        self.queries: list[int] = []
        """How many queries each call had."""
        self.ends = threading.Event()
        self._threads = ThreadPoolExecutor(8)
        self._port = LinePort("127.0.0.1", self._answer, self._threads)
        self.line = self

    async def remote(self) -> LineAddress:
        return self._port.address

    def close(self) -> None:
        self.ends.set()
        self._port.close()
        self._threads.shutdown()

    def _answer(self, message: bytes) -> bytes:
        asked = pickle.loads(message)  # noqa: S301  the test pickled them
        self.queries.append(len(asked))
        if len(self.queries) <= self.silent:
            self.ends.wait()
        return pickle.dumps([NumberedAnswer(NOTHING, query.number) for query in asked])


def test_an_actor_that_was_paused_is_asked_again_without_what_nobody_awaits(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr(ray_cluster, "CALL_SECONDS", 0.5)
    query = ShardQuery("tenant", NEW, np.ones(4, np.float32), 7)

    async def ask_again(replica: RayReplica) -> NumberedAnswer:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(replica.search(query, seconds=1), 0.01)
        return await asyncio.wait_for(replica.search(query, seconds=1), 30)

    with closing(PausedActor(silent=ray_cluster.CALLS_UNDER_WAY)) as actor:
        assert asyncio.run(ask_again(RayReplica(actor))).number == query.number
    assert actor.queries == [1, 1, 1]


def machines(shards: "ShardCluster") -> list[list[str]]:
    return [[ray.get(replica.actor.machine.remote(), timeout=30) for replica in part] for part in shards.parts]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_answers_stay_right_while_actors_and_a_machine_end(cluster: Any, gallery: RealGallery) -> None:
    with started(Layout(parts=2, replicas=2, limit_bytes=AMPLE, namespace="test")) as shards:
        fan_out = FanOut(shards.parts)
        wait_until(lambda: all(each and each.loaded for each in NamedShards("test").statuses().values()), seconds=200)
        for _ in range(6):
            gallery.leap()
            gallery.change(12)
        for pack in (OLD, NEW):
            queries = gallery.queries(pack, 100)
            assert gallery.truth().give(ask(fan_out, queries), queries)
        before = machines(shards)
        assert [len(set(part)) for part in before] == [2, 2]

        for replica in (shards.parts[0][0], *shards.parts[1]):
            ray.kill(replica.actor, no_restart=False)
        assert search_until_equal(gallery, fan_out) > 0  # the whole part was away

        cluster.remove_node(cluster.list_all_nodes()[1], allow_graceful=False)
        search_until_equal(gallery, fan_out)
        left = ray.get_runtime_context().get_node_id()  # of this process, so of the head
        wait_until(lambda: machines_now(shards) == [[left, left], [left, left]], seconds=200)
        search_until_equal(gallery, fan_out)


def machines_now(shards: "ShardCluster") -> list[list[str]] | None:
    """Give where the replicas are, or None while one starts."""
    with suppress(ray.exceptions.RayError):
        return machines(shards)
    return None
