"""A report as one HTML page that needs nothing but itself: light or dark, wide or narrow, readable without scripts."""

import jinja2
from markupsafe import Markup

from figures import Bars, Curves
from reporting import numbers
from reporting.drawings import DARK, LIGHT, RULES, bars_svg, colours, curves_svg
from reporting.measurement import Measurement, Section
from reporting.rows import Group, groups_of, rows_of


def render_page(measurement: Measurement) -> str:
    """Draw a report."""
    pages = jinja2.Environment(
        loader=jinja2.PackageLoader("reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {
        "shown": numbers.shown,
        "ratio": numbers.ratio,
        "target": numbers.target,
        "mark": numbers.mark,
        "groups": _groups,
        "picture": _picture,
        "share": "{:.0%}".format,
    }
    return pages.get_template("report.html").render(
        measurement=measurement,
        light=Markup(colours(LIGHT)),  # noqa: S704 - our own colours
        dark=Markup(colours(DARK)),  # noqa: S704
        rules=Markup(RULES),  # noqa: S704
    )


def _groups(section: Section) -> list[Group]:
    return groups_of(rows_of(section.figures))


def _picture(plot: Curves | Bars) -> Markup:
    drawn = curves_svg(plot) if isinstance(plot, Curves) else bars_svg(plot)
    return Markup(drawn)  # noqa: S704 - our own SVG; its texts are escaped where they are made
