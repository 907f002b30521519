"""What an examination finds."""

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How a part is."""

    OK = "ok"
    DOUBT = "doubt"
    """It works, and is probably not meant so."""
    WRONG = "wrong"
    """It does not work, or is not safe."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fact about a part, such as the disk. ``advice`` is what to do, if there is anything to do."""

    part: str
    health: Grade
    fact: str
    advice: str = ""


def ok(part: str, fact: str) -> Finding:
    """Give a fact that is as it should be."""
    return Finding(part, Grade.OK, fact)


def doubt(part: str, fact: str, advice: str) -> Finding:
    """Give a fact that is probably not meant so."""
    return Finding(part, Grade.DOUBT, fact, advice)


def wrong(part: str, fact: str, advice: str = "") -> Finding:
    """Give a fact that must change."""
    return Finding(part, Grade.WRONG, fact, advice)
