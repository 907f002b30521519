"""Plots as SVG. Their colours are names of a style sheet: that of the page, or one inside a picture of its own."""

import re
from collections.abc import Sequence
from html import escape

from figures import Bars, Curves
from likeness.evaluation.report.plots import Axis, decades, round_steps
from reporting.numbers import shown

WIDTH, HEIGHT = 580, 380
LEFT, RIGHT, TOP, BOTTOM = 66, 122, 56, 50
TOTALS_RIGHT, ROW, BAR = 62, 34, 18
LETTER = 8.0
"""The width of a letter of a name, at most."""
LABEL_HEIGHT = 15.0
COLOURS = 8
LIGHT = {
    "ink": "#1b1f24",
    "soft": "#59636e",
    "line": "#d8dee4",
    "paper": "#ffffff",
    "s0": "#0b62c4",
    "s1": "#c2410c",
    "s2": "#12805c",
    "s3": "#8a3ffc",
    "s4": "#a16207",
    "s5": "#be185d",
    "s6": "#0e7490",
    "s7": "#59636e",
}
DARK = {
    "ink": "#e6edf3",
    "soft": "#9aa5b1",
    "line": "#30363d",
    "paper": "#0d1117",
    "s0": "#58a6ff",
    "s1": "#f0883e",
    "s2": "#3fb68b",
    "s3": "#bc8cff",
    "s4": "#e3b341",
    "s5": "#ff7bac",
    "s6": "#56d4dd",
    "s7": "#9aa5b1",
}
RULES = (
    ".plot text{fill:var(--soft);font-size:13.5px}.plot .title{fill:var(--ink);font-size:15px;font-weight:600}"
    ".plot .grid{stroke:var(--line)}.plot .name{font-weight:600}.plot .ours{stroke-width:3.5}"
    ".plot polyline{fill:none;stroke-width:2;stroke-linejoin:round}"
    + "".join(
        f".plot .l{n}{{stroke:var(--s{n})}}.plot .f{n}{{fill:var(--s{n})}}.plot text.f{n}{{fill:var(--s{n})}}"
        for n in range(COLOURS)
    )
)
Place = tuple[float, float]


def colours(palette: dict[str, str]) -> str:
    """Give a palette as the properties of a style sheet."""
    return ";".join(f"--{name}:{value}" for name, value in palette.items())


def alone(svg: str) -> str:
    """Make an SVG that stands in a page a picture of its own, light or dark as its reader's system is."""
    style = (
        f":root{{{colours(LIGHT)}}}@media(prefers-color-scheme:dark){{:root{{{colours(DARK)}}}}}"
        f"svg{{background:var(--paper);font-family:system-ui,sans-serif}}{RULES}"
    )
    head = '<svg xmlns="http://www.w3.org/2000/svg" class="plot"'
    return (
        svg.replace('<svg class="plot"', head, 1).replace(">", f"><style>{style}</style>", 1).replace("><", ">\n<")
        + "\n"
    )


