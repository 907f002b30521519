"""A progress bar in one form for every command."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def progress_bar(console: Console | None = None, *, transient: bool = False) -> Progress:
    """Give a progress bar that counts, on ``console`` or on the error stream.

    ``transient`` removes the bar when the work is done.
    """
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console or Console(stderr=True), transient=transient)
