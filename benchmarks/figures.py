"""The shape every benchmark reports in: a readable table, and figures as JSON."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number; ``target`` says in words what it is held against, ``ok`` whether it holds (None: told only)."""

    name: str
    value: float
    unit: str
    target: str = ""
    ok: bool | None = None


@dataclass(slots=True)
class Report:
    """The figures of one run, printed and written once at its end."""

    title: str
    figures: list[Figure] = field(default_factory=list)

    def add(self, name: str, value: float, unit: str, *, target: str = "", ok: bool | None = None) -> None:
        self.figures.append(Figure(name, float(value), unit, target, ok))

    def at_least(self, name: str, value: float, unit: str, bound: float) -> None:
        self.add(name, value, unit, target=f">= {bound:g}", ok=value >= bound)

    def at_most(self, name: str, value: float, unit: str, bound: float) -> None:
        self.add(name, value, unit, target=f"<= {bound:g}", ok=value <= bound)

    def publish(self, json_path: Path | None = None) -> bool:
        """Print the table, write the JSON if asked, and say whether every held figure holds."""
        table = Table("figure", "value", "unit", "target", "", title=self.title)
        for figure in self.figures:
            mark = {True: "[green]ok[/]", False: "[red]short[/]", None: ""}[figure.ok]
            table.add_row(figure.name, f"{figure.value:.4g}", figure.unit, figure.target, mark)
        Console(width=140).print(table)
        if json_path:
            json_path.write_text(json.dumps({"figures": [asdict(figure) for figure in self.figures]}, indent=2))
        return all(figure.ok is not False for figure in self.figures)
