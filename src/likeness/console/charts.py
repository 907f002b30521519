"""Charts as SVG, drawn on the server. Colours come from the page's style, by class."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from markupsafe import Markup, escape

from likeness.engine.levels import LEVELS, NEVER, Calibration

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 70, 16, 30, 34
FLOOR = HEIGHT - BOTTOM
BARS_WIDTH, BARS_HEIGHT, BARS_FLOOR, BARS_TOP = 440, 150, 128, 18
RATES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
LEAST_RATE, DECADES = 1e-7, 6.4


def score_chart(calibration: Calibration, score: float, level: int, label: str, axis: tuple[str, str]) -> Markup:
    """Draw a score among the pack's levels, on the measured rate at which different people reach a score.

    The curve goes through what the calibration measured: the share of impostor pairs at or above each threshold.
    ``label`` says in words what the chart shows. ``axis`` names the two axes.
    """
    measured = zip(calibration.thresholds, calibration.measured_fmr, strict=True)
    known = [(threshold, rate) for threshold, rate in measured if threshold < NEVER]
    low, high = min(score, known[0][0] - 0.15) - 0.03, max(1.0, score)

    def x(value: float) -> float:
        return round(LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT), 1)

    def parts() -> Iterator[str]:
        edges = [low, *(threshold for threshold, _ in known), high]
        for place, (start, end) in enumerate(pairwise(edges)):
            kind = f"band band-{place}{' here' if place == level else ''}"
            size = f'width="{x(end) - x(start):.1f}" height="{FLOOR - TOP}"'
            yield f'<rect class="{kind}" x="{x(start)}" y="{TOP}" {size}/>'
            if place:
                yield _text("name", (x(start) + x(end)) / 2, TOP - 10, str(LEVELS[place - 1]), "middle")
        for rate in RATES:
            yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{_y(rate)}" y2="{_y(rate)}"/>'
            yield _text("tick", LEFT - 8, _y(rate) + 4, _share(rate), "end")
        points = " ".join(f"{x(threshold)},{_y(rate)}" for threshold, rate in known)
        yield f'<polyline class="curve" points="{points}"/>'
        yield from (f'<circle class="point" cx="{x(threshold)}" cy="{_y(rate)}" r="3"/>' for threshold, rate in known)
        for fifth in range(math.ceil(low * 5), math.floor(high * 5) + 1):
            yield _text("tick", x(fifth / 5), FLOOR + 16, f"{fifth / 5:.1f}", "middle")
        yield f'<line class="mark" x1="{x(score)}" x2="{x(score)}" y1="{TOP}" y2="{FLOOR}"/>'
        side, offset = ("end", -7) if x(score) > WIDTH - 90 else ("start", 7)
        yield _text("value", x(score) + offset, FLOOR - 10, f"{score:.3f}", side)
        yield _text("axis", WIDTH - RIGHT, HEIGHT - 2, axis[0], "end")
        yield _text("axis", 0, 12, axis[1], "start")

    return _drawing("score", (WIDTH, HEIGHT), label, parts())


def bars(values: Sequence[tuple[str, float]], label: str, *, unit: str = "") -> Markup:
    """Draw a bar for each value, with the names of the first, the middle and the last. ``label`` says it in words."""
    most = max([value for _, value in values], default=0) or 1
    step = BARS_WIDTH / max(len(values), 1)

    def parts() -> Iterator[str]:
        yield f'<line class="grid" x1="0" x2="{BARS_WIDTH}" y1="{BARS_FLOOR}" y2="{BARS_FLOOR}"/>'
        yield _text("tick", 0, 11, f"{_number(most)}{unit}", "start")
        for place, (name, value) in enumerate(values):
            tall = value / most * (BARS_FLOOR - BARS_TOP)
            at = f'x="{(place + 0.12) * step:.1f}" y="{BARS_FLOOR - tall:.1f}"'
            title = escape(f"{name}: {_number(value)}{unit}")
            size = f'width="{step * 0.76:.1f}" height="{tall:.1f}"'
            yield f'<rect class="bar" {at} {size} rx="1.5"><title>{title}</title></rect>'
        if values:
            yield _text("tick", 0, BARS_HEIGHT - 4, values[0][0], "start")
            yield _text("tick", BARS_WIDTH / 2, BARS_HEIGHT - 4, values[len(values) // 2][0], "middle")
            yield _text("tick", BARS_WIDTH, BARS_HEIGHT - 4, values[-1][0], "end")

    return _drawing("bars", (BARS_WIDTH, BARS_HEIGHT), label, parts())


def _drawing(kind: str, size: tuple[int, int], label: str, parts: Iterator[str]) -> Markup:
    name = escape(label)
    begin = f'<svg class="chart {kind}" viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{name}">'
    return Markup("".join([begin, *parts, "</svg>"]))  # noqa: S704  every text in it is escaped


def _text(kind: str, x: float, y: float, words: str, anchor: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _y(rate: float) -> float:
    return round(TOP + math.log10(1 / max(rate, LEAST_RATE)) / DECADES * (FLOOR - TOP), 1)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2f}"


def _share(rate: float) -> str:
    """Write a rate as a share, such as 1 : 1,000."""
    exponent = round(-math.log10(rate))
    if not exponent:
        return "1"
    return f"1 : {10**exponent:,}" if exponent <= 4 else f"1 : 10{'⁰¹²³⁴⁵⁶⁷⁸⁹'[exponent]}"
