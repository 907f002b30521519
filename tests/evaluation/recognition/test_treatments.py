"""The effect of each treatment, for any place of the face and any size of the photo."""

import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.evaluation.recognition.treatments import AS_IT_IS, TREATMENTS, turned

LANDMARKS = np.array([(80, 100), (122, 100), (101, 125), (84, 146), (118, 146)], np.float32)


def photo(size: tuple[int, int] = (250, 200), seed: int = 0) -> NDArray[np.uint8]:
    generator = np.random.default_rng(seed)
    return np.repeat(generator.integers(40, 200, (*size, 1), np.uint8), 3, axis=2)


def treat(name: str, image: NDArray[np.uint8], landmarks: NDArray[np.float32] = LANDMARKS) -> NDArray[np.uint8]:
    return TREATMENTS[name](image, landmarks, np.random.default_rng(1))


@pytest.mark.parametrize("name", TREATMENTS)
def test_a_treatment_gives_a_new_photo_and_the_same_one_again(name: str) -> None:
    image = photo()
    kept = image.copy()
    treated = treat(name, image)
    assert np.array_equal(image, kept)
    assert treated.dtype == np.uint8
    assert treated.ndim == 3
    assert treated.shape[2] == 3
    assert np.array_equal(treated, treat(name, image))
    # The pixels are grey, so only these two treatments leave the photo unchanged.
    assert (treated.shape != image.shape or not np.array_equal(treated, image)) == (name not in {AS_IT_IS, "grey"})


@pytest.mark.parametrize("name", TREATMENTS)
@pytest.mark.parametrize(
    "landmarks", [LANDMARKS * 0, LANDMARKS + 1000, LANDMARKS - 1000], ids=["one", "past", "before"]
)
def test_landmarks_that_make_no_sense_crash_nothing(name: str, landmarks: NDArray[np.float32]) -> None:
    assert treat(name, photo(), landmarks).size


@pytest.mark.parametrize("angle", range(15, 360, 15))
def test_turning_takes_a_point_to_where_it_belongs_and_cuts_nothing(angle: int) -> None:
    image = np.zeros((101, 61, 3), np.uint8)
    image[20:25, 30:35] = 255
    canvas = turned(image, LANDMARKS, np.random.default_rng(0), degrees=angle)
    rows, columns = np.nonzero(canvas[:, :, 0] > 127)
    middle = (np.array(canvas.shape[:2]) - 1) / 2
    # The mark is 2 to the right of the middle and 28 above it. Because y points down, a positive angle turns clockwise.
    radians = np.deg2rad(angle)
    right = 2 * np.cos(radians) + 28 * np.sin(radians)
    down = 2 * np.sin(radians) - 28 * np.cos(radians)
    assert (columns.mean() - middle[1], rows.mean() - middle[0]) == pytest.approx((right, down), abs=0.6)


def test_covers_lie_where_the_face_is() -> None:
    image = photo()
    changed = {name: (treat(name, image) != image).any(axis=2) for name in ("mask", "dark glasses", "mask and glasses")}
    nose, mouth, left_eye, right_eye = (126, 101), (146, 101), (100, 80), (100, 122)
    assert [changed["mask"][at] for at in (nose, mouth, left_eye, right_eye)] == [True, True, False, False]
    assert [changed["dark glasses"][at] for at in (nose, mouth, left_eye, right_eye)] == [False, False, True, True]
    assert all(changed["mask and glasses"][at] for at in (nose, mouth, left_eye, right_eye))
    for mask in changed.values():
        assert not mask[40].any()


def test_blur_is_as_strong_on_a_larger_photo_of_the_face() -> None:
    image = photo(seed=3)
    large = np.repeat(np.repeat(image, 3, axis=0), 3, axis=1)
    here, there = treat("blur 3", image), treat("blur 3", large, LANDMARKS * 3 + 1)
    assert there[1::3, 1::3].astype(float)[20:-20, 20:-20] == pytest.approx(here.astype(float)[20:-20, 20:-20], abs=8)


def test_light_is_counted_in_light_not_in_grey_levels() -> None:
    image = np.full((50, 50, 3), 128, np.uint8)
    assert treat("bright x2", image).mean() == pytest.approx(128 * 2 ** (1 / 2.2), abs=1)
    assert treat("dark 1/4", image).mean() == pytest.approx(128 * 0.25 ** (1 / 2.2), abs=1)


def test_a_fax_has_two_values() -> None:
    assert set(np.unique(treat("fax", photo()))) == {0, 255}
