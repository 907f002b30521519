"""Shards as actors of a Ray cluster, which starts them again elsewhere when a process or a machine ends.

An actor takes its settings from the environment of its machine, which needs the master key. So no password and no key
passes through Ray. Templates of searches do. See ``likeness.kit.cluster.connection`` for who may reach Ray.

The actors outlive the servers that use them, under names that all servers of a deployment know.
"""

import asyncio
import logging
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, cast

import ray
from ray.exceptions import RayError
from ray.util.placement_group import PlacementGroup, get_placement_group, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from likeness.gallery.repository import Part
from likeness.gallery.sharded.layout import Layout
from likeness.gallery.sharded.lines import Line, LineAddress, LinePort
from likeness.gallery.sharded.running import RunningShard
from likeness.gallery.sharded.shard import Behind, NumberedAnswer, ShardQuery, ShardStatus
from likeness.kit.cluster.connection import end_actors, names_in
from likeness.kit.memory import harden_process
from likeness.settings import Settings

log = logging.getLogger("likeness.gallery")
STATUS_SECONDS = 10.0
CALLS_UNDER_WAY = 2
"""Calls of searches from one server to one actor. Further searches share the next call."""
CALL_SECONDS = 5.0
"""Longest time of such a call. An actor that is paused or cut off must not keep the calls for ever."""
TOGETHER_SECONDS = 0.05
"""Longest wait of searches that share a call, for changes that a shard has not applied."""
CALLS_AT_ONCE = 32
"""Calls of one actor that run at once. Most of their time they wait for a change."""


class ShardActor:
    """A running shard in a process of its own."""

    def __init__(self, part: Part, limit_bytes: int) -> None:
        harden_process()
        self._shard = RunningShard(Settings(), part, limit_bytes=limit_bytes)
        util: Any = ray.util  # this function has no types
        self._port = LinePort(
            util.get_node_ip_address(), self._search_all, ThreadPoolExecutor(CALLS_AT_ONCE, "shard-call")
        )

    def line(self) -> LineAddress:
        """Give the address of the shard's lines, with their key."""
        return self._port.address

    def search(self, query: bytes, seconds: float) -> bytes:
        """Answer a pickled query with a pickled answer: Ray's own pickling takes several times as long."""
        return pickle.dumps(self._shard.search(_unpickled(query), seconds=seconds))

    def _search_all(self, queries: bytes) -> bytes:
        """Answer several queries, each with its answer or its error."""
        return pickle.dumps(self._shard.search_all(_unpickled(queries), seconds=TOGETHER_SECONDS))

    def status(self) -> ShardStatus:
        return self._shard.status

    def machine(self) -> str:
        """Give the id of the Ray node that the actor is on."""
        return str(ray.get_runtime_context().get_node_id())


class RayReplica:
    """A ``Replica`` that is an actor. ``actor`` is its handle. One event loop uses it.

    Queries go on a line. Those that come while calls are under way share the next one.
    """

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self._line: Line | None = None
        self._waiting: list[tuple[ShardQuery, asyncio.Future[NumberedAnswer]]] = []
        self._calls: set[asyncio.Task[None]] = set()

    async def search(self, query: ShardQuery, *, seconds: float) -> NumberedAnswer:
        """Answer as ``Shard.search``. Raises its errors, and RayError when the actor cannot be reached."""
        answer: asyncio.Future[NumberedAnswer] = asyncio.get_running_loop().create_future()
        self._waiting.append((query, answer))
        self._send()
        try:
            return await answer
        except Behind:  # it waits alone: a gallery that is behind must not hold up others
            alone: bytes = await self.actor.search.remote(pickle.dumps(query), seconds)
            return cast("NumberedAnswer", _unpickled(alone))

    async def status(self) -> ShardStatus:
        """Give what the shard holds. Raises RayError when the actor cannot be reached."""
        status: ShardStatus = await self.actor.status.remote()
        return status

    def _send(self) -> None:
        """Send the waiting queries, unless enough calls are under way."""
        if len(self._calls) == CALLS_UNDER_WAY:
            return
        together, self._waiting = [each for each in self._waiting if not each[1].done()], []
        if together:
            call = asyncio.create_task(self._ask(together))
            self._calls.add(call)
            call.add_done_callback(self._ended)

    def _ended(self, call: "asyncio.Task[None]") -> None:
        self._calls.discard(call)
        self._send()

    async def _opened(self) -> Line:
        """Give the line, or open one: an actor that was started again has another address."""
        if self._line is None or not self._line.is_open:
            line = await Line.open(await self.actor.line.remote())
            if self._line is not None and self._line.is_open:  # another call has opened one meanwhile
                line.close()
            else:
                self._line = line
        return self._line

    def _hang_up(self) -> None:
        """Close a line that failed: its actor may have gone without a word, and be elsewhere."""
        line, self._line = self._line, None
        if line is not None and line.is_open:
            line.close()

    async def _ask(self, together: list[tuple[ShardQuery, "asyncio.Future[NumberedAnswer]"]]) -> None:
        found: list[NumberedAnswer | Exception]
        try:
            asked = pickle.dumps([query for query, _ in together])
            async with asyncio.timeout(CALL_SECONDS):
                line = await self._opened()
                found = _unpickled(await line.ask(asked))
        except Exception as error:  # noqa: BLE001  each caller gets it
            found = [error] * len(together)
            self._hang_up()
        for (_, answer), each in zip(together, found, strict=True):
            if answer.done():  # its caller has left
                continue
            if isinstance(each, Exception):
                answer.set_exception(each)
            else:
                answer.set_result(each)


