from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.engine.alignment import ChipView
from likeness.engine.recognition import Recogniser, recognise, unit

BOTH = (ChipView(), ChipView(mirrored=True))
LANDMARKS = np.array([(38, 52), (74, 52), (56, 72), (42, 92), (71, 92)], np.float32)
IMAGE = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)


class Corners:
    """A stub of a network. Its output is the mean colour of each quarter of a chip."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def run(self, *, pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        self.batches.append(len(pixels))
        side = pixels.shape[1] // 2
        quarters = pixels.reshape(len(pixels), 2, side, 2, side, 3).astype(np.float32).mean(axis=(2, 4))
        return {"templates": quarters.reshape(len(pixels), 12) - 127}


def recogniser(weight: float = 1.0, views: tuple[ChipView, ChipView] | tuple[ChipView] = BOTH) -> Recogniser:
    return Recogniser(Corners(), 112, LANDMARKS, views, weight, 12)  # type: ignore[arg-type]


def templates_of(own: Recogniser, faces: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return recognise([own], IMAGE, faces).templates


def test_all_views_of_all_faces_go_in_one_batch() -> None:
    own = recogniser()
    templates = templates_of(own, [LANDMARKS, LANDMARKS + 5, LANDMARKS * 0.8])
    assert own.network.batches == [6]  # type: ignore[attr-defined]
    assert templates.shape == (3, 12)
    assert np.linalg.norm(templates, axis=1) == pytest.approx(1, abs=1e-5)


def test_a_template_is_the_direction_of_the_sum_over_views() -> None:
    first, second = (recogniser(views=(view,)) for view in (ChipView(), ChipView(mirrored=True)))
    raw = [own.network.run(pixels=IMAGE[None, 8:120, 8:120])["templates"] for own in (first, second)]
    assert raw[0].shape == (1, 12)
    both = templates_of(recogniser(), [LANDMARKS])
    mirrored_twice = templates_of(recogniser(views=(ChipView(mirrored=True), ChipView())), [LANDMARKS])
    assert np.allclose(both, mirrored_twice, atol=1e-6)


def test_the_score_of_fused_templates_is_the_weighted_mean_of_scores() -> None:
    one, two = recogniser(2.0, (ChipView(),)), recogniser(1.0, (ChipView(zoom=1.3),))
    faces = [LANDMARKS, LANDMARKS + 9]
    fused = recognise([one, two], IMAGE, faces).templates
    scores = [templates_of(own, faces) @ templates_of(own, faces).T for own in (one, two)]
    assert fused.dtype == np.float32
    assert np.allclose(fused @ fused.T, (2 * scores[0] + scores[1]) / 3, atol=1e-5)


def test_no_faces_give_no_templates() -> None:
    assert recognise([recogniser(), recogniser()], IMAGE, []).templates.shape == (0, 24)


def test_lengths_are_relative_to_the_usual_ones_and_weighted_by_the_shares() -> None:
    faces = [LANDMARKS, LANDMARKS * 0.8]
    one, two = recogniser(3.0), recogniser(1.0, (ChipView(zoom=1.3),))
    own = [np.linalg.norm(each.outputs(IMAGE, faces), axis=1) for each in (one, two)]
    usual = [replace(one, usual_length=10.0), replace(two, usual_length=20.0)]
    assert recognise(usual, IMAGE, faces).lengths == pytest.approx(0.75 * own[0] / 10 + 0.25 * own[1] / 20)
    assert recognise([usual[0], two], IMAGE, faces).lengths is None


def test_unit_of_nothing_is_nothing() -> None:
    assert not unit(np.zeros((1, 4), np.float32)).any()
