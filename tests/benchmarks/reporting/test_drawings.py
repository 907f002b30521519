import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from benchmarks.small_reports import BARS, CURVES
from figures import Curves
from reporting.drawings import alone, bars_svg, curves_svg, slug

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("drawn", [curves_svg(CURVES), bars_svg(BARS)], ids=["curves", "bars"])
def test_a_picture_of_its_own_is_small_and_asks_for_nothing(drawn: str) -> None:
    picture = alone(drawn)
    assert ET.fromstring(picture).tag == f"{SVG}svg"  # noqa: S314 - our own
    assert len(picture) < 10_000
    assert picture.count("http") == 1  # the name of the format


def test_each_line_has_its_points_and_its_name() -> None:
    root = ET.fromstring(alone(curves_svg(CURVES)))  # noqa: S314
    lines = [line.attrib["points"].split() for line in root.iter(f"{SVG}polyline")]
    assert [len(points) for points in lines] == [3, 3]
    assert "a & b" in {text.text for text in root.iter(f"{SVG}text")}
    assert "a & b, 10,000: 1" in {title.text for title in root.iter(f"{SVG}title")}


def test_names_of_lines_do_not_lie_on_each_other() -> None:
    same = Curves("All alike", "x", "y", {str(n): [(1.0, 5.0), (2.0, 5.0)] for n in range(7)})
    root = ET.fromstring(alone(curves_svg(same)))  # noqa: S314
    heights = sorted(float(text.attrib["y"]) for text in root.iter(f"{SVG}text") if "name" in text.get("class", ""))
    assert all(low + 14 < high for low, high in pairwise(heights))
    assert heights[-1] < 380


def test_parts_of_a_bar_follow_each_other() -> None:
    root = ET.fromstring(alone(bars_svg(BARS)))  # noqa: S314
    parts = [part for part in root.iter(f"{SVG}rect") if part.find(f"{SVG}title") is not None]
    ends = [(float(part.attrib["x"]), float(part.attrib["x"]) + float(part.attrib["width"])) for part in parts]
    assert len(ends) == 4
    assert ends[0][1] == pytest.approx(ends[1][0], abs=0.2)


def test_a_file_is_named_after_its_plot() -> None:
    assert slug("Exact search, templates of 512 numbers") == "exact-search-templates-of-512-numbers"
