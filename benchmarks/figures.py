"""What all benchmarks share: the shape they report in (a table, the same as JSON, the points of plots), and an option."""

import argparse
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

Points = list[tuple[float, float]]
TARGET = "the target"
"""The name that a figure with a bound has for this bound."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. ``target`` says what it must reach, ``ok`` whether it does (None: it has no target).

    ``ratio`` says how many times better it is than ``to``: above 1 is better, for times and for rates. ``reference`` is the value of
    ``to``, in the same unit.
    """

    name: str
    value: float
    unit: str
    target: str = ""
    ok: bool | None = None
    ratio: float | None = None
    to: str = ""
    reference: float | None = None


@dataclass(frozen=True, slots=True)
class Curves:
    """A plot of lines: each a name and its points, from left to right. Both axes start above 0 where they are logarithmic."""

    title: str
    x: str
    y: str
    lines: dict[str, Points]
    logarithmic: bool = False
    """Whether the upright axis is logarithmic; the other always is."""


@dataclass(frozen=True, slots=True)
class Bars:
    """A plot of stacked bars: each a name and the parts that it adds up."""

    title: str
    unit: str
    bars: dict[str, dict[str, float]]


@dataclass(slots=True)
class Report:
    """The figures of one run, printed and written once at its end."""

    title: str
    figures: list[Figure] = field(default_factory=list)
    curves: list[Curves] = field(default_factory=list)
    bars: list[Bars] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """The things that were left out, each with its reason."""

    def add(self, name: str, value: float, unit: str, *, target: str = "", ok: bool | None = None) -> None:
        self.figures.append(Figure(name, float(value), unit, target, ok))

    def at_least(self, name: str, value: float, unit: str, bound: float) -> None:
        ratio, ok = times(value, bound), bool(value >= bound)
        self.figures.append(Figure(name, float(value), unit, f">= {bound:g}", ok, ratio, TARGET, float(bound)))

    def at_most(self, name: str, value: float, unit: str, bound: float) -> None:
        ratio, ok = times(bound, value), bool(value <= bound)
        self.figures.append(Figure(name, float(value), unit, f"<= {bound:g}", ok, ratio, TARGET, float(bound)))

    def beside(
        self,
        name: str,
        value: float,
        unit: str,
        peer: tuple[str, float],
        *,
        more_is_better: bool = False,
        bound: float | None = None,
    ) -> None:
        """Add a figure beside a peer's (its name and value); ``bound``: how many times better ours must be."""
        other, reference = peer
        ratio = times(value, reference) if more_is_better else times(reference, value)
        target = "" if bound is None else f"ratio >= {bound:.3g}"
        ok = None if bound is None or ratio is None else bool(ratio >= bound)
        self.figures.append(Figure(name, float(value), unit, target, ok, ratio, other, float(reference)))

    def publish(self, json_path: Path | None = None) -> bool:
        """Print the table, write the JSON if asked, and say whether every held figure holds."""
        table = Table("figure", "value", "unit", "beside", "ratio", "target", "", title=self.title)
        for figure in self.figures:
            mark = {True: "[green]ok[/]", False: "[red]short[/]", None: ""}[figure.ok]
            peer = "" if figure.reference is None or figure.to == TARGET else f"{figure.to}: {figure.reference:.4g}"
            ratio = "" if figure.ratio is None else f"{figure.ratio:.3g}"
            table.add_row(figure.name, f"{figure.value:.4g}", figure.unit, peer, ratio, figure.target, mark)
        console = Console(width=160)
        console.print(table)
        for note in self.notes:
            console.print(note)
        if json_path:
            parts = {
                "figures": [asdict(figure) for figure in self.figures],
                "curves": [asdict(curves) for curves in self.curves],
                "bars": [asdict(bars) for bars in self.bars],
                "notes": self.notes,
            }
            json_path.write_text(json.dumps(parts, indent=2))
        return all(figure.ok is not False for figure in self.figures)


def times(one: float, other: float) -> float | None:
    """Say how many times ``other`` goes into ``one``; None where that is no number to compare."""
    return float(one / other) if one > 0 and other > 0 else None


def add_mirror(parser: argparse.ArgumentParser) -> None:
    """Add the option for the folder of model files."""
    shared = Path(__file__).parents[2] / "shared" / "data" / "models"
    parser.add_argument(
        "--mirror",
        type=Path,
        default=shared if shared.is_dir() else None,
        help="model files of the packs beside builtin",
    )
