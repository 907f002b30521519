import json
import re
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from evaluation.brute_force import unit_rows
from likeness.engine.base import Box
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.engine.levels import Calibration
from likeness.engine.photo.thumbnail import SIDE_PIXELS
from likeness.errors import SetupError
from likeness.evaluation.data_set import DataSet
from likeness.evaluation.recognition.extraction import Extraction
from likeness.evaluation.recognition.outcomes import ExtractedFace, FailureToAcquire
from likeness.evaluation.recognition.pair_accuracy import PairAccuracy
from likeness.evaluation.recognition.performance import Performance, measure_performance
from likeness.evaluation.report.numbers import Circumstances, to_json
from likeness.evaluation.report.page import percent, rate, render_report
from likeness.evaluation.report.pictures import picture_pairs
from likeness.evaluation.report.plots import Axis, Plot, decades, round_steps

CIRCUMSTANCES = Circumstances("fake@1", "probe", "largest", "2030-01-31", "painted faces")
CALIBRATION = Calibration((0.4, 0.5, 0.6, 0.7, 0.8), (1e-2, 1e-3, 1e-4, 1e-5, 1e-6), "painted faces", 0, 0)


@pytest.fixture(scope="module")
def extraction(tmp_path_factory: pytest.TempPathFactory) -> Extraction:
    folder = tmp_path_factory.mktemp("faces")
    owner = np.repeat(np.arange(30), 3)
    names = [f"<b>{person}" for person in range(30)]
    photos = []
    for index, person in enumerate(owner):
        photo = folder / names[person] / f"{index}.jpg"
        photo.parent.mkdir(exist_ok=True)
        photos.append(photo.relative_to(folder))
    for photo in (folder / photo for photo in photos):
        photo.write_bytes(fake_photo(1, size=(160, 120)))
    rows = unit_rows(np.random.default_rng(0), owner, size=16, likeness=1.5)
    outcomes: list[ExtractedFace | FailureToAcquire] = [
        ExtractedFace(row, 50 + index % 40, Box(40, 30, 60, 60)) for index, row in enumerate(rows)
    ]
    outcomes[4], outcomes[8] = (
        FailureToAcquire("LOW_QUALITY", ("Sharpness", "DynamicRange")),
        FailureToAcquire("NO_FACE"),
    )
    data_set = DataSet("<i>faces", folder, tuple(names), tuple(photos), tuple(owner.tolist()))
    return Extraction(data_set, tuple(outcomes))


@pytest.fixture(scope="module")
def performance(extraction: Extraction) -> Performance:
    labels = {
        "half": tuple("first" if index < 45 else "second" for index in range(90)),
        "rare": (None,) * 89 + ("one",),
    }
    return measure_performance(extraction, CALIBRATION, gallery_size=10, labels=labels)


@pytest.fixture(scope="module")
def report(performance: Performance) -> dict[str, Any]:
    return to_json(performance, CIRCUMSTANCES, PairAccuracy(0.9912, 0.002, 100, 50))


def test_the_numbers_agree_with_each_other(performance: Performance, report: dict[str, Any]) -> None:
    assert json.loads(json.dumps(report)) == report
    assert report["dataSet"]["photos"] == 90
    assert report["dataSet"]["genuineComparisons"] == performance.comparisons.genuine.total
    assert report["failureToAcquire"]["value"] == pytest.approx(2 / 90)
    assert report["failures"] == {"LOW_QUALITY: Sharpness": 1, "NO_FACE": 1}
    assert [level["threshold"] for level in report["levelsInForce"]] == list(CALIBRATION.thresholds)
    assert [point["fnir"] for point in report["identification"]["points"]][-5:] == sorted(
        point["fnir"] for point in report["identification"]["points"][-5:]
    )
    assert report["errorVersusDiscard"][0]["fnmr"] == report["levels"][1]["fnmr"]["value"]
    assert len(report["worst"]["falseMatches"]) == 24
    curve = report["det"]
    assert [point["fmr"] for point in curve] == sorted(point["fmr"] for point in curve)
    assert [point["fnmr"] for point in curve] == sorted((point["fnmr"] for point in curve), reverse=True)