def slug(title: str) -> str:
    """Give the name of a picture's file."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def curves_svg(curves: Curves) -> str:
    """Draw lines between a logarithmic axis and one that may be; each is named at its end."""
    across = sorted({x for points in curves.lines.values() for x, _ in points})
    up = [y for points in curves.lines.values() for _, y in points if y > 0]
    ends = across[0], max(across[-1], across[0] * 2)
    x_axis = Axis(curves.x, *ends, across, logarithmic=True, show=shown)
    y_axis = _upright(curves, up)
    marks = [_frame(curves.title, x_axis, y_axis)]
    names = []
    for number, (name, points) in enumerate(curves.lines.items()):
        placed = [_at(x_axis, y_axis, point) for point in points if point[1] > 0]
        if not placed:
            continue
        kind = f"l{number % COLOURS}" + (" ours" if number == 0 else "")
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        marks.append(f'<polyline class="{kind}" points="{path}"><title>{escape(name)}</title></polyline>')
        for (x, y), (size, value) in zip(placed, (point for point in points if point[1] > 0), strict=True):
            told = escape(f"{name}, {shown(size)}: {shown(value)}")
            marks.append(
                f'<circle class="f{number % COLOURS}" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{told}</title></circle>'
            )
        names.append((placed[-1], number, name))
    marks += _labels(names)
    return _svg(curves.title, HEIGHT, marks)


def _upright(curves: Curves, values: Sequence[float]) -> Axis:
    if not curves.logarithmic:
        steps = round_steps(max(values))
        return Axis(curves.y, 0.0, steps[-1], steps, show=shown)
    low, high = 10.0 ** _floor_power(min(values)), 10.0 ** -_floor_power(1 / max(values))
    return Axis(curves.y, low, max(high, low * 10), decades(low, max(high, low * 10)), logarithmic=True, show=shown)


def _floor_power(value: float) -> int:
    power = 0
    while 10.0**power > value:
        power -= 1
    while 10.0 ** (power + 1) <= value * (1 + 1e-9):
        power += 1
    return power


def _at(x_axis: Axis, y_axis: Axis, point: tuple[float, float]) -> Place:
    across, up = x_axis.place(point[0]), y_axis.place(point[1])
    return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def _frame(title: str, x_axis: Axis, y_axis: Axis) -> str:
    floor, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = [f'<text class="title" x="8" y="20">{escape(title)}</text>']
    parts.append(f'<text x="8" y="40">{escape(y_axis.title)}</text>')
    parts.append(
        f'<text text-anchor="middle" x="{(LEFT + right) / 2:.0f}" y="{HEIGHT - 10}">{escape(x_axis.title)}</text>'
    )
    for tick in x_axis.ticks:
        x, _ = _at(x_axis, y_axis, (tick, y_axis.low))
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{floor}"/>')
        parts.append(f'<text text-anchor="middle" x="{x:.1f}" y="{floor + 18}">{escape(x_axis.show(tick))}</text>')
    for tick in y_axis.ticks:
        _, y = _at(x_axis, y_axis, (x_axis.low, tick))
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
        parts.append(f'<text text-anchor="end" x="{LEFT - 8}" y="{y + 4:.1f}">{escape(y_axis.show(tick))}</text>')
    return "".join(parts)


def _labels(names: Sequence[tuple[Place, int, str]]) -> list[str]:
    """Name each line at its end; names that would lie on each other move apart."""
    labels, lowest = [], HEIGHT - BOTTOM + LABEL_HEIGHT
    order = sorted(range(len(names)), key=lambda which: names[which][0][1])
    heights: list[float] = []
    for which in order:
        wanted = names[which][0][1]
        heights.append(max(wanted, heights[-1] + LABEL_HEIGHT) if heights else wanted)
    for which in range(len(heights) - 1, -1, -1):
        roof = lowest if which == len(heights) - 1 else heights[which + 1] - LABEL_HEIGHT
        heights[which] = min(heights[which], roof)
    for which, height in zip(order, heights, strict=True):
        (x, _), number, name = names[which]
        labels.append(
            f'<text class="name f{number % COLOURS}" x="{x + 9:.1f}" y="{height + 4:.1f}">{escape(name)}</text>'
        )
    return labels


def bars_svg(bars: Bars) -> str:
    """Draw stacked bars, one below the other; a key names the parts and each bar's end its sum."""
    parts = list(dict.fromkeys(part for stack in bars.bars.values() for part in stack))
    sums = {name: sum(stack.values()) for name, stack in bars.bars.items()}
    steps = round_steps(max(sums.values()))
    axis = Axis(bars.unit, 0.0, steps[-1], steps, show=shown)
    top, left, right = 62, 14 + LETTER * max(map(len, sums)), WIDTH - TOTALS_RIGHT
    floor = top + ROW * len(bars.bars)

    def place(value: float) -> float:
        return left + axis.place(value) * (right - left)

    marks = [f'<text class="title" x="8" y="20">{escape(bars.title)}</text>', *_key(parts)]
    for tick in steps:
        x = place(tick)
        marks.append(f'<line class="grid" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{floor}"/>')
        marks.append(f'<text text-anchor="middle" x="{x:.1f}" y="{floor + 18}">{escape(shown(tick))}</text>')
    marks.append(f'<text text-anchor="middle" x="{(left + right) / 2:.0f}" y="{floor + 38}">{escape(bars.unit)}</text>')
    for row, (name, stack) in enumerate(bars.bars.items()):
        y, begun = top + row * ROW + (ROW - BAR) / 2, 0.0
        marks.append(f'<text class="name" text-anchor="end" x="{left - 10}" y="{y + 13:.1f}">{escape(name)}</text>')
        for part, value in stack.items():
            x, end = place(begun), place(begun + value)
            told = escape(f"{name}, {part}: {shown(value)} {bars.unit}")
            marks.append(
                f'<rect class="f{parts.index(part) % COLOURS}" x="{x:.1f}" y="{y:.1f}" width="{max(end - x, 0):.1f}" '
                f'height="{BAR}"><title>{told}</title></rect>'
            )
            begun += value
        marks.append(f'<text class="name" x="{place(begun) + 8:.1f}" y="{y + 13:.1f}">{escape(shown(begun))}</text>')
    return _svg(bars.title, floor + 48, marks)


def _key(parts: Sequence[str]) -> list[str]:
    marks, x = [], 8.0
    for number, part in enumerate(parts):
        marks.append(f'<rect class="f{number % COLOURS}" x="{x:.0f}" y="34" width="11" height="11"/>')
        marks.append(f'<text x="{x + 16:.0f}" y="44">{escape(part)}</text>')
        x += 32 + 7.2 * len(part)
    return marks


def _svg(title: str, height: float, marks: Sequence[str]) -> str:
    label = escape(title)
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{label}">{"".join(marks)}</svg>'
    )
