import importlib.util
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lacking import skip_here
from likeness.engine.base import Engine
from likeness.engine.packs.identity import PackId
from likeness.engine.packs.loading import load_engine
from likeness.engine.pipeline import PackEngine
from likeness.evaluation.liveness.simulator.attacks import AttackKind, mount, parts
from likeness.evaluation.liveness.simulator.camera import Camera, Optics
from likeness.evaluation.liveness.simulator.motion import Motion
from likeness.evaluation.liveness.simulator.portrait import HEIGHT, WIDTH, Portrait
from likeness.evaluation.liveness.simulator.scene import Pose
from likeness.evaluation.liveness.simulator.session import Shot, SimulatedAttempt, carry_out, decode_frame
from likeness.evaluation.liveness.simulator.stage import Stage, draw_lighting, screen_light
from likeness.evaluation.liveness.simulator.subject import Presentation, SimulatedSubject
from likeness.evaluation.liveness.simulator.surfaces import Cylinder, Head, Plane
from likeness.liveness.attempt.check import Check
from likeness.liveness.attempt.script import LivenessMode, draw_script
from likeness.liveness.base import DeclaredCamera, Hint, SignalName, StatusCode


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return load_engine(PackId("builtin"), models_dir=tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def portrait(engine: PackEngine) -> Portrait:
    spec = importlib.util.find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        skip_here("the package scikit-image, which ships a portrait, is not installed")
    photo = engine.decode((Path(spec.submodule_search_locations[0]) / "data" / "astronaut.png").read_bytes())
    return Portrait.from_photo(
        photo, engine.detect(photo, minimum_face_pixels=40)[0].landmarks, np.random.default_rng(1)
    )


def message(
    status: StatusCode = StatusCode.FACE_LIVENESS_HOLD_STILL,
    *,
    width: float = 140.0,
    hint: Hint | None = None,
    colour: str | None = None,
    progress: float = 0.1,
) -> dict[str, Any]:
    oval = {"x": 320.0, "y": 240.0, "width": width, "height": 1.4 * width}
    return {"statusCode": status.value, "oval": oval, "hint": hint, "colour": colour, "progress": progress}


def chance(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_portrait_is_laid_out_in_centimetres(portrait: Portrait) -> None:
    assert portrait.pixels.shape == (HEIGHT, WIDTH, 3)
    assert abs(portrait.nose_x_cm) < 1
    assert 3 < portrait.nose_y_cm < 5.1


def straight_rays(
    spread: float = 0.25, count: int = 41
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    axis = np.linspace(-spread, spread, count, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    return np.array((0, 0, 40), np.float32), x, y, -np.ones_like(x)


@pytest.mark.parametrize("surface", [Plane(), Cylinder(9.0), Head(chance())], ids=["plane", "cylinder", "head"])
def test_a_surface_is_met_where_the_ray_passes(surface: Cylinder | Head | Plane) -> None:
    origin, x, y, z = straight_rays()
    hits = surface.meet(origin, x, y, z)
    along = origin[2] - hits.z
    met = hits.hit > 0.99
    assert met.any()
    if not isinstance(surface, Cylinder):  # a cylinder measures x along the paper
        assert np.allclose(hits.x[met], (x * along)[met], atol=1e-2)
    assert np.allclose(hits.y[met], (y * along)[met], atol=1e-2)
    length = np.sqrt(hits.normal_x**2 + hits.normal_y**2 + hits.normal_z**2)
    assert np.allclose(length[met], 1, atol=1e-3)


def test_a_cylinder_of_great_radius_is_a_plane() -> None:
    origin, x, y, z = straight_rays()
    bent, flat = Cylinder(1e4).meet(origin, x, y, z), Plane().meet(origin, x, y, z)
    assert np.allclose(bent.x, flat.x, atol=0.05)


def test_a_head_stands_out_at_the_nose() -> None:
    origin, x, y, z = straight_rays()
    hits = Head(chance()).meet(origin, x, y, z)
    middle = len(x) // 2
    nose = hits.z[middle + 8, middle]
    assert nose > hits.z[middle + 8, middle - 6] + 1
    assert nose > hits.z[middle, middle] + 1


@pytest.mark.parametrize(
    ("pose", "moved"), [(Pose(yaw=30), (1, 0)), (Pose(yaw=-30), (-1, 0)), (Pose(pitch=30), (0, 1))]
)
def test_turning_takes_the_front_aside(pose: Pose, moved: tuple[int, int]) -> None:
    front = pose.rotation() @ np.array((0, 0, 1))
    assert np.allclose(front[:2] / np.linalg.norm(front[:2]), moved, atol=1e-6)


def eye_distance(engine: PackEngine, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    found = engine.detect(image, minimum_face_pixels=40)
    assert found, "no face in the simulated picture"
    return found[0].landmarks


def test_a_head_grows_as_it_comes_closer_and_turns_to_its_own_left(engine: PackEngine, portrait: Portrait) -> None:
    subject = SimulatedSubject(portrait, chance(3))
    far, near, turned = (
        eye_distance(engine, subject.stage.film(subject.layers(pose, 0.0), 0.0))
        for pose in (Pose(z=60), Pose(z=30), Pose(z=30, yaw=25))
    )
    width = [float(np.linalg.norm(points[1] - points[0])) for points in (far, near)]
    assert 1.7 < width[1] / width[0] < 2.2
    aside = [(points[2] - points[:2].mean(axis=0))[0] / width[1] for points in (near, turned)]
    assert aside[1] - aside[0] > 0.12


def test_the_screen_lights_the_face_more_than_the_wall(portrait: Portrait) -> None:
    subject = SimulatedSubject(portrait, chance(3))
    stage = subject.stage
    layers = subject.layers(Pose(z=27), 0.0)
    dark = stage.film(layers, 0.0).astype(float)
    stage.shows(message(colour="#0000ff"), 1.0)
    stage.film(layers, 1.05)
    lit = stage.film(layers, 1.2).astype(float)
    hue = [picture / picture.sum(axis=2, keepdims=True).clip(1) for picture in (dark, lit)]
    change = (hue[1] - hue[0])[..., 2]
    height, width = change.shape
    face = change[height // 2 - 30 : height // 2 + 30, width // 2 - 30 : width // 2 + 30].mean()
    assert face > 0.01
    assert face > 2 * abs(change[: height // 4, : width // 8].mean())


def test_the_screen_changes_only_after_its_latency() -> None:
    stage = Stage(chance())
    stage.shows(message(colour="#ff0000"), 2.0)
    assert not stage.screen(2.0).any()
    assert np.allclose(stage.screen(3.0), (1, 0, 0))
    stage.shows(message(), 4.0)
    assert not stage.screen(5.0).any()


def test_colours_are_read_as_linear_light() -> None:
    assert np.allclose(screen_light("#ffffff"), 1)
    assert np.allclose(screen_light(None), 0)
    assert screen_light("#808080")[0] == pytest.approx((128 / 255) ** 2.2, abs=1e-6)


def test_lighting_stays_in_its_range() -> None:
    for seed in range(40):
        light = draw_lighting(chance(seed))
        assert 0.125 <= light.screen <= 0.8
        assert np.linalg.norm(light.room_direction) == pytest.approx(1, abs=1e-5)


def test_a_camera_exposes_for_the_middle_and_adapts_slowly() -> None:
    optics = Optics(640, 480, 520.0, 0.0, 0.5, 1.0, 1.0, 0.3, 2.0, 85)
    camera = Camera(optics, chance())
    light = np.full((480, 640, 3), 0.5, np.float32)
    settled = camera.develop(light, 0.0).mean()
    at_once, later = camera.develop(light * 3, 0.01).mean(), camera.develop(light * 3, 8.0).mean()
    assert at_once > settled + 20
    assert abs(later - settled) < 10


def test_two_frames_of_a_still_scene_differ_by_noise() -> None:
    camera = Camera(Optics(640, 480, 520.0, 0.0, 0.5, 2.0, 1.0, 0.3, 2.0, 85), chance())
    light = np.full((480, 640, 3), 0.5, np.float32)
    first, second = (camera.develop(light, now).astype(float) for now in (0.0, 0.1))
    assert 1 < (first - second).std() < 6


def test_jpeg_goes_there_and_back() -> None:
    camera = Camera(Optics.draw(chance()), chance())
    image = np.full((480, 640, 3), (200, 90, 40), np.uint8)
    assert np.abs(decode_frame(camera.compress(image)).astype(int) - image).max() < 6


class Page:
    """A motion with its first instruction."""

    def __init__(self, seed: int = 1) -> None:
        self.motion = Motion(chance(seed), 520.0, (320.0, 240.0))
        self.motion.react(message(), 0.0)

    def after(self, seconds: float) -> Pose:
        poses = [self.motion.pose(now) for now in np.arange(0, seconds, 0.1)]
        return poses[-1]


def test_a_person_reacts_late_and_then_comes_closer() -> None:
    page = Page()
    far = page.after(4.0)
    page.motion.react(message(StatusCode.FACE_LIVENESS_MOVE_CLOSER, width=294.0, hint=Hint.CLOSER), 4.0)
    assert abs(page.motion.pose(4.15).z - far.z) < 1.5
    assert page.motion.pose(7.0).z < 0.6 * far.z


@pytest.mark.parametrize(
    ("status", "axis", "sign"),
    [
        (StatusCode.FACE_LIVENESS_TURN_LEFT, "yaw", 1),
        (StatusCode.FACE_LIVENESS_TURN_RIGHT, "yaw", -1),
        (StatusCode.FACE_LIVENESS_TILT_LEFT, "roll", 1),
        (StatusCode.FACE_LIVENESS_TILT_RIGHT, "roll", -1),
    ],
)
def test_gestures_go_to_the_persons_own_side(status: StatusCode, axis: str, sign: int) -> None:
    page = Page()
    page.after(3.0)
    page.motion.react(message(status), 3.0)
    page.motion.pose(4.6)
    assert sign * getattr(page.motion.pose(7.0), axis) > 12


def test_guidance_is_followed_bit_by_bit() -> None:
    page = Page()
    before = page.after(4.0).z
    for now in (4.0, 4.7, 5.4):
        page.motion.react(message(hint=Hint.CLOSER), now)
        page.motion.pose(now + 0.6)
    assert page.motion.pose(9.0).z < before


def test_nobody_is_quite_still() -> None:
    page = Page()
    page.after(4.0)
    places = [page.motion.pose(now).x for now in np.arange(5, 8, 0.1)]
    assert np.std(places) > 0.02


def recording() -> list[Shot]:
    codes = ["", "FACE_LIVENESS_HOLD_STILL", "FACE_LIVENESS_MOVE_CLOSER", "FACE_LIVENESS_HOLD_STILL"]
    codes += ["FACE_LIVENESS_WATCH_COLOURS", "FACE_LIVENESS_WATCH_COLOURS"]
    optics = Optics(640, 480, 520.0, 0.0, 0.5, 2.0, 1.0, 0.3, 2.0, 85)
    data = Camera(optics, chance()).compress(np.full((480, 640, 3), 90, np.uint8))
    return [Shot(index / 10, data, code) for index, code in enumerate(codes)]


def test_a_recording_is_cut_where_something_new_was_asked() -> None:
    assert parts(recording()) == [
        ("", 0, 1),
        ("FACE_LIVENESS_MOVE_CLOSER", 2, 3),
        ("FACE_LIVENESS_WATCH_COLOURS", 4, 5),
    ]


@pytest.mark.parametrize("kind", AttackKind)
def test_every_attack_gives_pictures_that_go_on(kind: AttackKind, portrait: Portrait) -> None:
    attack = mount(kind, portrait, portrait, chance(4), recording())
    attack.react(message(), 0.0)
    first = attack.frame(0.5)
    attack.react(message(StatusCode.FACE_LIVENESS_WATCH_COLOURS, width=294.0, colour="#46ff46", progress=0.9), 1.0)
    later = attack.frame(3.0)
    assert first.shape == later.shape
    assert first.dtype == np.uint8
    assert {first.shape[:2]} <= {(480, 640), (640, 480)}
    assert decode_frame(attack.encode(later)).shape == later.shape


@pytest.mark.parametrize("seed", range(8))
def test_a_swap_is_seen_however_far_an_attempt_leaps(seed: int, portrait: Portrait) -> None:
    dark = replace(portrait, pixels=np.zeros_like(portrait.pixels))
    attack = mount(AttackKind.SWAPPED_PERSON, portrait, dark, chance(seed), None)
    brightness = []
    for number, progress in enumerate([0.0, 0.1, 0.75, 0.75, 1.0]):
        attack.react(message(progress=progress), number)
        brightness.append(float(attack.frame(number + 0.5)[200:280, 280:360].mean()))
    assert max(brightness) > 3 * min(brightness)


def attempt(
    engine: PackEngine,
    presentation: Presentation,
    seed: int,
    *,
    mode: LivenessMode = LivenessMode.ACTIVE,
    flash: bool = True,
    label: str | None = None,
) -> tuple[Check, SimulatedAttempt]:
    check = Check(engine, draw_script(mode, flash=flash, chance=random.Random(seed)), DeclaredCamera(label))
    return check, carry_out(presentation, check, chance(seed))


def test_a_live_person_passes_and_is_remembered(engine: PackEngine, portrait: Portrait) -> None:
    check, outcome = attempt(engine, SimulatedSubject(portrait, chance(5)), 5)
    assert outcome.verdict.live, outcome.verdict.as_json()
    assert outcome.verdict.status_code is StatusCode.FACE_LIVENESS_PASSED
    assert check.best is check.key_frames[0]
    assert not check.best.lit_by_flash
    assert len(check.key_frames) <= 4


def test_a_live_person_passes_without_colours(engine: PackEngine, portrait: Portrait) -> None:
    _, outcome = attempt(engine, SimulatedSubject(portrait, chance(5)), 5, mode=LivenessMode.STRICT, flash=False)
    assert outcome.verdict.live, outcome.verdict.as_json()


def test_an_attempt_repeats_with_its_seeds(engine: PackEngine, portrait: Portrait) -> None:
    first, second = (attempt(engine, SimulatedSubject(portrait, chance(5)), 5)[1] for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("kind", "caught"),
    [
        (AttackKind.FLAT_PRINT, {SignalName.PARALLAX, SignalName.SHADING}),
        (AttackKind.BENT_PRINT, {SignalName.PARALLAX, SignalName.SHADING}),
        (AttackKind.VIRTUAL_CAMERA, {SignalName.INJECTION}),
    ],
)
def test_an_attack_is_caught_by_its_signals(
    engine: PackEngine, portrait: Portrait, kind: AttackKind, caught: set[SignalName]
) -> None:
    attack = mount(kind, portrait, portrait, chance(6))
    _, outcome = attempt(engine, attack, 6, label=attack.camera_label)
    assert not outcome.verdict.live
    assert caught <= set(outcome.verdict.failed), outcome.verdict.as_json()


def test_an_earlier_attempt_fails_with_other_colours(engine: PackEngine, portrait: Portrait) -> None:
    shots: list[Shot] = []
    earlier = Check(engine, draw_script(LivenessMode.ACTIVE, chance=random.Random(5)))
    assert carry_out(SimulatedSubject(portrait, chance(5)), earlier, chance(5), recording=shots).verdict.live
    attack = mount(AttackKind.REPLAYED_SESSION, portrait, portrait, chance(7), shots)
    _, outcome = attempt(engine, attack, 8)
    assert SignalName.FLASH in outcome.verdict.failed
