"""Measurement of liveness checks on simulated attempts, both bona fide and attacks.

The attempts are simulated, so the rates do not describe real people, cameras and attackers.

Attempts are independent and drawn from a seed, so a run can be repeated and continued.
"""

import contextlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from likeness.engine.base import Engine
from likeness.errors import LikenessError, SetupError
from likeness.evaluation.liveness.photos import photos_in
from likeness.evaluation.liveness.processes import in_processes
from likeness.evaluation.liveness.rates import PresentationOutcome, PresentationRates, tally
from likeness.evaluation.liveness.recordings.recorder import RecordedCheck
from likeness.evaluation.liveness.recordings.recording import BONA_FIDE, Label, RecordingFolder
from likeness.evaluation.liveness.simulator.attacks import NEEDS_RECORDING, AttackKind, mount
from likeness.evaluation.liveness.simulator.groups import LiveGroup, draw_network, seat
from likeness.evaluation.liveness.simulator.portrait import Portrait
from likeness.evaluation.liveness.simulator.session import Shot, carry_out
from likeness.evaluation.liveness.simulator.subject import Presentation, SimulatedSubject
from likeness.liveness.attempt.check import Check
from likeness.liveness.attempt.script import LivenessMode, draw_script
from likeness.liveness.base import DeclaredCamera, LivenessCheck

LIVE = "live"
ALL_LIVE = "live_all"
"""All live presentations together, of every group."""
BONA_FIDE_KINDS = (LIVE, *(group.value for group in LiveGroup))
KINDS = (*BONA_FIDE_KINDS, *(kind.value for kind in AttackKind))
_SEEDS = {kind: number for number, kind in enumerate((LIVE, *AttackKind, *LiveGroup))}
"""The part of each kind in its seeds. A new kind comes last, so that earlier figures can be repeated."""

_LEAST_EYE_DISTANCE = 34.0
_MOST_YAW = 0.09


@dataclass(frozen=True, slots=True)
class Plan:
    """The inputs of a simulation."""

    photos: tuple[Path, ...]
    mode: LivenessMode
    flash: bool
    seed: int
    keep: RecordingFolder | None = None
    """Keeps every attempt as a recording that says that it is simulated."""


LoadEngine = Callable[[], Engine]


def simulate_all(
    load: LoadEngine, plan: Plan, kinds: Sequence[str], attempts: int, *, workers: int, on_done: Callable[[], None]
) -> dict[str, list[PresentationOutcome]]:
    """Simulate ``attempts`` attempts of each kind in ``workers`` processes. ``on_done`` is called after each attempt.

    ``load`` must be picklable. Kinds take turns. After an interruption (SIGINT), the outcomes are those of the attempts
    that have ended.
    """
    jobs = [(kind, index) for index in range(attempts) for kind in kinds]
    found: dict[str, list[PresentationOutcome]] = {kind: [] for kind in kinds}
    with contextlib.suppress(KeyboardInterrupt):
        for (kind, _), outcome in in_processes(partial(_prepare, load, plan), jobs, workers=workers, on_done=on_done):
            found[kind].append(outcome)
    return found


def tally_all(found: Mapping[str, Sequence[PresentationOutcome]]) -> tuple[PresentationRates, ...]:
    """Count the outcomes of each kind. Several bona fide kinds are followed by :data:`ALL_LIVE`."""
    live = [kind for kind in found if kind in BONA_FIDE_KINDS]
    rates = [tally(kind, found[kind], bona_fide=True) for kind in live]
    if len(live) > 1:
        rates.append(tally(ALL_LIVE, [one for kind in live for one in found[kind]], bona_fide=True))
    return *rates, *(tally(kind, found[kind], bona_fide=False) for kind in found if kind not in live)


def simulate(engine: Engine, plan: Plan, kind: str, index: int) -> PresentationOutcome:
    """Simulate one attempt. Raises SetupError if too few photos are suitable for a simulated person."""
    source = np.random.SeedSequence((plan.seed, _SEEDS[kind], index))
    chance = np.random.default_rng(source)
    scripts = random.Random(int(chance.integers(2**62)))  # noqa: S311 - a simulation must be repeatable
    people = find_portraits(engine, plan.photos, chance)
    victim, accomplice = next(people), next(people)
    recording: list[Shot] | None = None
    if kind in NEEDS_RECORDING:
        recording = []
        earlier = Check(engine, draw_script(plan.mode, flash=plan.flash, chance=scripts))
        carry_out(SimulatedSubject(victim, chance), earlier, chance, recording=recording)
    presentation: Presentation
    network = None
    if kind == LIVE:
        presentation = SimulatedSubject(victim, chance)
    elif kind in BONA_FIDE_KINDS:
        presentation, network = seat(LiveGroup(kind), victim, chance), draw_network(LiveGroup(kind), chance)
    else:
        presentation = mount(AttackKind(kind), victim, accomplice, chance, recording)
    script = draw_script(plan.mode, flash=plan.flash, chance=scripts)
    camera = DeclaredCamera(presentation.camera_label)
    check: LivenessCheck = Check(engine, script, camera)
    if plan.keep is not None:
        label = Label(BONA_FIDE if kind in BONA_FIDE_KINDS else kind, f"{kind}-{index}", simulated=True)
        check = RecordedCheck(engine, script, camera, label, None, plan.keep.add)
    verdict = carry_out(presentation, check, chance, network=network).verdict
    return PresentationOutcome.of(verdict)


def people_in(folder: Path) -> tuple[Path, ...]:
    """Return one photo of each person: every photo directly in the folder, and the first photo of each subfolder."""
    chosen: dict[Path, Path] = {}
    for photo in photos_in(folder):
        chosen.setdefault(photo if photo.parent == folder else photo.parent, photo)
    return tuple(chosen.values())


def find_portraits(engine: Engine, photos: Sequence[Path], chance: np.random.Generator) -> Iterator[Portrait]:
    """Yield portraits in random order from photos of large frontal faces, each photo once.

    Raises SetupError after the last one.
    """
    for index in chance.permutation(len(photos)):
        if (portrait := _portrait(engine, photos[index], chance)) is not None:
            yield portrait
    raise SetupError("Too few of these photos show a large face that looks straight ahead.")


def _portrait(engine: Engine, path: Path, chance: np.random.Generator) -> Portrait | None:
    try:
        photo = engine.decode(path.read_bytes())
    except LikenessError:
        return None
    if (largest := max(photo.shape)) > 1600:
        photo = np.asarray(
            cv2.resize(photo, None, fx=1600 / largest, fy=1600 / largest, interpolation=cv2.INTER_AREA), np.uint8
        )
    faces = engine.detect(photo, minimum_face_pixels=min(photo.shape[:2]) / 12)
    if not faces:
        return None
    points = faces[0].landmarks
    across = points[1] - points[0]
    eye_distance = float(np.hypot(*across))
    aside = float((points[2] - (points[:2].mean(0) + points[3:].mean(0)) / 2) @ across) / max(eye_distance, 1e-6) ** 2
    if eye_distance < _LEAST_EYE_DISTANCE or abs(aside) > _MOST_YAW:
        return None
    return Portrait.from_photo(photo, points, chance)


def _prepare(load: LoadEngine, plan: Plan) -> Callable[[tuple[str, int]], PresentationOutcome]:
    engine = load()
    return lambda job: simulate(engine, plan, *job)
