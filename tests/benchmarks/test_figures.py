import json
from pathlib import Path

import pytest

from figures import TARGET, Figure, Report


@pytest.mark.parametrize(
    ("value", "more_is_better", "ratio"),
    [(2.0, False, 4.0), (16.0, True, 2.0), (16.0, False, 0.5), (4.0, True, 0.5)],
)
def test_a_ratio_above_1_is_better(value: float, more_is_better: bool, ratio: float) -> None:
    report = Report("a report")
    report.beside("a call", value, "ms", ("a peer", 8.0), more_is_better=more_is_better)
    assert report.figures == [Figure("a call", value, "ms", "", None, ratio, "a peer", 8.0)]


def test_a_bound_beside_a_peer_holds_the_ratio() -> None:
    report = Report("a report")
    for theirs in (6.0, 5.0):
        report.beside("a call", 2.0, "ms", ("a peer", theirs), bound=3)
    assert [(figure.target, figure.ok) for figure in report.figures] == [("ratio >= 3", True), ("ratio >= 3", False)]


def test_a_target_is_something_to_compare_with() -> None:
    report = Report("a report")
    report.at_most("a time", 10.0, "ms", 15.0)
    report.at_least("a rate", 30.0, "/s", 60.0)
    report.at_most("faults", 0, "", 0)
    assert [(figure.ratio, figure.to, figure.ok) for figure in report.figures] == [
        (1.5, TARGET, True),
        (0.5, TARGET, False),
        (None, TARGET, True),
    ]


def test_the_printed_report_is_written_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("a report")
    report.at_most("a time", 20.0, "ms", 15.0)
    report.notes.append("A peer is missing.")
    assert not report.publish(tmp_path / "report.json")
    written = json.loads((tmp_path / "report.json").read_text())
    assert written["figures"][0]["target"] == "<= 15"
    assert written["notes"] == ["A peer is missing."]
    shown = capsys.readouterr().out
    assert "short" in shown
    assert "A peer is missing." in shown
