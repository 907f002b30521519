"""Measurement of passive PAD models on folders of real photos, one by one and fused."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.engine.base import Engine
from likeness.engine.photo.files import passed_over
from likeness.errors import LikenessError, SetupError
from likeness.evaluation.liveness.rates import PresentationOutcome, PresentationRates, tally

FUSED = "all models, mean"


@dataclass(frozen=True, slots=True)
class ModelRates:
    """The rates of one model on single photos. A photo without a face is a non-response."""

    model: str
    threshold: float
    bona_fide: PresentationRates
    attacks: PresentationRates
    equal_error_rate: float

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "threshold": self.threshold,
            "bonaFide": self.bona_fide.as_json(),
            "attacks": self.attacks.as_json(),
            "equalErrorRate": self.equal_error_rate,
        }


def photos_in(folder: Path) -> tuple[Path, ...]:
    """Return the photos in a folder and its subfolders, sorted. Raises SetupError if there are none."""
    files = (path for path in folder.rglob("*") if path.is_file())
    found = tuple(sorted(path for path in files if passed_over(folder, path.relative_to(folder)) is None))
    if not found:
        raise SetupError(f"There are no JPEG or PNG photos in {folder}.")
    return found


def measure_photos(
    engine: Engine, real: Sequence[Path], fake: Sequence[Path], threshold: float, *, on_done: Callable[[], None]
) -> tuple[ModelRates, ...]:
    """Measure every passive PAD model of an engine, and their mean. The result is empty if there is no model.

    ``threshold`` is the least score of a live face. ``on_done`` is called after each photo. Raises SetupError if only
    one of the two sets of photos shows faces.
    """
    scores: dict[bool, list[dict[str, float]]] = {True: [], False: []}
    for live, photos in ((True, real), (False, fake)):
        for path in photos:
            scores[live].append(_scores(engine, path))
            on_done()
    for live, whose in ((True, "live people"), (False, "attacks")):
        if not any(scores[live]) and any(scores[not live]):
            raise SetupError(f"None of the photos of {whose} shows a face.")
    models = sorted({model for group in scores.values() for one in group for model in one} - {FUSED})
    if not models:
        return ()
    return tuple(_rates(model, scores[True], scores[False], threshold) for model in (*models, FUSED))


def equal_error_rate(live: NDArray[np.float64], attack: NDArray[np.float64]) -> float:
    """Return the error rate at the threshold where APCER and BPCER are equal. Each array holds scores."""
    thresholds = np.unique(np.concatenate([live, attack, [np.inf]]))
    rejected = np.searchsorted(np.sort(live), thresholds, side="left") / len(live)
    accepted = 1 - np.searchsorted(np.sort(attack), thresholds, side="left") / len(attack)
    nearest = int(np.argmin(np.abs(rejected - accepted)))
    return float((rejected[nearest] + accepted[nearest]) / 2)


def _scores(engine: Engine, path: Path) -> dict[str, float]:
    try:
        photo = engine.decode(path.read_bytes())
    except LikenessError:
        return {}
    faces = engine.detect(photo, minimum_face_pixels=min(photo.shape[:2]) / 16)
    if not faces:
        return {}
    by_model = dict(engine.live_scores(photo, faces[0]).by_model)
    return by_model | ({FUSED: float(np.mean(list(by_model.values())))} if by_model else {})


def _rates(model: str, live: list[dict[str, float]], attack: list[dict[str, float]], threshold: float) -> ModelRates:
    def judged(group: list[dict[str, float]]) -> list[PresentationOutcome]:
        return [PresentationOutcome(one.get(model, 0.0) >= threshold, model in one) for one in group]

    def values(group: list[dict[str, float]]) -> NDArray[np.float64]:
        return np.array([one[model] for one in group if model in one])

    return ModelRates(
        model,
        threshold,
        tally("real photos", judged(live), bona_fide=True),
        tally("photos of attacks", judged(attack), bona_fide=False),
        equal_error_rate(values(live), values(attack)),
    )
