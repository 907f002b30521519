"""Shards on a real Ray cluster of two nodes, over a real PostgreSQL."""

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from gallery.operations import NEW, OLD
from gallery.sharded.galleries import AMPLE, RealGallery, answer_of, ask
from lacking import skip_here
from likeness.errors import ServiceUnavailable
from likeness.gallery.sharded.fan_out import FanOut
from servers import wait_until

os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray then uses the loopback address, on Linux too
try:
    import ray
    from ray.cluster_utils import Cluster

    from likeness.gallery.sharded.ray_cluster import ShardCluster
except ModuleNotFoundError:
    INSTALLED = False
else:
    INSTALLED = True

NODE: Any = {"num_cpus": 4, "object_store_memory": 100 << 20}
EQUAL_IN_A_ROW = 10
MOST_TRIES = 100


@pytest.fixture
def cluster(gallery: RealGallery, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Run a cluster. Its nodes have the settings of the gallery's deployment, like machines of one."""
    if not INSTALLED:
        skip_here("Ray is not installed (the extra `ray`)")
    settings = gallery.deployment.settings
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("LIKENESS_DATABASE_URL", str(settings.database_url))
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    try:
        cluster.add_node(**NODE)
        ray.init(address=cluster.address, log_to_driver=False)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


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
            assert found == answer_of(gallery.index(pack), query)
            in_a_row += 1
    return refused


def machines(shards: "ShardCluster") -> list[list[str]]:
    return [[ray.get(replica.actor.machine.remote(), timeout=30) for replica in part] for part in shards.parts]


@pytest.mark.long
@pytest.mark.timeout(240)
def test_answers_stay_right_while_actors_and_a_machine_end(cluster: Any, gallery: RealGallery) -> None:
    with ShardCluster(parts=2, replicas=2, limit_bytes=AMPLE) as shards:
        fan_out = shards.fan_out()
        for _ in range(6):
            gallery.leap()
            gallery.change(12)
        for pack in (OLD, NEW):
            index, queries = gallery.index(pack), gallery.queries(pack, 100)
            assert ask(fan_out, queries) == [answer_of(index, query) for query in queries]
        before = machines(shards)
        assert [len(set(part)) for part in before] == [2, 2]

        for replica in (shards.parts[0][0], *shards.parts[1]):
            ray.kill(replica.actor, no_restart=False)
        assert search_until_equal(gallery, fan_out) > 0  # the whole part was away

        cluster.remove_node(cluster.list_all_nodes()[1], allow_graceful=False)
        search_until_equal(gallery, fan_out)
        left = ray.get_runtime_context().get_node_id()  # of this process, so of the head
        wait_until(lambda: machines_now(shards) == [[left, left], [left, left]], seconds=60)
        search_until_equal(gallery, fan_out)


def machines_now(shards: "ShardCluster") -> list[list[str]] | None:
    """Give where the replicas are, or None while one starts."""
    with suppress(ray.exceptions.RayError):
        return machines(shards)
    return None
