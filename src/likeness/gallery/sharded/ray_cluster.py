"""Shards as actors of a Ray cluster, which starts them again elsewhere when a process or a machine ends.

This module alone imports Ray, which `likeness-server[ray]` installs. An actor takes its settings from the environment
of its machine, which needs the master key. So no password and no key passes through Ray. Templates of searches do.

Ray does not ask who calls it. Anyone who reaches its ports can run code beside the keys. So the ports belong in a
network of these machines alone. `RAY_USE_TLS=1` encrypts what passes, and asks each machine for a certificate.
"""

import os
from types import TracebackType
from typing import Any, Self

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # a cluster that this process starts reports nothing to the outside

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from likeness.gallery.repository import Part
from likeness.gallery.sharded.fan_out import FanOut
from likeness.gallery.sharded.running import RunningShard
from likeness.gallery.sharded.shard import NumberedAnswer, ShardQuery, ShardStatus
from likeness.settings import Settings

CALLS_AT_ONCE = 32
"""Calls of one actor that run at once. Most of their time they wait for a change."""


class ShardActor:
    """A running shard in a process of its own."""

    def __init__(self, part: Part, limit_bytes: int) -> None:
        self._shard = RunningShard(Settings(), part, limit_bytes=limit_bytes)

    def search(self, query: ShardQuery, seconds: float) -> NumberedAnswer:
        return self._shard.search(query, seconds=seconds)

    def status(self) -> ShardStatus:
        return self._shard.status

    def machine(self) -> str:
        """Give the id of the Ray node that the actor is on."""
        return str(ray.get_runtime_context().get_node_id())


class RayReplica:
    """A ``Replica`` that is an actor. ``actor`` is its handle."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor

    async def search(self, query: ShardQuery, *, seconds: float) -> NumberedAnswer:
        """Answer as ``Shard.search``. Raises its errors, and RayError when the actor cannot be reached."""
        answer: NumberedAnswer = await self.actor.search.remote(query, seconds)
        return answer


class ShardCluster:
    """Actors for ``parts`` parts with ``replicas`` replicas each. They end with the block.

    This process is connected to the Ray cluster (``ray.init``). Each replica takes one of the cluster's CPUs, and holds
    at most ``limit_bytes``. The replicas of a part are on different machines while there are enough.
    """

    def __init__(self, *, parts: int, replicas: int, limit_bytes: int) -> None:
        self._groups = [placement_group([{"CPU": 1}] * replicas, strategy="SPREAD") for _ in range(parts)]
        self.parts = [
            [_start(Part(number, parts), limit_bytes, group, place) for place in range(replicas)]
            for number, group in enumerate(self._groups)
        ]

    def fan_out(self) -> FanOut:
        return FanOut(self.parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for group in self._groups:
            remove_placement_group(group)


def _start(part: Part, limit_bytes: int, group: PlacementGroup, place: int) -> RayReplica:
    shard: Any = ray.remote(ShardActor)
    options = {
        "num_cpus": 1,
        "max_restarts": -1,
        "max_concurrency": CALLS_AT_ONCE,
        "scheduling_strategy": PlacementGroupSchedulingStrategy(group, place),
    }
    return RayReplica(shard.options(**options).remote(part, limit_bytes))
