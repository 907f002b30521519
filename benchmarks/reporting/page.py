"""A report as one HTML page that needs no other file: light or dark, wide or narrow, without scripts."""

import re
from collections.abc import Callable

from markupsafe import Markup, escape

from figures import Bars, Curves
from likeness.web.pages import load_page
from reporting import numbers
from reporting.drawings import DARK, LIGHT, RULES, bars_svg, colours, curves_svg
from reporting.measurement import Measurement
from reporting.rows import groups_of, rows_of


def render_page(measurement: Measurement) -> str:
    """Draw a report."""
    filters: dict[str, Callable[..., str]] = {
        "shown": numbers.shown,
        "ratio": numbers.ratio,
        "target": numbers.target,
        "mark": numbers.mark,
        "code": _code,
        "picture": _picture,
        "share": "{:.0%}".format,
    }
    return load_page("reporting", "report.html", **filters).render(
        measurement=measurement,
        groups={section.name: groups_of(rows_of(section.figures)) for section in measurement.sections},
        light=Markup(colours(LIGHT)),  # noqa: S704 - our own colours
        dark=Markup(colours(DARK)),  # noqa: S704
        rules=Markup(RULES),  # noqa: S704
    )


def _code(text: str) -> Markup:
    """Show what stands between backticks as code."""
    return Markup(re.sub("`(.+?)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just now


def _picture(plot: Curves | Bars) -> Markup:
    drawn = curves_svg(plot) if isinstance(plot, Curves) else bars_svg(plot)
    return Markup(drawn)  # noqa: S704 - our own SVG; its texts are escaped where they are made
