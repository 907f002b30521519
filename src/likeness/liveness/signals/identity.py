"""The identity signal: one person from the first frame to the last.

Faces are compared at the beginning of each step, at intervals, and at the end. They are also compared before and after
every moment at which another person could have come, so a swap between two comparisons leaves a trace. The comparisons
at intervals detect a slow change of one face into another.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from likeness.engine.base import Template
from likeness.kit.arrays import FloatArray
from likeness.liveness.base import SignalName, SignalResult
from likeness.liveness.frame.chart import Chart
from likeness.liveness.frame.observation import FaceView, Observation, is_frontal
from likeness.liveness.thresholds import Thresholds

_PATTERN_SIZE = 40, 48
_SEARCHED, _SOUGHT = (slice(6, 46), slice(4, 36)), (slice(9, 43), slice(7, 33))
"""Rows and columns of a pattern: the inner face, and the same without a margin for the landmarks' error."""


@dataclass(frozen=True, slots=True, eq=False)
class IdentitySample:
    """One observation of a face, with its step in the attempt."""

    seen: Observation
    step_index: int
    lit_by_flash: bool


@dataclass(slots=True)
class IdentityWatch:
    """A watch over all observations that chooses those to compare."""

    limits: Thresholds
    _last: "_Glance | None" = None
    _spare: IdentitySample | None = None
    """The last sample that was not compared."""
    _compared: IdentitySample | None = None
    _interrupted: bool = True

    def choose(self, sample: IdentitySample, *, closing: bool) -> tuple[IdentitySample, ...]:
        """Take the next observation, and return the samples that must be compared now.

        ``closing`` says that it can be the last observation.
        """
        chosen: list[IdentitySample] = []
        if self._breaks_off(sample.seen):
            self._interrupted = True
            if self._spare is not None:
                chosen.append(self._spare)
                self._spare = None
        if not self._is_fit(sample.seen):
            return tuple(chosen)
        if closing or self._interrupted or self._is_due(sample):
            chosen.append(sample)
            self._compared, self._spare, self._interrupted = sample, None, False
        else:
            self._spare = sample
        return tuple(chosen)

    def _is_fit(self, seen: Observation) -> bool:
        face, guidance = seen.face, self.limits.guidance
        return (
            face is not None
            and seen.faces == 1
            and is_frontal(face, guidance, tolerance=guidance.tolerance)
            and face.eye_distance_pixels >= (1 - guidance.scale_tolerance) * guidance.far_scale * min(seen.size)
        )

    def _is_due(self, sample: IdentitySample) -> bool:
        last = self._compared
        return (
            last is None
            or last.step_index != sample.step_index
            or sample.seen.at_seconds - last.seen.at_seconds >= self.limits.timing.key_frame_seconds
        )

    def _breaks_off(self, seen: Observation) -> bool:
        """Whether this can be another person than in the last frame."""
        last, alone = self._last, seen.faces == 1
        self._last = _Glance.at(seen.face, seen.at_seconds) if seen.face is not None and alone else None
        if last is None or self._last is None:
            return last is not None
        track = self.limits.track
        return (
            self._last.at_seconds - last.at_seconds > track.gap_seconds
            or self._last.distance(last) > track.jump
            or self._last.growth(last) > track.growth
            or self._last.resemblance(last) < track.resemblance
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Glance:
    """The place, the size and the detail of a face."""

    at_seconds: float
    centre: tuple[float, float]
    eye_distance_pixels: float
    pattern: FloatArray

    @classmethod
    def at(cls, face: FaceView, at_seconds: float) -> "_Glance":
        return cls(at_seconds, (face.centre_x, face.centre_y), face.eye_distance_pixels, _pattern(face.chart))

    def distance(self, other: "_Glance") -> float:
        """Return the distance between the faces' middles, in eye distances."""
        return float(np.hypot(*np.subtract(self.centre, other.centre))) / other.eye_distance_pixels

    def growth(self, other: "_Glance") -> float:
        """Return the ratio of the larger size to the smaller."""
        ratio = self.eye_distance_pixels / other.eye_distance_pixels
        return max(ratio, 1 / ratio)

    def resemblance(self, other: "_Glance") -> float:
        """Return the correlation of the two faces' detail at their best fit, -1..1."""
        fits = cv2.matchTemplate(other.pattern[_SEARCHED], self.pattern[_SOUGHT], cv2.TM_CCOEFF_NORMED)
        return float(fits.max())


def _pattern(chart: Chart) -> FloatArray:
    """Return a chart's coarse detail, independent of the brightness and the direction of the light."""
    grey = cv2.cvtColor(cv2.resize(chart.pixels, _PATTERN_SIZE, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    light = np.log(grey.astype(np.float32) + 8)
    return np.asarray(light - cv2.GaussianBlur(light, (0, 0), 4), np.float32)


def judge(templates: list[Template], threshold: float) -> SignalResult:
    """Judge the identity signal. The score is the similarity of the two least similar groups of templates.

    ``threshold`` is the pack's threshold of the level that the score must reach.
    """
    threshold = round(threshold, 4)
    if len(templates) < 2:
        return SignalResult(SignalName.IDENTITY, 0.0, threshold, passed=False, reason="the face was visible too rarely")
    rows = np.stack(templates)
    score = _last_link(rows @ rows.T)
    passed = score >= threshold
    reason = "one person throughout" if passed else "the face changed"
    return SignalResult(SignalName.IDENTITY, score, threshold, passed=passed, reason=reason)


def _last_link(scores: FloatArray) -> float:
    """Join the most similar groups until one is left, and return the mean score between the last two groups.

    This is average linkage. A person who comes in between makes a separate group, even if they come and go often. One
    poor frame of the same person has less effect than on the lowest score of all pairs, because the mean of its scores
    counts.
    """
    links = scores.astype(np.float64)
    np.fill_diagonal(links, -np.inf)
    sizes = np.ones(len(links))
    last = 1.0
    for _ in sizes[1:]:
        pair = list(np.unravel_index(links.argmax(), links.shape))
        kept, dissolved = pair
        last = float(links[kept, dissolved])
        links[kept] = links[:, kept] = np.average(links[pair], axis=0, weights=sizes[pair])
        links[dissolved] = links[:, dissolved] = -np.inf
        sizes[kept] += sizes[dissolved]
    return last
