import re
from dataclasses import replace

from benchmarks.small_reports import MACHINE, small_report, times_ratio
from reporting.comparison import compare
from reporting.page import render_page

REPORT = small_report()
PAGE = render_page(replace(REPORT, since=compare(REPORT, times_ratio(REPORT, 2.0))))


def text(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)).split())


def test_the_page_needs_nothing_but_itself() -> None:
    assert not re.findall(r"(?:src|href)=\"(?!#)|url\(|@import|<script", PAGE)


def test_the_summary_comes_first() -> None:
    told = text(PAGE)
    assert "Targets met 1 of 2" in told
    assert "the whole : 20 ms (≤ 15)" in told.replace("whole:", "whole :")
    assert "Slower than 0.1.0" in told
    assert "Enrolment failed: the disk is &lt;full&gt;" in told


def test_a_row_has_value_peers_ratio_and_target() -> None:
    told = text(PAGE)
    assert "a search 2.1 ms a &amp; b: 9 4.5x c: 1.1 0.5x" in told
    assert "rows 200,000 /s 2x ≥ 100,000 met" in told


def test_a_busy_machine_is_reported() -> None:
    assert "Other work was running" not in PAGE
    assert "Other work was running" in render_page(replace(REPORT, machine=replace(MACHINE, load=3.0)))


def test_a_first_report_is_compared_with_nothing() -> None:
    assert "Slower than 0" not in render_page(REPORT)
