"""Tables of things that other commands name: an id is shown whole, or it is of no use."""

from rich.console import Console
from rich.table import Column, Table

_WIDE = 10_000
"""Columns of what is no terminal: a file or another command, for which nothing is cut."""


def id_column(name: str) -> Column:
    """Give a column that other columns make room for."""
    return Column(name, no_wrap=True, overflow="fold")


def print_table(table: Table) -> None:
    """Print a table of what people named, as it stands: no markup is read in it."""
    console = Console(markup=False)
    if not console.is_terminal:
        console.width = _WIDE
    console.print(table)
