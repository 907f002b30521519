from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from likeness.liveness.frame.chart import HEIGHT, WIDTH, Chart
from likeness.liveness.frame.observation import FaceView
from likeness.liveness.signals.identity import IdentitySample, IdentityWatch, judge
from likeness.liveness.thresholds import THRESHOLDS
from liveness.observations import FAR, face, seen

EVERY = THRESHOLDS.timing.key_frame_seconds


def person(number: int, *, light: float = 1.0, shift: int = 0, **facts: Any) -> FaceView:
    """Return a face with its own detail, with this brightness, and with landmarks that are ``shift`` pixels off."""
    chance = np.random.default_rng(number)
    detail = cv2.GaussianBlur(chance.normal(0, 1, (HEIGHT, WIDTH, 3)).astype(np.float32), (0, 0), 4)
    pixels = np.clip(light * (110 + 35 * detail / detail.std()), 0, 255).astype(np.uint8)
    view = face(**facts)
    return replace(view, chart=Chart(np.roll(pixels, shift, axis=1), view.eye_distance_pixels))


class Watched:
    """A watch that gets a face every tenth of a second."""

    def __init__(self) -> None:
        self.watch = IdentityWatch(THRESHOLDS)
        self.now = 100.0

    def show(
        self,
        view: FaceView | None,
        *,
        after: float = 0.1,
        step: int = 0,
        closing: bool = False,
        faces: int | None = None,
    ) -> list[int]:
        """Return the ages of the chosen samples, in tenths of a second."""
        self.now += after
        look = IdentitySample(seen(self.now, view, faces=faces), step, lit_by_flash=False)
        return [round((self.now - one.seen.at_seconds) * 10) for one in self.watch.choose(look, closing=closing)]

    def settle(self, number: int = 1) -> None:
        assert self.show(person(number)) == [0]
        assert [self.show(person(number)) for _ in range(3)] == [[], [], []]


def test_one_person_is_looked_at_every_so_often() -> None:
    watched = Watched()
    chosen = [bool(watched.show(person(1))) for _ in range(40)]
    assert sum(chosen) == 1 + int(3.9 / EVERY)


def test_a_look_is_due_when_a_step_begins_and_always_at_the_end() -> None:
    watched = Watched()
    watched.settle()
    assert watched.show(person(1), step=1) == [0]
    assert watched.show(person(1), step=1) == []
    assert [watched.show(person(1), step=2, closing=True) for _ in range(3)] == [[0], [0], [0]]


@pytest.mark.parametrize(
    "view",
    [
        person(2),
        person(1, x=320 + 0.7 * FAR),
        person(1, eye_distance=1.4 * FAR),
    ],
    ids=["another face", "a jump", "a jump in size"],
)
def test_a_change_is_looked_at_on_both_sides(view: FaceView) -> None:
    watched = Watched()
    watched.settle()
    assert watched.show(view) == [1, 0]


def test_lost_frames_are_looked_at_on_both_sides() -> None:
    watched = Watched()
    watched.settle()
    assert watched.show(person(1), after=0.7) == [7, 0]


@pytest.mark.parametrize("loss", [{"view": None}, {"view": person(1), "faces": 2}], ids=["no face", "two faces"])
def test_who_went_and_who_came_are_looked_at(loss: dict[str, None] | dict[str, int | FaceView]) -> None:
    watched = Watched()
    watched.settle()
    assert watched.show(**loss) == [1]
    assert watched.show(**loss) == []
    assert watched.show(person(1)) == [0]


def test_who_turns_away_is_looked_at_as_soon_as_he_can_be() -> None:
    watched = Watched()
    watched.settle()
    assert watched.show(person(2, yaw=0.4)) == [1]
    assert watched.show(person(2, yaw=0.3)) == []
    assert watched.show(person(2)) == [0]


def test_light_and_landmarks_may_change() -> None:
    watched = Watched()
    watched.settle()
    assert watched.show(person(1, light=0.7, shift=4)) == []


def test_what_was_compared_is_not_compared_twice() -> None:
    watched = Watched()
    assert watched.show(person(1)) == [0]
    assert watched.show(person(2)) == [0]


def unit(*values: Any) -> NDArray[np.float32]:
    row = np.array(values, np.float32)
    return row / np.linalg.norm(row)


def test_identity_is_what_the_least_alike_groups_share() -> None:
    result = judge([unit(1, 0), unit(1, 0), unit(1, 1), unit(1, 1)], 0.6)
    assert result.passed
    assert result.score == pytest.approx(np.sqrt(0.5), abs=1e-6)
    assert not judge([unit(1, 0), unit(1, 0), unit(0, 1)], 0.6).passed


@given(st.lists(st.integers(0, 1), min_size=2, max_size=30), st.integers(0, 999))
def test_two_people_are_distinguished_however_they_alternate(turns: list[int], seed: int) -> None:
    chance = np.random.default_rng(seed)
    looks = [unit(*np.eye(64)[turn], *chance.normal(0, 0.05, 64)) for turn in turns]
    assert judge(looks, 0.5).passed == (len(set(turns)) == 1)


def test_a_poor_look_counts_with_its_mean() -> None:
    good, poor = [unit(1, 0.3, 0), unit(1, -0.3, 0), unit(1, 0, 0.3)], unit(1, 0, -0.9)
    scores = [float(look @ poor) for look in good]
    assert judge([*good, poor], 0.5).score == pytest.approx(np.mean(scores), abs=1e-6)
    assert np.mean(scores) > min(scores)


@given(st.integers(2, 12), st.integers(0, 999))
def test_the_order_of_the_looks_does_not_count(count: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    looks = [unit(*chance.normal(0.5, 1, 8)) for _ in range(count)]
    assert judge(looks, 0.5).score == pytest.approx(judge(looks[::-1], 0.5).score, abs=1e-6)


def test_one_look_is_no_identity() -> None:
    assert not judge([unit(1, 0)], 0.0).passed
