"""Groups of commands that are imported when they are called. So a command imports only what it needs."""

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup

COMMAND: ContextVar[str] = ContextVar("command", default="")
"""The name of the present command, without arguments, such as ``tenant create``."""


class LazyGroup(TyperGroup):
    """A group that imports its commands when they are called.

    ``places`` maps each command's name to ``module:attribute``, a function or a ``typer.Typer``. A call imports the
    module of its command only. The group's help imports all of them.
    """

    places: ClassVar[Mapping[str, str]]

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = _Commands(self.places)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command, and note its name."""
        found = super().resolve_command(ctx, args)
        name, command, rest = found
        below = rest[:1] if rest and rest[0] in getattr(command, "commands", ()) else []
        COMMAND.set(" ".join([*ctx.command_path.split()[1:], str(name), *below]))
        return found


class _Commands(Mapping[str, Any]):
    """The commands by name, in the order of ``places``. Reading a command imports it."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places

    def __getitem__(self, name: str) -> Any:
        return _load(name, self._places[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


@cache
def _load(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    holder = typer.Typer(add_completion=False)
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        holder.command(name)(found)
    return typer.main.get_group(holder).commands[name]
