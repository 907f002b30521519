"""The measurement of recorded attempts as one HTML page without other files."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from likeness.evaluation.report.page import percent
from likeness.evaluation.report.plots import Axis, Plot
from likeness.web.pages import load_page

_SHOWN_POINTS = 8
_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def render_liveness_report(report: Mapping[str, Any]) -> str:
    """Render the figures of recordings as HTML. The parts of people and of the simulator are sections of their own."""
    filters = {"percent": _percent, "count": "{:,}".format, "score": "{:.4f}".format}
    page = load_page("likeness.evaluation.report", "liveness.html", **filters)
    return page.render(report={**report, "parts": [_drawn(part) for part in report["parts"]]})


def _percent(value: float) -> str:
    return percent(round(value, 6))  # an interval from 0 begins at 1e-17


def _drawn(part: Mapping[str, Any]) -> dict[str, Any]:
    points = part["operatingPoints"]
    places = sorted(set(np.linspace(0, len(points) - 1, _SHOWN_POINTS).round().astype(int).tolist())) if points else []
    plots = [
        {"name": name, "kinds": list(curves), "svg": Markup(_curves(name, curves))}  # noqa: S704 - our own SVG
        for name, curves in part["signals"].items()
    ]
    return {
        **part,
        "plot": Markup(_points(points, part["chosen"])) if points else "",  # noqa: S704
        "shownPoints": [points[place] for place in places],
        "signalPlots": plots,
    }


def _axes(title: str) -> Plot:
    return Plot(title, Axis("APCER", 0.0, 1.0, _TICKS, show=percent), Axis("BPCER", 0.0, 1.0, _TICKS, show=percent))


def _points(points: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any] | None) -> str:
    plot = _axes("Operating points of the whole verdict")
    plot.line([(point["apcerOfWorstKind"], point["bpcer"]["rate"]) for point in points], "curve")
    if chosen:
        plot.dot((chosen["apcerOfWorstKind"], chosen["bpcer"]["rate"]), "chosen", "dot")
    return plot.svg()


def _curves(name: str, curves: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    plot = _axes(f"DET of the signal {name}")
    for number, points in enumerate(curves.values()):
        plot.line(points, f"curve k{number}")
    return plot.svg()
