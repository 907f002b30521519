import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from likeness.engine.detection.mosaic import mosaic


@given(st.integers(1, 90), st.integers(1, 90), st.lists(st.floats(0.05, 1), max_size=8))
def test_every_image_is_whole_at_an_even_place_of_its_own(rows: int, columns: int, shares: list[float]) -> None:
    extents = [(rows, columns)] + [
        (max(int(rows * share), 1), max(int(columns * share), 1)) for share in sorted(shares, reverse=True)
    ]
    images = [np.full((*extent, 3), number, np.uint8) for number, extent in enumerate(extents, start=1)]
    whole, places = mosaic(images, least=12)
    assert min(whole.shape[:2]) >= 12
    assert not (places[:, :2] % 2).any()
    for image, (left, top, right, bottom) in zip(images, places.astype(int), strict=True):
        assert np.array_equal(whole[top:bottom, left:right], image)
    assert np.count_nonzero(whole[..., 0]) == sum(image[..., 0].size for image in images)


def test_a_pyramid_takes_little_more_room_than_its_images() -> None:
    images = [np.ones((round(100 * 0.7**step), round(130 * 0.7**step), 3), np.uint8) for step in range(6)]
    whole, _ = mosaic(images, least=12)
    assert whole.size < 1.15 * sum(image.size for image in images)
