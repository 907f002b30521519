"""What becomes of a photo: a template, or a reason why there is none."""

from dataclasses import dataclass

from likeness.engine.base import Box, Template


@dataclass(frozen=True, slots=True, eq=False)
class ExtractedFace:
    """The face of one photo, with its unified quality score in 0..100."""

    template: Template
    quality: int
    box: Box


@dataclass(frozen=True, slots=True)
class FailureToAcquire:
    """A photo that gave no template: the error's code, and for LOW_QUALITY the reasons."""

    code: str
    reasons: tuple[str, ...] = ()


ExtractionOutcome = ExtractedFace | FailureToAcquire
