"""A progress bar in one form for every command."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


def progress_bar(console: Console | None = None, *, transient: bool = False, rate: bool = False) -> Progress:
    """Give a progress bar that counts, on ``console`` or on the error stream.

    ``transient`` removes the bar when the work is done. ``rate`` also shows the steps per second.
    """
    counted = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    columns = (*counted, *([_Rate()] if rate else []), TimeRemainingColumn())
    return Progress(*columns, console=console or Console(stderr=True), transient=transient)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s")
