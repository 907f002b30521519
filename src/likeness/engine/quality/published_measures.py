"""Measures of ISO/IEC 29794-5 that pixels and boxes allow, with the published formulas and scales of OFIQ.

They refuse no photo and have no part in the unified score. OFIQ measures the luminance within an outline of the face
from its own landmarks. Here it is measured on the crop from brow to chin, so the values resemble those of OFIQ, but
they are not conformant.

Source: OFIQ 1, ``Luminance`` and ``SingleFacePresent`` (Federal Office for Information Security, Germany).
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from likeness.engine.base import Detection, Image, QualityMeasure

NOT_MEASURED: Final = ("BackgroundUniformity", "ExpressionNeutrality", "NoHeadCoverings")
"""Measures of the standard that need networks of OFIQ's."""
_SRGB: Final = np.arange(256) / 255
_LINEAR: Final = np.where(_SRGB > 0.04045, ((_SRGB + 0.055) / 1.055) ** 2.4, _SRGB / 12.92)
_WEIGHTS: Final = np.array([0.2126, 0.7152, 0.0722])
"""The parts of linear red, green and blue in the luminance."""


def luminance_measures(crop: Image) -> tuple[QualityMeasure, QualityMeasure]:
    """Measure the mean and the variance of the luminance (0..1) of a face from brow to chin."""
    luminance = np.floor(_LINEAR[crop] @ _WEIGHTS * 255 + 0.5) / 255
    mean, variance = float(luminance.mean()), float(luminance.var())
    light_enough, dark_enough = _rising(mean, 0.2, 0.05), 1 - _rising(mean, 0.8, 0.05)
    spread = math.sin(60 * variance / (60 * variance + 1) * math.pi)
    return (
        QualityMeasure("LuminanceMean", round(mean, 3), round(100 * light_enough * dark_enough)),
        QualityMeasure("LuminanceVariance", round(variance, 3), round(100 * spread)),
    )


def single_face_measure(faces: Sequence[Detection]) -> QualityMeasure:
    """Measure how much the largest face dominates. Raw: the ratio of the second one's size to its own, 0 if alone."""
    areas = sorted((face.box.area for face in faces), reverse=True)
    unicity = math.sqrt(areas[1] / areas[0]) if len(areas) > 1 else 0.0 if areas else 1.0
    return QualityMeasure("SingleFacePresent", round(unicity, 3), round(100 * (1 - unicity)))


def _rising(raw: float, middle: float, width: float) -> float:
    return 1 / (1 + math.exp((middle - raw) / width))
