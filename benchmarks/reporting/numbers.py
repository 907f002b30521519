"""Numbers as text, for readers."""

import re

from figures import TARGET, Figure


def shown(value: float) -> str:
    """Show a number with three figures that count, or whole where it is large."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def ratio(figure: Figure) -> str:
    """Show how many times better a figure is; empty where it is compared with nothing."""
    return "" if figure.ratio is None else f"{shown(figure.ratio)}x"


def target(figure: Figure) -> str:
    """Show a figure's target, with mathematical signs and with separators."""
    signs = figure.target.replace(">=", "≥").replace("<=", "≤")
    return re.sub(r"(?<![\d.])\d{4,}", lambda number: f"{int(number[0]):,}", signs)


def beside(figure: Figure) -> str:
    """Show the peer of a figure and its value; empty where there is none."""
    if figure.reference is None or figure.to == TARGET:
        return ""
    return f"{figure.to}: {shown(figure.reference)}"


def mark(figure: Figure) -> str:
    """Say whether a figure's target is met; empty where it has none."""
    return {True: "met", False: "missed", None: ""}[figure.ok]
