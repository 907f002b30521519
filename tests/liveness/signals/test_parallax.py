from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.liveness.base import SignalName
from likeness.liveness.frame.chart import CENTRE_X, EYE_DISTANCE, EYE_LINE, HEIGHT, WIDTH, Chart
from likeness.liveness.signals import parallax
from likeness.liveness.signals.parallax import Relief, measure_relief, register
from likeness.liveness.thresholds import THRESHOLDS

SIZE = 640, 480
Coordinates = NDArray[np.floating] | float
"""Coordinates of points on a face, in eye distances."""
FAR_PIXELS, NEAR_PIXELS = 58.0, 125.0


def head(x: Coordinates, y: Coordinates) -> Coordinates:
    """Return a head's height in eye distances. It differs from the head that the signal assumes."""
    skull = 1.6 * np.sqrt(np.clip(1 - (x / 1.25) ** 2 - (y / 2.2) ** 2, 0.02, 1))
    nose = 0.45 * np.exp(-(((x / 0.22) ** 2) + ((y - 0.6) / 0.28) ** 2) / 2)
    brows = 0.1 * np.exp(-(((np.abs(x) - 0.5) / 0.4) ** 2 + ((y + 0.25) / 0.15) ** 2) / 2)
    return skull + nose + brows


def cylinder(x: Coordinates, y: Coordinates) -> Coordinates:
    return np.sqrt(np.clip(1.6**2 - x**2, 0, None)) + 0 * y


def plane(
    x: NDArray[np.float32] | NDArray[np.float64] | float, y: NDArray[np.float32] | NDArray[np.float64] | float
) -> NDArray[np.float32] | NDArray[np.float64] | float:
    return 0.2 * x - 0.3 * y


def skin(seed: int) -> NDArray[np.float32]:
    chance = np.random.default_rng(seed)
    texture = np.zeros((HEIGHT, WIDTH, 3), np.float32) + sum(
        cv2.GaussianBlur(chance.normal(0, 1, (HEIGHT, WIDTH, 3)).astype(np.float32), (0, 0), width) * width
        for width in (1.2, 3, 7)
    )
    return np.clip(128 + 60 * texture / texture.std(), 0, 255).astype(np.float32)


def photograph(
    shape: Callable[..., Any],
    texture: NDArray[np.float32],
    chance: np.random.Generator,
    *,
    eye_distance: float,
    shift: NDArray[np.float64] | tuple[float, float] = (0.0, 0.0),
) -> Chart:
    """Return a noisy chart of a surface in perspective, from a distance that gives this eye distance in pixels."""
    distance = 0.85 * SIZE[0] / eye_distance  # in eye distances
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    seen_x, seen_y = (columns - CENTRE_X) / EYE_DISTANCE, (rows - EYE_LINE) / EYE_DISTANCE
    x, y = seen_x, seen_y
    for _ in range(12):
        factor = (distance - (shape(x, y) - shape(0.5, 0.0))) / distance
        x, y = seen_x * factor + shift[0] * (1 - factor), seen_y * factor + shift[1] * (1 - factor)
    image = cv2.remap(
        texture,
        (x * EYE_DISTANCE + CENTRE_X).astype(np.float32),
        (y * EYE_DISTANCE + EYE_LINE).astype(np.float32),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT,
    )
    noisy = image + chance.normal(0, 2.0, image.shape)
    return Chart(np.clip(noisy, 0, 255).astype(np.uint8), eye_distance)


def relief(shape: Callable[..., Any], seed: int = 0) -> Relief | None:
    chance = np.random.default_rng(seed)
    texture = skin(seed)
    pairs = [
        (
            photograph(shape, texture, chance, eye_distance=FAR_PIXELS, shift=chance.normal(0, 0.2, 2)),
            photograph(shape, texture, chance, eye_distance=NEAR_PIXELS, shift=chance.normal(0, 0.2, 2)),
        )
        for _ in range(3)
    ]
    return measure_relief([registration for far, near in pairs if (registration := register(far, near, SIZE))])


@pytest.mark.parametrize("seed", range(4))
def test_a_head_has_relief(seed: int) -> None:
    found = relief(head, seed)
    assert parallax.judge(found, THRESHOLDS.signals).passed
    assert found.sheet > found.head / 2


@pytest.mark.parametrize("shape", [plane, cylinder], ids=["flat", "bent"])
@pytest.mark.parametrize("seed", range(4))
def test_a_sheet_has_none(shape: Callable[..., Any], seed: int) -> None:
    found = relief(shape, seed)
    assert not parallax.judge(found, THRESHOLDS.signals).passed
    assert found.score < relief(head, seed).score / 2


def test_a_bent_sheet_has_more_relief_than_a_flat_one_but_not_a_heads() -> None:
    assert relief(cylinder).plane > 2 * relief(plane).plane
    assert relief(cylinder).sheet < 0.5 * relief(cylinder).plane


def test_charts_from_one_distance_are_not_compared() -> None:
    chance = np.random.default_rng(1)
    one, other = (photograph(head, skin(1), chance, eye_distance=100.0) for _ in range(2))
    assert register(one, other, SIZE) is None


def test_one_registration_says_nothing() -> None:
    chance = np.random.default_rng(1)
    far, near = (photograph(head, skin(1), chance, eye_distance=size) for size in (FAR_PIXELS, NEAR_PIXELS))
    registration = register(far, near, SIZE)
    assert registration is not None
    assert measure_relief([registration]) is None
    assert measure_relief([]) is None


def test_the_reason_tells_a_flat_surface() -> None:
    result = parallax.judge(Relief(plane=0.005, sheet=0.004, head=0.005), THRESHOLDS.signals)
    assert (result.name, result.passed, result.reason) == (
        SignalName.PARALLAX,
        False,
        "coming closer showed a flat surface",
    )


def test_without_both_distances_it_fails() -> None:
    result = parallax.judge(None, THRESHOLDS.signals)
    assert (result.passed, result.score) == (False, 0.0)
