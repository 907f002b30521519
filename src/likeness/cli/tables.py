"""What lists and reports print: tables whose ids are never cut, because other commands take them, or JSON."""

import json
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Column, Table

_WIDE = 10_000
"""Width, in characters, of an output that is no terminal, such as a file. Nothing is cut there."""


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
"""The type of a list's option ``as_json``."""


def print_json(value: Any) -> None:
    """Print a value as JSON. Models have the members that the API gives them."""
    typer.echo(json.dumps(value, default=_members, ensure_ascii=False, indent=2))


def _members(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json", by_alias=True)


def id_column(name: str) -> Column:
    """Give a column that is shown whole. Other columns make room for it."""
    return Column(name, no_wrap=True, overflow="fold")


def print_table(table: Table) -> None:
    """Print a table, with its texts unchanged: brackets in a name are not markup."""
    console = Console(markup=False)
    if not console.is_terminal:
        console.width = _WIDE
    console.print(table)
