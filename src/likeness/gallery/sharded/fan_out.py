"""A search in a gallery of several parts: it asks one replica of each part, and merges their answers.

An answer covers every part. When a part cannot answer in time, the search fails as a whole.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from likeness.errors import ServiceUnavailable
from likeness.gallery.sharded.shard import NumberedAnswer, ShardQuery
from likeness.index.merging import merged

log = logging.getLogger("likeness.gallery")
AVOIDED_SECONDS = 5.0
"""How long a replica that failed is asked after its siblings."""


class Replica(Protocol):
    """One shard that can be asked, here or on another machine."""

    async def search(self, query: ShardQuery, *, seconds: float) -> NumberedAnswer:
        """Answer as ``Shard.search``. Raises ServiceUnavailable, ValueError, and any error of the way there."""


@dataclass(slots=True, eq=False)
class _PartReplicas:
    """The replicas of one part, and until when each that failed is avoided."""

    replicas: Sequence[Replica]
    turn: int = 0
    avoided: dict[int, float] = field(default_factory=dict)
    unready: frozenset[int] = frozenset()

    def chosen(self, now: float) -> list[int]:
        """Give the replica to ask, and its sibling for the case that the first fails."""
        self.turn += 1
        count = len(self.replicas)
        in_turn = [(self.turn + place) % count for place in range(count)]
        return sorted(in_turn, key=lambda number: (number in self.unready, self.avoided.get(number, now) > now))[:2]


class FanOut:
    """Searches over parts that together hold the galleries, of which each has some replicas.

    One event loop uses it.
    """

    def __init__(self, parts: Sequence[Sequence[Replica]]) -> None:
        self.use(parts)

    def use(self, parts: Sequence[Sequence[Replica]]) -> None:
        """Ask these replicas from now on. Raises ValueError for a part without any."""
        if not (parts and all(parts)):
            raise ValueError("each part needs a replica")
        self._parts = [_PartReplicas(replicas) for replicas in parts]

    def note_ready(self, ready: Sequence[Sequence[bool]]) -> None:
        """Note which replicas of each part can answer at once. The others are asked after their siblings."""
        for part, states in zip(self._parts, ready, strict=True):
            part.unready = frozenset(number for number, is_ready in enumerate(states) if not is_ready)

    async def search(self, query: ShardQuery, *, seconds: float) -> NumberedAnswer:
        """Give the answer that one index of all entries would give, within ``seconds``.

        Raises ServiceUnavailable, which says how many parts were searched, and ValueError like ``Shard.search``.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        found = await asyncio.gather(*(self._ask(part, query, deadline) for part in self._parts))
        answers = [each for each in found if each is not None]
        if len(answers) < len(found):
            raise ServiceUnavailable(
                f"Only {len(answers)} of {len(found)} parts of the gallery could be searched in time; try again "
                "shortly."
            )
        return NumberedAnswer(
            merged([each.answer for each in answers], k=query.k),
            min(each.number for each in answers),
            {pack: merged([each.orphans[pack] for each in answers], k=None) for pack in query.orphans},
            frozenset().union(*(each.orphaned for each in answers)),
        )

    async def _ask(self, part: _PartReplicas, query: ShardQuery, deadline: float) -> NumberedAnswer | None:
        """Ask a replica, and its sibling if it fails or takes more than half of the time. None if both fail."""
        loop = asyncio.get_running_loop()
        chosen = part.chosen(loop.time())
        for tries_left, number in zip(range(len(chosen), 0, -1), chosen, strict=True):
            seconds = max(0.0, deadline - loop.time()) / tries_left
            try:
                async with asyncio.timeout(seconds):
                    answer = await part.replicas[number].search(query, seconds=seconds)
            except ValueError:
                raise
            except Exception as error:  # noqa: BLE001  the way to another machine can fail in any way
                part.avoided[number] = loop.time() + AVOIDED_SECONDS
                log.warning("replica %d of a part did not answer a search: %s", number, type(error).__name__)
            else:
                part.avoided.pop(number, None)
                return answer
        return None
