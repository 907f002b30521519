import random
from itertools import pairwise
from typing import Any

import pytest

from likeness.liveness.attempt.script import (
    PALETTE,
    Flash,
    Hold,
    LivenessMode,
    Move,
    Tilt,
    Turn,
    draw_colours,
    draw_script,
)
from likeness.liveness.base import Colour


def linear(colour: Colour) -> tuple[float, float, float]:
    def one(value: int) -> float:
        share = value / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    return one(colour.red), one(colour.green), one(colour.blue)


def luminance(colour: Colour) -> float:
    red, green, blue = linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colour", PALETTE, ids=str)
def test_no_colour_is_a_saturated_red(colour: Colour) -> None:
    light = linear(colour)
    assert light[0] / sum(light) < 0.8


@pytest.mark.parametrize("seed", range(30))
def test_no_second_holds_more_than_three_flashes(seed: int) -> None:
    colours = draw_colours(random.Random(seed))
    starts, now = [], 0.0
    for flash in colours:
        starts.append(now)
        now += flash.duration_seconds
    # A general flash is a pair of opposite changes of at least 0.1 of the largest luminance, with the darker below 0.8.
    changes = [
        (start, after > before)
        for (start, before), (_, after) in zip(
            zip(starts[1:], map(luminance, (one.colour for one in colours)), strict=False),
            zip(starts[1:], map(luminance, (one.colour for one in colours[1:])), strict=False),
            strict=True,
        )
        if abs(after - before) >= 0.1 and min(before, after) < 0.8
    ]
    for begin in starts:
        within = [rising for start, rising in changes if begin <= start < begin + 1]
        opposing = sum(first != second for first, second in pairwise(within))
        assert opposing <= 3


@pytest.mark.parametrize("seed", range(30))
def test_neighbouring_colours_differ_and_every_hue_comes(seed: int) -> None:
    colours = [flash.colour for flash in draw_colours(random.Random(seed))]
    assert all(first != second for first, second in pairwise(colours))
    assert set(colours) == set(PALETTE)


def test_draws_are_unpredictable() -> None:
    assert len({draw_colours(random.Random(seed)) for seed in range(50)}) == 50
    drawn = {draw_script(LivenessMode.ACTIVE) for _ in range(20)}
    assert len(drawn) == 20


def test_a_seed_repeats_a_script() -> None:
    first, second = (draw_script(LivenessMode.STRICT, chance=random.Random(7)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("mode", "flash", "kinds"),
    [
        (LivenessMode.PASSIVE, True, {Hold: 1}),
        (LivenessMode.PASSIVE, False, {Hold: 1}),
        (LivenessMode.ACTIVE, True, {Hold: 1, Move: 1, Flash: 1}),
        (LivenessMode.ACTIVE, False, {Hold: 1, Move: 1, Turn: None, Tilt: None}),
        (LivenessMode.STRICT, True, {Hold: 1, Move: 1, Flash: 1, Turn: 1, Tilt: 1}),
        (LivenessMode.STRICT, False, {Hold: 1, Move: 1, Turn: 2, Tilt: 2}),
    ],
)
def test_each_mode_asks_for_its_steps(mode: LivenessMode, flash: bool, kinds: Any) -> None:
    for seed in range(40):
        script = draw_script(mode, flash=flash, chance=random.Random(seed))
        steps = [type(step) for step in script.steps]
        assert steps[0] is Hold
        assert set(steps) <= set(kinds)
        for kind, count in kinds.items():
            assert steps.count(kind) >= 1 if count is None else steps.count(kind) == count
        assert script.flash == (Flash in steps)


def test_without_flash_gestures_take_its_place() -> None:
    plain, safe = (draw_script(LivenessMode.ACTIVE, flash=flash, chance=random.Random(3)) for flash in (True, False))
    gestures = [sum(isinstance(step, Turn | Tilt) for step in script.steps) for script in (plain, safe)]
    assert gestures == [0, 3]


def test_the_colours_follow_the_approach() -> None:
    for seed in range(40):
        steps = draw_script(LivenessMode.STRICT, chance=random.Random(seed)).steps
        names = [type(step) for step in steps]
        assert names.index(Flash) == names.index(Move) + 1


def test_gestures_come_in_every_order() -> None:
    orders = {
        tuple(type(step).__name__ for step in draw_script(LivenessMode.STRICT, chance=random.Random(seed)).steps)
        for seed in range(60)
    }
    assert len(orders) == 6


def test_the_spare_colours_are_another_draw() -> None:
    for seed in range(20):
        for step in draw_script(LivenessMode.ACTIVE, chance=random.Random(seed)).steps:
            if isinstance(step, Flash):
                assert step.colours != step.spare