class ShardCluster:
    """The actors of a layout. The first server of a deployment starts them, and the others find them.

    Each replica takes one of the cluster's CPUs, and as much of a node's memory as it may hold. The replicas of a part
    are on different machines while there are enough.
    """

    def __init__(self, layout: Layout) -> None:
        """Find or start the actors. This process is connected to the Ray cluster. Only one process may start them."""
        self.layout = layout
        self._groups = [self._group(Part(number, layout.parts)) for number in range(layout.parts)]
        self.parts = [
            [self._replica(Part(number, layout.parts), group, place) for place in range(layout.replicas)]
            for number, group in enumerate(self._groups)
        ]

    def _group(self, part: Part) -> PlacementGroup:
        name = f"{self.layout.namespace}: {self.layout.name_of(part)}"
        group: PlacementGroup
        try:
            group = get_placement_group(name)
        except ValueError:  # there is none
            bundle = {"CPU": 1, "memory": self.layout.limit_bytes}
            bundles = [bundle] * self.layout.replicas
            group = placement_group(bundles, strategy="SPREAD", name=name, lifetime="detached")
        return group

    def _replica(self, part: Part, group: PlacementGroup, place: int) -> RayReplica:
        shard: Any = ray.remote(ShardActor)
        options = {
            "name": f"{self.layout.name_of(part)}, replica {place}",
            "namespace": self.layout.namespace,
            "get_if_exists": True,
            "lifetime": "detached",
            "num_cpus": 1,
            "memory": self.layout.limit_bytes,
            "max_restarts": -1,
            "max_concurrency": CALLS_AT_ONCE,
            "scheduling_strategy": PlacementGroupSchedulingStrategy(group, place),
        }
        return RayReplica(shard.options(**options).remote(part, self.layout.limit_bytes))


class NamedShards:
    """All shards of a deployment, of whatever layout, by their names. This process is connected to the cluster."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._names = names_in(namespace)

    def statuses(self) -> dict[str, ShardStatus | None]:
        """Give what each shard holds, or None for one that does not answer."""
        asked: dict[str, Any] = {name: ray.get_actor(name, self._namespace).status.remote() for name in self._names}
        if asked:
            ray.wait(list(asked.values()), num_returns=len(asked), timeout=STATUS_SECONDS)
        return {name: _answer(reference) for name, reference in asked.items()}

    def remove(self, which: Callable[[str], bool]) -> int:
        """End the shards with these names. Servers that use them answer 503 until they start new ones.

        Give how many ended.
        """
        names = end_actors(self._namespace, which)
        for group in {f"{self._namespace}: {name.rpartition(', replica ')[0]}" for name in names}:
            with suppress(ValueError):
                remove_placement_group(get_placement_group(group))
        return len(names)


def _unpickled(content: bytes) -> Any:
    """Unpickle what a server and an actor send each other.

    Ray pickles all calls, and a line is for those who know its key. So this trusts nobody else.
    """
    return pickle.loads(content)  # noqa: S301


def _answer(reference: Any) -> ShardStatus | None:
    try:
        status: ShardStatus = ray.get(reference, timeout=0)
    except RayError:
        return None
    return status
