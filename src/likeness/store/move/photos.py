"""The photos of a move: copied as sealed bytes, and compared afterwards."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from likeness.errors import SetupError
from likeness.store.folder import PART
from likeness.store.images import FAULTS, MARK, MOVE_MARK, Objects, spaces_of
from likeness.store.remote import cause_of_store_error

AT_ONCE = 16
Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class PhotoMove:
    """Copies the photos of tenants from one store to another. One event loop uses it.

    Photos in quarantine stay there. Their time in it begins again.
    """

    source: Objects
    target: Objects
    tenant_ids: Sequence[str]

    async def begin(self, token: str, *, resumed: bool) -> None:
        """Mark the target. ``resumed``: it is known to belong to this move.

        Raises SetupError if it holds something else than this move's photos.
        """
        with _as_setup_error():
            found = await self.target.get("", MOVE_MARK)
            if found is None:
                if not resumed and await holds_anything(self.target):
                    raise SetupError("the target's image store holds something already")
                await self.target.replace("", MOVE_MARK, token.encode())
            elif found != token.encode():
                raise SetupError("the target's image store holds a part of another move")

    async def count(self) -> int:
        """Give the number of photos to move."""
        with _as_setup_error():
            return sum([len(await _names(self.source, space)) for space in self._spaces()])

    async def copy(self, progress: Advance) -> int:
        """Bring the target into the source's state. Give the number of photos that it lacked."""
        copied = 0
        with _as_setup_error():
            for space in self._spaces():
                wanted, present = await _names(self.source, space), await _names(self.target, space, parts=True)

                async def put(name: str, space: str = space) -> None:
                    content = await self.source.get(space, name)
                    if content is not None:
                        await self.target.put(space, name, content)

                async def delete(name: str, space: str = space) -> None:
                    await self.target.delete(space, name)

                await _each(present - wanted, delete, lambda _: None)
                await _each(wanted - present, put, progress)
                progress(len(wanted & present))
                copied += len(wanted - present)
        return copied

    async def verify(self, progress: Advance) -> None:
        """Compare the bytes of each photo. Copy a different one again.

        Raises SetupError if the target then still gives other bytes, or has other photos than the source.
        """
        with _as_setup_error():
            for space in self._spaces():
                wanted = await _names(self.source, space)
                if await _names(self.target, space) != wanted:
                    raise SetupError("the target's image store lists other photos than the source: run the move again")

                async def compare(name: str, space: str = space) -> None:
                    content = await self.source.get(space, name)
                    if content is not None and await self.target.get(space, name) != content:
                        await self.target.replace(space, name, content)
                        if await self.target.get(space, name) != content:
                            raise SetupError("the target's image store does not give back a photo's bytes")

                await _each(wanted, compare, progress)

    async def finish(self) -> None:
        """Give the target the source's generation, and remove the mark of the move. May run again."""
        with _as_setup_error():
            generation = await self.source.get("", MARK)
            if generation is not None:
                await self.target.replace("", MARK, generation)
            await self.target.delete("", MOVE_MARK)

    def _spaces(self) -> Iterator[str]:
        for tenant_id in self.tenant_ids:
            yield from spaces_of(tenant_id)


async def holds_anything(objects: Objects) -> bool:
    """Whether an image store holds any object."""
    async for _ in objects.batches(""):
        return True
    return False


async def _names(objects: Objects, space: str, *, parts: bool = False) -> set[str]:
    """Give the names of a space's objects, with ``parts`` also of those that a kill left half written."""
    return {name async for page in objects.batches(space) for name in page if parts or not name.endswith(PART)}


async def _each(names: Iterable[str], work: Callable[[str], Awaitable[None]], progress: Advance) -> None:
    waiting = iter(names)

    async def take() -> None:
        for name in waiting:
            await work(name)
            progress(1)

    takers = [asyncio.create_task(take()) for _ in range(AT_ONCE)]
    try:
        await asyncio.gather(*takers)
    finally:
        for taker in takers:
            taker.cancel()


@contextmanager
def _as_setup_error() -> Iterator[None]:
    try:
        yield
    except FAULTS as error:
        raise SetupError(
            f"an image store refuses the move ({cause_of_store_error(error)}); run the command again to go on"
        ) from error
