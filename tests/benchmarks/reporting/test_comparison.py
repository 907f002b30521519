from dataclasses import replace

import pytest

from benchmarks.small_reports import MACHINE, beside, small_report, times_ratio
from reporting.comparison import TOLERANCE, compare


def test_a_report_is_as_fast_as_itself() -> None:
    since = compare(small_report(), small_report())
    assert (since.compared, since.slower, since.faster) == (4, [], [])


@pytest.mark.parametrize(("factor", "slower", "faster"), [(0.8, 4, 0), (0.9, 0, 0), (1.1, 0, 0), (1.3, 0, 4)])
def test_only_large_changes_are_reported(factor: float, slower: int, faster: int) -> None:
    since = compare(times_ratio(small_report(), factor), small_report())
    assert (len(since.slower), len(since.faster)) == (slower, faster)


def test_the_worst_comes_first() -> None:
    before = small_report(beside("a", 1, "c", 4), beside("b", 1, "c", 4))
    now = small_report(beside("a", 1, "c", 3), beside("b", 1, "c", 2))
    since = compare(now, before)
    assert [(change.figure, change.before, change.now) for change in since.slower] == [("b", 4, 2), ("a", 4, 3)]
    assert since.slower[0].share < 1 - TOLERANCE


def test_fixed_targets_are_compared_on_one_kind_of_machine_only() -> None:
    before = replace(small_report(), machine=replace(MACHINE, processor="another"))
    since = compare(times_ratio(small_report(), 0.5), before)
    assert not since.same_machine
    assert {change.to for change in since.slower} == {"a & b", "c"}


def test_the_load_of_a_machine_does_not_make_it_another() -> None:
    before = replace(small_report(), machine=replace(MACHINE, load=9.0))
    assert compare(small_report(), before).same_machine


def test_a_figure_of_one_report_alone_is_not_compared() -> None:
    assert compare(small_report(beside("new", 1, "c", 2)), small_report()).compared == 0
