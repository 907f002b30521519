"""An evaluation as one HTML page without other files. It can be printed, is light or dark, and needs no scripts."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from likeness.engine.levels import TARGET_FMR
from likeness.evaluation.recognition.rates import Rate
from likeness.evaluation.report.pictures import PicturedPair
from likeness.evaluation.report.plots import Axis, Plot, decades, round_steps
from likeness.web.pages import load_page

Report = Mapping[str, Any]
"""The result of :func:`likeness.evaluation.report.numbers.to_json`."""

_FEWEST_DECADES_FNMR = 1e-3


def render_report(
    report: Report, *, false_matches: Sequence[PicturedPair] = (), false_non_matches: Sequence[PicturedPair] = ()
) -> str:
    """Render a report as HTML. The worst pairs are shown if they are given."""
    filters = {"percent": percent, "rate": rate, "count": "{:,}".format, "score": "{:.4f}".format}
    return load_page("likeness.evaluation.report", "report.html", **filters).render(
        report=report,
        shown_levels=report["levelsInForce"] or report["levels"],
        targets=TARGET_FMR,
        det=Markup(_det(report)),  # noqa: S704 - our own SVG, which escapes its texts
        distributions=Markup(_distributions(report)),  # noqa: S704
        discard=Markup(_discard(report)),  # noqa: S704
        false_matches=false_matches,
        false_non_matches=false_non_matches,
    )


def percent(value: float) -> str:
    """Format a fraction as a percentage with three significant figures."""
    return f"{100 * value:.3g} %"


def percent_with_interval(measured: Rate) -> str:
    """Format a rate and its interval as percentages."""
    return f"{percent(measured.value)} ({100 * measured.low:.3g} - {100 * measured.high:.3g})"


def rate(value: float) -> str:
    """Format a rate, which may be as low as one in a million."""
    return (
        "0"
        if value == 0
        else f"{value:.2g}"
        if value > 0.01
        else f"{value:.1e}".replace("e-0", "e-").replace(".0e", "e")
    )


def _det(report: Report) -> str:
    curve = report["det"]
    lowest_fmr = 10.0 ** min(-3, len(str(report["dataSet"]["impostorComparisons"])) * -1 + 1)
    lowest_fnmr = min(_FEWEST_DECADES_FNMR, 10.0 ** -(len(str(max(report["dataSet"]["genuineComparisons"], 1))) - 1))
    plot = Plot(
        "Detection error trade-off",
        Axis("False match rate (FMR)", lowest_fmr, 1.0, decades(lowest_fmr, 1.0), logarithmic=True, show=rate),
        Axis(
            "False non-match rate (FNMR)", lowest_fnmr, 1.0, decades(lowest_fnmr, 1.0), logarithmic=True, show=percent
        ),
    )
    plot.line([(point["fmr"], point["fnmr"]) for point in curve if point["fmr"] > 0], "curve")
    for level in report["levelsInForce"] or report["levels"]:
        fmr, fnmr = level["fmr"], level["fnmr"]
        if fmr["value"] > 0:
            plot.spread((fmr["low"], fnmr["value"]), (fmr["high"], fnmr["value"]), "spread")
            plot.spread((fmr["value"], fnmr["low"]), (fmr["value"], fnmr["high"]), "spread")
            plot.dot((fmr["value"], fnmr["value"]), f"level {level['level']}", "dot")
    return plot.svg()


def _distributions(report: Report) -> str:
    bars = report["distributions"]
    highest = max(*bars["genuine"], *bars["impostor"])
    steps = round_steps(highest)
    low, high = bars["score"][0], bars["score"][-1]
    plot = Plot(
        "Distributions of the scores",
        Axis("Score (cosine)", low, high, [tick / 5 for tick in range(-5, 6) if low <= tick / 5 <= high]),
        Axis("Probability density", 0.0, steps[-1], steps),
    )
    for kind in ("impostor", "genuine"):
        points = list(zip(bars["score"], bars[kind], strict=True))
        plot.area(points, f"{kind} fill")
        plot.line(points, f"{kind} curve")
    for level in report["levelsInForce"] or report["levels"]:
        plot.upright(level["threshold"], str(level["level"]), "threshold")
    return plot.svg()


def _discard(report: Report) -> str:
    curve = report["errorVersusDiscard"]
    up = round_steps(max(point["fnmr"] for point in curve))
    plot = Plot(
        "Error versus discard",
        Axis(
            "Photos refused, worst quality first", 0.0, curve[-1]["discarded"], [0, 0.05, 0.1, 0.15, 0.2], show=percent
        ),
        Axis("FNMR at FMR 1e-3", 0.0, up[-1], up, show=percent),
    )
    plot.line([(point["discarded"], point["fnmr"]) for point in curve], "curve")
    for point in curve:
        plot.dot((point["discarded"], point["fnmr"]), "", "dot small")
    return plot.svg()
