"""The outcome of a photo: a template, or the reason why there is none."""

from dataclasses import dataclass

from likeness.engine.base import Box, Template


@dataclass(frozen=True, slots=True, eq=False)
class ExtractedFace:
    """The template of one photo's face, with its unified quality score in 0..100."""

    template: Template
    quality: int
    box: Box


@dataclass(frozen=True, slots=True)
class FailureToAcquire:
    """The outcome of a photo without a template: the error's code and, for LOW_QUALITY, its reasons."""

    code: str
    reasons: tuple[str, ...] = ()


ExtractionOutcome = ExtractedFace | FailureToAcquire