def test_groups_are_measured_within_themselves(extraction: Extraction, report: dict[str, Any]) -> None:
    first, second, one = report["groups"]
    assert (first["label"], first["group"], first["photos"], first["people"]) == ("half", "first", 45, 15)
    rows, people = extraction.rows[:43], extraction.people[:43]
    impostor = [float(rows[i] @ rows[j]) for i in range(43) for j in range(i) if people[i] != people[j]]
    assert first["levels"][0]["fmr"]["value"] == pytest.approx(np.mean(np.array(impostor) >= 0.4))
    assert first["failureToAcquire"]["errors"] == 2
    assert second["failureToAcquire"]["errors"] == 0
    assert (one["group"], one["levels"][0]["fmr"]["comparisons"]) == ("one", 0)
    assert first["differential"]["level"] == 3
    assert first["differential"]["fmrToAll"]["value"] == pytest.approx(
        first["levels"][2]["fmr"]["value"] / report["levelsInForce"][2]["fmr"]["value"]
    )
    assert (one["differential"]["fmrToAll"], one["differential"]["similarity"]) == (None, "too few")
    assert ">too few</td>" in render_report(report)


def test_a_pack_without_calibration_is_measured_too(extraction: Extraction) -> None:
    report = to_json(
        measure_performance(extraction, None), Circumstances("own@1", "probe", "largest", "2030-01-31", None)
    )
    assert report["levelsInForce"] == []
    assert "Thresholds" in render_report(report)


def test_photos_that_give_no_comparison_are_refused(extraction: Extraction) -> None:
    nothing = Extraction(extraction.data_set, tuple(FailureToAcquire("NO_FACE") for _ in range(90)))
    with pytest.raises(SetupError, match="Too few photos"):
        measure_performance(nothing, None)


def test_the_page_needs_nothing_but_itself(
    extraction: Extraction, performance: Performance, report: dict[str, Any]
) -> None:
    shown = picture_pairs(FakeEngine(), extraction, performance.comparisons.highest_impostor[:3])
    page = render_report(report, false_matches=shown, false_non_matches=shown[:1])
    assert page.count("data:image/jpeg;base64,") == 8
    assert not re.search(r'(?:src|href)="(?!data:)|@import|url\(|<script', page)
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ET.fromstring(svg)  # noqa: S314 - our own
    assert page.count("<svg") == 3


def test_names_of_folders_cannot_break_the_page(
    extraction: Extraction, performance: Performance, report: dict[str, Any]
) -> None:
    page = render_report(
        report, false_matches=picture_pairs(FakeEngine(), extraction, performance.comparisons.highest_impostor[:3])
    )
    assert "<i>" not in page
    assert "&lt;i&gt;faces" in page


def test_a_broken_promise_is_marked(report: dict[str, Any]) -> None:
    broken = json.loads(json.dumps(report))
    for level in broken["levelsInForce"]:
        level["fmr"]["low"] = 0.0
    assert 'class="broken"' not in render_report(broken)
    broken["levelsInForce"][2]["fmr"]["low"] = 2e-4
    assert render_report(broken).count('class="broken"') == 1


def test_a_face_at_the_edge_is_pictured(extraction: Extraction, performance: Performance) -> None:
    outcomes = [
        ExtractedFace(outcome.template, outcome.quality, Box(-50, -40, 90, 90))
        if isinstance(outcome, ExtractedFace)
        else outcome
        for outcome in extraction.outcomes
    ]
    (shown,) = picture_pairs(
        FakeEngine(), Extraction(extraction.data_set, tuple(outcomes)), performance.comparisons.lowest_genuine[:1]
    )
    assert all(picture.startswith("data:image/jpeg") for picture in shown.pictures)
    assert SIDE_PIXELS == 112


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 %"), (0.05, "5 %"), (0.01234, "1.23 %"), (1.0, "100 %"), (0.00012345, "0.0123 %")]
)
def test_percent(value: float, text: str) -> None:
    assert percent(value) == text


@pytest.mark.parametrize("value_and_text", [(0, "0"), (1, "1"), (0.025, "0.025"), (0.01, "1e-2"), (1.234e-5, "1.2e-5")])
def test_rate(value_and_text: tuple[float, str] | tuple[int, str]) -> None:
    assert rate(value_and_text[0]) == value_and_text[1]


def test_axes_place_values() -> None:
    log = Axis("x", 1e-4, 1.0, decades(1e-4, 1), logarithmic=True)
    assert [log.place(value) for value in (1e-5, 1e-4, 1e-2, 1, 9)] == pytest.approx([0, 0, 0.5, 1, 1])
    assert log.ticks == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1])
    assert round_steps(0.47) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert len(round_steps(0)) >= 2
    plot = Plot("a < b", log, Axis("y", 0, 1, [0, 1]))
    plot.dot((1e-2, 0.5), "<level>", "dot")
    assert "&lt;level&gt;" in plot.svg()
