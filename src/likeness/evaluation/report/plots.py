"""Curves as inline SVG. The page's style sheet defines the colours, so they follow its light and dark modes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

Point = tuple[float, float]

_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 18, 18, 52


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: its title, its ends and ticks in data values, and the format of ticks."""

    title: str
    low: float
    high: float
    ticks: Sequence[float]
    logarithmic: bool = False
    show: Callable[[float], str] = "{:g}".format

    def place(self, value: float) -> float:
        """Return the place of a value between the axis's ends, from 0 to 1. A value outside has the place of an end."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.logarithmic:
            low, high, at = np.log10(low), np.log10(high), np.log10(at)
        return float((at - low) / (high - low))


@dataclass(slots=True)
class Plot:
    """A drawing between two axes. Each method adds marks, and :meth:`svg` returns the drawing."""

    title: str
    x: Axis
    y: Axis
    _marks: list[str] = field(default_factory=list)

    def line(self, points: Sequence[Point], css: str) -> None:
        """Draw a polyline through data points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self._at, points))
        self._marks.append(f'<polyline class="{css}" points="{path}"/>')

    def area(self, points: Sequence[Point], css: str) -> None:
        """Fill the area under a polyline."""
        placed = [self._at(point) for point in points]
        floor = _HEIGHT - _BOTTOM
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in [(placed[0][0], floor), *placed, (placed[-1][0], floor)])
        self._marks.append(f'<polygon class="{css}" points="{path}"/>')

    def dot(self, point: Point, label: str, css: str) -> None:
        """Draw a dot with a label at one point."""
        x, y = self._at(point)
        self._marks.append(
            f'<circle class="{css}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
            f'<text class="name" x="{x + 8:.1f}" y="{y - 7:.1f}">{escape(label)}</text>'
        )

    def spread(self, low: Point, high: Point, css: str) -> None:
        """Draw an interval as a straight line."""
        (x1, y1), (x2, y2) = self._at(low), self._at(high)
        self._marks.append(f'<line class="{css}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def upright(self, value: float, label: str, css: str) -> None:
        """Draw a vertical line at a value of x, with a label at its top."""
        x, _ = self._at((value, self.y.low))
        self._marks.append(
            f'<line class="{css}" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_HEIGHT - _BOTTOM}"/>'
            f'<text class="name" text-anchor="middle" x="{x:.1f}" y="{_TOP - 4}">{escape(label)}</text>'
        )

    def svg(self) -> str:
        """Return the drawing as an SVG element."""
        return (
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(self.title)}">'
            f"{self._grid()}{''.join(self._marks)}</svg>"
        )

    def _at(self, point: Point) -> Point:
        across, up = self.x.place(point[0]), self.y.place(point[1])
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)

    def _grid(self) -> str:
        floor, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
        parts = []
        for tick in self.x.ticks:
            x, _ = self._at((tick, self.y.low))
            parts.append(
                f'<line class="grid" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{floor}"/>'
                f'<text class="tick" text-anchor="middle" x="{x:.1f}" '
                f'y="{floor + 18}">{escape(self.x.show(tick))}</text>'
            )
        for tick in self.y.ticks:
            _, y = self._at((self.x.low, tick))
            parts.append(
                f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>'
                f'<text class="tick" text-anchor="end" x="{_LEFT - 8}" '
                f'y="{y + 4:.1f}">{escape(self.y.show(tick))}</text>'
            )
        middle = (_TOP + floor) / 2
        parts.append(
            f'<text class="title" text-anchor="middle" x="{(_LEFT + right) / 2:.0f}" '
            f'y="{_HEIGHT - 10}">{escape(self.x.title)}</text>'
            f'<text class="title" text-anchor="middle" x="14" y="{middle:.0f}" transform="rotate(-90 14 {middle:.0f})">'
            f"{escape(self.y.title)}</text>"
        )
        return "".join(parts)


def decades(low: float, high: float) -> list[float]:
    """Return the powers of ten from ``low`` to ``high``."""
    return [10.0**power for power in range(round(np.log10(low)), round(np.log10(high)) + 1)]


def round_steps(high: float, count: int = 5) -> list[float]:
    """Return ticks from 0 in steps of 1, 2 or 5 times a power of ten. The last is at or above ``high``."""
    rough = max(high, 1e-4) / count
    power = 10.0 ** np.floor(np.log10(rough))
    step = float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9)))
    return [step * index for index in range(max(int(np.ceil(high / step - 1e-9)), 1) + 1)]
