"""The groups of simulated live people."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.evaluation.liveness.rates import PresentationOutcome
from likeness.evaluation.liveness.sessions import ALL_LIVE, BONA_FIDE_KINDS, tally_all
from likeness.evaluation.liveness.simulator.appearance import darken_skin, grow_beard, put_on_glasses, put_on_hijab
from likeness.evaluation.liveness.simulator.camera import Camera, Optics
from likeness.evaluation.liveness.simulator.groups import LiveGroup, MovingBackground, draw_network, draw_optics, seat
from likeness.evaluation.liveness.simulator.portrait import HEIGHT, LEFT_CM, PIXELS_PER_CM, TOP_CM, WIDTH, Portrait
from likeness.evaluation.liveness.simulator.scene import Pose
from likeness.evaluation.liveness.simulator.session import NetworkConditions
from likeness.evaluation.liveness.simulator.stage import Stage
from likeness.evaluation.liveness.simulator.subject import SimulatedSubject

STILL = Optics(640, 480, 520.0, 0.0, 0.5, 0.0, 1.0, 0.0, 2.0, 85)
"""A camera without noise and without white balance."""


def chance(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def portrait() -> Portrait:
    """Give a portrait of one skin colour with some texture."""
    pixels = np.full((HEIGHT, WIDTH, 3), (200, 160, 140)) + chance().normal(0, 5, (HEIGHT, WIDTH, 1))
    return Portrait(pixels.astype(np.uint8), 0.0, 4.2)


def at(pixels: NDArray[np.uint8], x_cm: float, y_cm: float) -> float:
    """Return the mean brightness around a place of a portrait."""
    row, column = round((TOP_CM + y_cm) * PIXELS_PER_CM), round((LEFT_CM + x_cm) * PIXELS_PER_CM)
    return float(pixels[row - 4 : row + 5, column - 4 : column + 5].mean())


def test_dark_skin_reflects_little_light(portrait: Portrait) -> None:
    dark = darken_skin(portrait, chance())
    reflected = (at(dark.pixels, 0, 3) / 255) ** 2.2
    assert 0.03 < reflected < 0.15
    assert at(dark.pixels, 12, 3) == at(portrait.pixels, 12, 3)


def test_glasses_mirror_the_screen_in_both_lenses_only(portrait: Portrait) -> None:
    worn = put_on_glasses(portrait, chance())
    assert worn.gloss_map is not None
    half = round(LEFT_CM * PIXELS_PER_CM)
    assert worn.gloss_map[:, :half].max() > 0.02
    assert worn.gloss_map[:, half:].max() > 0.02
    assert worn.gloss_map[round((TOP_CM + 4) * PIXELS_PER_CM) :].max() == 0
    assert at(worn.pixels, 0, 7) == at(portrait.pixels, 0, 7)


def test_a_beard_covers_the_chin_and_not_the_brow(portrait: Portrait) -> None:
    bearded = grow_beard(portrait, chance())
    assert abs(at(bearded.pixels, 0, 9) - at(portrait.pixels, 0, 9)) > 20
    assert at(bearded.pixels, 0, -3) == at(portrait.pixels, 0, -3)


def test_a_hijab_leaves_the_face_free(portrait: Portrait) -> None:
    covered = put_on_hijab(portrait, chance(3))
    assert at(covered.pixels, 0, 3) == at(portrait.pixels, 0, 3)
    assert abs(at(covered.pixels, 7.5, 3) - at(portrait.pixels, 7.5, 3)) > 10
    assert abs(at(covered.pixels, 0, 15) - at(portrait.pixels, 0, 15)) > 10


def test_hdr_brings_bright_and_dark_places_together() -> None:
    light = np.full((480, 640, 3), 0.05, np.float32)
    light[:, 320:] = 0.5
    plain, hdr = (Camera(optics, chance()).develop(light, 0.0) for optics in (STILL, replace(STILL, local_tones=0.5)))
    assert np.ptp(hdr[240, [80, 560], 0].astype(int)) < 0.8 * np.ptp(plain[240, [80, 560], 0].astype(int))


def test_exposure_moves_in_steps() -> None:
    light = np.full((480, 640, 3), 0.5, np.float32)
    camera = Camera(replace(STILL, exposure_stops=0.5, exposure_seconds=1.0), chance())
    camera.develop(light, 0.0)
    levels = [int(camera.develop(light * 3, 0.1 * step)[240, 320, 0]) for step in range(1, 40)]
    assert 2 <= len(set(levels)) <= 5


def test_a_beauty_filter_removes_the_grain_of_skin() -> None:
    light = np.full((480, 640, 3), 0.5, np.float32)
    plain, smooth = (
        Camera(replace(STILL, noise=3.0, smoothing=smoothing), chance()).develop(light, 0.0) for smoothing in (0, 1)
    )
    assert smooth.std() < 0.5 * plain.std()


def test_a_rolling_shutter_sees_the_screen_change_between_two_rows(portrait: Portrait) -> None:
    stage = Stage(chance(), replace(STILL, readout_seconds=0.03))
    subject = SimulatedSubject(portrait, chance(), stage=stage)
    stage.shows({"colour": "#0000ff"}, 1.0)
    changes_at = next(at for at in np.arange(1.0, 1.2, 0.001) if stage.screen(at).any())

    layers = subject.layers(Pose(z=27), 0.0)
    dark, between, lit = (
        stage.film_rows(lambda _: layers, float(changes_at) + when).astype(float) for when in (-0.5, -0.016, 0.5)
    )
    blue = []
    for rows in (slice(200, 220), slice(335, 355)):
        shares = [(image[rows, 290:350, 2] / image[rows, 290:350].sum(axis=2)).mean() for image in (dark, between, lit)]
        blue.append((shares[1] - shares[0]) / (shares[2] - shares[0]))
    assert abs(blue[0]) < 0.2
    assert abs(blue[1] - 1) < 0.2


def test_bands_of_rows_show_a_still_scene_as_one_picture(portrait: Portrait) -> None:
    stage = Stage(chance(), STILL)
    layers = SimulatedSubject(portrait, chance(), stage=stage).layers(Pose(z=30), 0.0)
    whole = stage.film(layers, 0.0).astype(int)
    stage.optics = replace(STILL, readout_seconds=0.03)
    differences = np.abs(stage.film_rows(lambda _: layers, 0.0).astype(int) - whole)
    assert (differences > 1).sum() < 40
    assert differences.max() < 10


def test_a_background_moves() -> None:
    room = MovingBackground(chance(), STILL)
    first, later = room.at(0.0), room.at(1.5)
    assert first.shape == later.shape == (240, 320, 3)
    assert np.abs(first - later).mean() > 0.01


def test_one_group_has_more_frames_at_uneven_times() -> None:
    networks = {group: draw_network(group, chance()) for group in LiveGroup}
    uneven = networks.pop(LiveGroup.UNEVEN_FRAMES)
    assert 1 / 30 <= uneven.frame_seconds <= 1 / 15
    assert uneven.unevenness > 0.3
    assert set(networks.values()) == {NetworkConditions.draw(chance())}


CAMERAS = {LiveGroup.ROLLING_SHUTTER, LiveGroup.AUTO_EXPOSURE, LiveGroup.HDR, LiveGroup.BEAUTY_FILTER}


@pytest.mark.parametrize("group", LiveGroup)
def test_a_person_of_every_group_is_filmed(group: LiveGroup, portrait: Portrait) -> None:
    assert (draw_optics(group, chance()) != Optics.draw(chance())) == (group in CAMERAS)
    person = seat(group, portrait, chance())
    first, later = person.frame(0.5), person.frame(0.9)
    assert first.shape == later.shape == (person.stage.optics.height, person.stage.optics.width, 3)
    assert np.abs(first.astype(int) - later).mean() > 0.1


def test_all_live_people_are_counted_together_after_their_groups() -> None:
    accepted, refused = (PresentationOutcome(accepted=good, responded=True) for good in (True, False))
    rates = tally_all({"live": [accepted], "live_glasses": [refused], "flat_print": [refused]})
    assert [(one.kind, one.error) for one in rates] == [
        ("live", 0.0),
        ("live_glasses", 1.0),
        (ALL_LIVE, 0.5),
        ("flat_print", 0.0),
    ]
    assert set(BONA_FIDE_KINDS) == {"live", *LiveGroup}
