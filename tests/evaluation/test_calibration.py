import numpy as np
import pytest
from brute_force import unit_rows

from likeness.engine.levels import TARGET_FMR
from likeness.errors import SetupError
from likeness.evaluation.calibration import calibrate, check_promise


@pytest.fixture(scope="module")
def crowd():
    people = np.concatenate([np.arange(1500), np.arange(0, 1500, 5)])
    return unit_rows(np.random.default_rng(0), people, size=24, likeness=2.0), people


def test_thresholds_keep_to_the_rates_they_were_chosen_for(crowd):
    levels = calibrate(*crowd)
    assert [level.level for level in levels] == [1, 2, 3, 4, 5]
    assert [level.threshold for level in levels] == sorted(level.threshold for level in levels)
    for level, target in zip(levels, TARGET_FMR, strict=True):
        assert target * 0.5 - 1e-6 < level.fmr.value <= target
        assert level.fmr.low <= level.fmr.value <= level.fmr.high
        assert level.fnmr.comparisons == 300


def test_a_rate_that_is_uncertain_is_kept_to_with_care(crowd):
    rows, people = crowd
    levels = calibrate(rows, people)
    for level, target in zip(levels, TARGET_FMR, strict=True):
        assert level.fmr.high <= 2 * target or level.fmr.value <= target / 2
        if level.fmr.high <= target * 1.5:  # a margin would be for nothing
            assert level.fmr.value > target * 0.9
    assert levels[0].fmr.high <= TARGET_FMR[0] * 1.5
    assert levels[-1].fmr.value <= TARGET_FMR[-1] / 2


def test_levels_that_too_few_people_support_are_refused_with_what_it_takes(crowd):
    rows, people = crowd
    with pytest.raises(SetupError, match=r"540 people.*: level 5 takes 1,415\."):
        calibrate(rows[-600:], people[-600:])
    with pytest.raises(SetupError, match=r"level 3 takes 142, level 4 takes 448, level 5 takes 1,415\."):
        calibrate(rows[:102], people[:102] // 2)
    with pytest.raises(SetupError, match="Too few photos"):
        calibrate(rows[:1500], people[:1500])


def test_where_people_are_too_few_for_level_5_the_others_are_offered_and_chosen(crowd):
    rows, people = (part[:500] for part in crowd)
    rows, people = np.concatenate([rows, crowd[0][1500:1510]]), np.concatenate([people, crowd[1][1500:1510]])
    with pytest.raises(SetupError, match="`--levels 4` leaves level 5 out"):
        calibrate(rows, people)
    chosen = calibrate(rows, people, levels=4)
    assert [level.level for level in chosen] == [1, 2, 3, 4]
    assert all(level.threshold < 1 for level in chosen)


def test_many_photos_of_two_people_support_no_level():
    people = np.arange(2002) % 2
    rows = unit_rows(np.random.default_rng(1), people, size=24, likeness=2.0)
    with pytest.raises(SetupError, match=r"2 people.*level 1 takes 15"):
        calibrate(rows, people)


def test_people_alike_keep_the_promise_on_each_other(crowd):
    promises = check_promise(*crowd, splits=4)
    for promise in promises[:3]:
        assert promise.low_ratio <= promise.median_ratio <= promise.high_ratio
        assert promise.median_ratio == pytest.approx(1, abs=0.35)
        assert promise.within_twice == 1


def test_a_person_under_two_names_is_told_and_no_level_is_made_of_it(crowd):
    rows, people = crowd
    doubled = np.concatenate([rows, rows[:4]])
    with pytest.raises(SetupError, match=r"level 5.*two names"):
        calibrate(doubled, np.concatenate([people, np.arange(5000, 5004)]))
