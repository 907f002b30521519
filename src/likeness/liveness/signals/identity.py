"""One person from the first look to the last.

Faces are compared where a step begins, every so often, at the end, and on both sides of every moment at which somebody
else could have come: nobody is swapped between two looks without a trace. What leaves none, such as a slow change of
one face into another, is met by the looks in between.
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
"""Rows and columns of a pattern: the inner face, and the same less the pixels that landmarks may be off by."""


@dataclass(frozen=True, slots=True, eq=False)
class IdentitySample:
    """One observation of a face that is fit to be compared, and when in the attempt it was."""

    seen: Observation
    step_index: int
    lit_by_flash: bool


@dataclass(slots=True)
class IdentityWatch:
    """Sees every observation and says which are to be compared."""

    limits: Thresholds
    _last: "_Glance | None" = None
    _spare: IdentitySample | None = None
    """The last look that was not compared."""
    _compared: IdentitySample | None = None
    _interrupted: bool = True

    def choose(self, sample: IdentitySample, *, closing: bool) -> tuple[IdentitySample, ...]:
        """Take in the next observation; give the looks that must be compared now. ``closing``: it may be the last."""
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
        """Whether it may be somebody else than a moment ago."""
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
    """Where a face was, how large, and what it looked like."""

    at_seconds: float
    centre: tuple[float, float]
    eye_distance_pixels: float
    pattern: FloatArray

    @classmethod
    def at(cls, face: FaceView, at_seconds: float) -> "_Glance":
        return cls(at_seconds, (face.centre_x, face.centre_y), face.eye_distance_pixels, _pattern(face.chart))

    def distance(self, other: "_Glance") -> float:
        """In eye distances."""
        return float(np.hypot(*np.subtract(self.centre, other.centre))) / other.eye_distance_pixels

    def growth(self, other: "_Glance") -> float:
        """How many times as large the larger is."""
        ratio = self.eye_distance_pixels / other.eye_distance_pixels
        return max(ratio, 1 / ratio)

    def resemblance(self, other: "_Glance") -> float:
        """Correlation of the two faces' detail where they fit best, -1..1."""
        fits = cv2.matchTemplate(other.pattern[_SEARCHED], self.pattern[_SOUGHT], cv2.TM_CCOEFF_NORMED)
        return float(fits.max())


def _pattern(chart: Chart) -> FloatArray:
    """Give a chart's coarse detail, free of the light's brightness and of where it comes from."""
    grey = cv2.cvtColor(cv2.resize(chart.pixels, _PATTERN_SIZE, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    light = np.log(grey.astype(np.float32) + 8)
    return np.asarray(light - cv2.GaussianBlur(light, (0, 0), 4), np.float32)


def judge(templates: list[Template], threshold: float) -> SignalResult:
    """Score: how alike the two least alike groups of looks are.

    ``threshold``: the pack's for the level that they must reach.
    """
    threshold = round(threshold, 4)
    if len(templates) < 2:
        return SignalResult(SignalName.IDENTITY, 0.0, threshold, passed=False, reason="the face was seen too seldom")
    rows = np.stack(templates)
    score = _last_link(rows @ rows.T)
    passed = score >= threshold
    reason = "one person throughout" if passed else "the face changed"
    return SignalResult(SignalName.IDENTITY, score, threshold, passed=passed, reason=reason)


def _last_link(scores: FloatArray) -> float:
    """Join what is most alike until one group is left.

    Give the mean score of the last two groups' pairs (average linkage).

    A person who comes in between makes a group of their own, however often they come and go. One poor look of the same
    person weighs less than in the lowest score of all pairs: it is the mean of its scores with all others that counts.
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
