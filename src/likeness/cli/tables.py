"""Tables whose ids other commands take. So an id is never cut."""

from rich.console import Console
from rich.table import Column, Table

_WIDE = 10_000
"""Width, in characters, of an output that is no terminal, such as a file. Nothing is cut there."""


def id_column(name: str) -> Column:
    """Give a column that is shown whole. Other columns make room for it."""
    return Column(name, no_wrap=True, overflow="fold")


def print_table(table: Table) -> None:
    """Print a table, with its texts unchanged: brackets in a name are not markup."""
    console = Console(markup=False)
    if not console.is_terminal:
        console.width = _WIDE
    console.print(table)
