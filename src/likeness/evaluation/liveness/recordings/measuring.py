"""The measurement of a folder of recordings: its error rates as ISO/IEC 30107-3 reports them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from likeness import __version__
from likeness.engine.base import Engine
from likeness.errors import SetupError
from likeness.evaluation.liveness.processes import in_processes
from likeness.evaluation.liveness.rates import PresentationRates, tally
from likeness.evaluation.liveness.recordings.operating import (
    LivenessPoint,
    choose_point,
    operating_points,
    signal_curves,
)
from likeness.evaluation.liveness.recordings.recording import BONA_FIDE, RecordingFolder
from likeness.evaluation.liveness.recordings.replay import ReplayedAttempt, replay
from likeness.liveness.thresholds import Thresholds

LABORATORY_KINDS, LABORATORY_ATTACKS, LABORATORY_BONA_FIDE = 6, 150, 50
"""What laboratories usually present: kinds of attack, presentations of each, and bona fide presentations."""


@dataclass(frozen=True, slots=True)
class RecordingsJob:
    """What the worker processes need."""

    load: Callable[[], Engine]
    folder: RecordingFolder
    thresholds: Thresholds


def replay_all(job: RecordingsJob, *, workers: int, on_done: Callable[[], None]) -> tuple[ReplayedAttempt, ...]:
    """Judge every recording of a folder again, in ``workers`` processes. ``on_done`` is called after each.

    Raises SetupError if a recording does not open.
    """
    files = job.folder.files()
    found = dict(in_processes(partial(_prepare, job), files, workers=min(workers, len(files)), on_done=on_done))
    return tuple(found[path] for path in files)


def rates_of(attempts: Sequence[ReplayedAttempt]) -> tuple[PresentationRates, ...]:
    """Return the rates of bona fide presentations, then of each kind of attack."""
    kinds = sorted({one.label.kind for one in attempts}, key=lambda kind: (kind != BONA_FIDE, kind))
    return tuple(
        tally(kind, (one.outcome for one in attempts if one.label.kind == kind), bona_fide=kind == BONA_FIDE)
        for kind in kinds
    )


def report_of(
    attempts: Sequence[ReplayedAttempt], *, simulated: bool, bpcer: float | None, apcer: float | None
) -> dict[str, Any]:
    """Return all figures of recordings of people and real attacks, or of simulated ones. The two never mix."""
    attempts = [one for one in attempts if one.label.simulated == simulated]
    labels = [one.label for one in attempts]
    rates = rates_of(attempts)
    points, chosen, fault = _points(attempts, bpcer=bpcer, apcer=apcer)
    comparable = [one for one in attempts if one.comparable]
    return {
        "simulated": simulated,
        "recordings": len(attempts),
        "subjects": len({label.subject for label in labels}),
        "modes": sorted({one.mode for one in attempts}),
        "devices": sorted({label.device for label in labels if label.device}),
        "instruments": sorted({f"{label.kind}: {label.instrument}" for label in labels if label.instrument}),
        "replayedAlike": sum(one.same for one in comparable),
        "replayedComparable": len(comparable),
        "rates": [one.as_json() for one in rates],
        "apcerOfWorstKind": max((one.error for one in rates if not one.bona_fide), default=None),
        "operatingPoints": [point.as_json() for point in points],
        "chosen": chosen and chosen.as_json(),
        "withoutPoint": fault,
        "signals": signal_curves(attempts),
        "laboratory": _shortfall(rates),
    }


def header_of(engine: str, thresholds: Thresholds, measured_at: str) -> dict[str, Any]:
    """Return the circumstances of a measurement."""
    return {
        "product": f"likeness {__version__}",
        "pack": engine,
        "thresholds": thresholds.name,
        "measuredAt": measured_at,
    }


def _points(
    attempts: Sequence[ReplayedAttempt], *, bpcer: float | None, apcer: float | None
) -> tuple[list[LivenessPoint], LivenessPoint | None, str | None]:
    points: list[LivenessPoint] = []
    chosen = None
    try:
        points = operating_points(attempts)
        if bpcer is not None or apcer is not None:
            chosen = choose_point(points, bpcer=bpcer, apcer=apcer)
    except SetupError as error:
        return points, None, str(error)
    return points, chosen, None


def _shortfall(rates: Sequence[PresentationRates]) -> list[str]:
    """Return what a laboratory's campaign has and these recordings lack."""
    live = sum(one.presentations for one in rates if one.bona_fide)
    attacks = [one for one in rates if not one.bona_fide]
    lacking = []
    if live < LABORATORY_BONA_FIDE:
        lacking.append(f"{live} of {LABORATORY_BONA_FIDE} bona fide presentations")
    if len(attacks) < LABORATORY_KINDS:
        lacking.append(f"{len(attacks)} of {LABORATORY_KINDS} kinds of attack")
    few = [f"{one.kind} ({one.presentations})" for one in attacks if one.presentations < LABORATORY_ATTACKS]
    if few:
        lacking.append(f"fewer than {LABORATORY_ATTACKS} presentations of {', '.join(few)}")
    return lacking


def _prepare(job: RecordingsJob) -> Callable[[Path], ReplayedAttempt]:
    engine = job.load()
    return lambda path: replay(engine, job.folder.read(path), job.thresholds)
