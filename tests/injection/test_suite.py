"""The scripted injection attacks through a real Chromium: which are detected, by what, and which are not."""

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from browser.scene_clock import SceneClock
from lacking import needed_chromium
from likeness.cli.demo.photos import load_photos
from likeness.engine.base import Engine
from likeness.engine.packs.identity import PackId
from likeness.engine.packs.loading import load_engine
from likeness.evaluation.liveness.injection_suite.attacks import ATTACKS, InjectionKind
from likeness.evaluation.liveness.injection_suite.chromium import chromiums
from likeness.evaluation.liveness.injection_suite.suite import AttackedServer, InjectionSuite
from likeness.liveness.attempt.check import Check
from likeness.liveness.attempt.script import draw_script
from likeness.liveness.base import LivenessCheck
from likeness.sessions.capture.services import CheckRequest
from servers import calling, serving, test_settings

SEEDS = (1, 2, 3)
BY = {
    InjectionKind.VIRTUAL_CAMERA: "injection VIRTUAL_CAMERA",
    InjectionKind.REPLAYED_VIDEO_FILE: "injection VIRTUAL_CAMERA",
    InjectionKind.CANVAS_STREAM: "injection NOT_A_CAMERA",
    InjectionKind.OVERRIDDEN_CAMERA_CALL: "injection CAMERA_CALL_REPLACED",
    InjectionKind.FRAMES_SWAPPED_IN_SOCKET: "injection UNSIGNED_FRAMES",
    InjectionKind.PERFECT_TIMING: "injection PERFECT_TIMING",
    InjectionKind.RECORDED_SESSION: "flash",
    InjectionKind.WRONG_FLASH_ANSWER: "flash",
    InjectionKind.FACE_SWAPPED_MIDWAY: "identity",
    InjectionKind.SOCKET_CLIENT: "injection UNSIGNED_FRAMES",
}
"""The signal, with its codes, that detects each kind in docs/liveness.md."""
CLAIMED = [attack.kind for attack in ATTACKS if not attack.is_open]
OPEN = [attack.kind for attack in ATTACKS if attack.is_open]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InjectionSuite]:
    """Give the suite on a server whose checks go by the scene's clock, with a challenge that is the same in every run."""
    path = needed_chromium()
    engine = load_engine(PackId("builtin"), models_dir=tmp_path_factory.mktemp("models"))
    clock, photos = SceneClock(), load_photos()
    scripts = random.Random(1)

    def repeatable_check(engine: Engine, request: CheckRequest) -> LivenessCheck:
        return Check(engine, draw_script(request.mode, flash=request.flash, chance=scripts), request.camera)

    def clock_of(kind: InjectionKind) -> SceneClock:
        clock.runs = kind is InjectionKind.REPLAYED_VIDEO_FILE
        return clock

    with (
        chromiums(path) as launch,
        serving(test_settings(tmp_path_factory.mktemp("server")), engine) as server,
        calling(server) as api,
    ):
        captures = server.components.captures
        captures.services = dataclasses.replace(captures.services, monotonic=clock, new_check=repeatable_check)
        target = AttackedServer(server.url, api.token, photos.astronaut_again["relit"])
        yield InjectionSuite(target, engine, photos.astronaut, photos.people["man in grey"], launch, clock_of)


def check(suite: InjectionSuite, kind: InjectionKind, seed: int) -> None:
    outcome = suite.run(kind, seed)
    assert outcome.detected, outcome
    name, *codes = BY[kind].split()
    assert any(each.split()[0] == name and all(code in each for code in codes) for each in outcome.signals), outcome


@pytest.mark.parametrize(
    "kind", [InjectionKind.CANVAS_STREAM, InjectionKind.FRAMES_SWAPPED_IN_SOCKET, InjectionKind.SOCKET_CLIENT]
)
def test_an_attack_on_the_page_is_detected(suite: InjectionSuite, kind: InjectionKind) -> None:
    check(suite, kind, SEEDS[0])


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", CLAIMED)
def test_every_claimed_kind_is_detected(suite: InjectionSuite, kind: InjectionKind, seed: int) -> None:
    check(suite, kind, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", [InjectionKind.NO_ATTACK, *OPEN])
def test_what_looks_like_a_camera_and_a_person_passes(suite: InjectionSuite, kind: InjectionKind, seed: int) -> None:
    outcome = suite.run(kind, seed)
    assert not outcome.detected, f"docs/liveness.md calls this attack open: {outcome}"


def test_the_page_on_liveness_names_every_kind() -> None:
    page = (Path(__file__).parents[2] / "docs" / "liveness.md").read_text()
    for attack in ATTACKS:
        assert f"| `{attack.kind}` | {attack.method} | {attack.instrument} |" in page
