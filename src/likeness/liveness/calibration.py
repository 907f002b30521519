"""Thresholds of the liveness signals that were chosen on recordings, in a file.

The file states the recordings that its thresholds rest on. Its name contains a digest of all its content. So a result
that states the name also states the data, and a changed file is noticed.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from likeness.errors import SetupError
from likeness.kit.files import PUBLIC, replacing
from likeness.liveness.thresholds import THRESHOLDS, Thresholds

_Score = Annotated[float, Field(ge=0, le=10)]


class MovedThresholds(BaseModel):
    """The thresholds that recordings decided. One without recordings keeps its built-in value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parallax: _Score | None = None
    flash_correlation: _Score | None = None
    shading: _Score | None = None


class LivenessBasis(BaseModel):
    """What the thresholds rest on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    simulated: bool
    recordings: dict[str, int] = Field(description="The number of recordings of each kind.")
    subjects: int
    data_sha256: str = Field(description="Digest of the recordings' own digests, in order.")
    pack: str
    product: str
    made_at: str
    wanted: dict[str, float]
    bpcer: dict[str, Any]
    apcer: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class LivenessCalibration:
    """Thresholds with their basis."""

    moved: MovedThresholds
    basis: LivenessBasis

    @property
    def name(self) -> str:
        """The name of the thresholds in a result: the kind of data, and a digest of all content."""
        kind = "simulated" if self.basis.simulated else "recorded"
        return f"{kind}-{hashlib.sha256(self._content().encode()).hexdigest()[:16]}"

    def thresholds(self) -> Thresholds:
        """Return all thresholds, with the moved ones in their place."""
        signals = replace(THRESHOLDS.signals, **self.moved.model_dump(exclude_none=True))
        return replace(THRESHOLDS, name=self.name, signals=signals)

    def write(self, path: Path) -> None:
        """Write the file. Raises OSError."""
        whole = {"name": self.name, **json.loads(self._content())}
        with replacing(path, mode=PUBLIC) as file:
            file.write((json.dumps(whole, indent=2) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of :meth:`write`. Raises SetupError if it is missing, not well-formed or changed."""
        try:
            held = json.loads(path.read_bytes())
            name = held.pop("name")
            found = cls(MovedThresholds(**held["thresholds"]), LivenessBasis(**held["basis"]))
        except FileNotFoundError as error:
            raise SetupError(f"There is no file {path} of liveness thresholds.") from error
        except (ValueError, ValidationError, TypeError, KeyError, AttributeError) as error:
            raise SetupError(f"{path} is no file of `likeness calibrate-liveness`.") from error
        if found.name != name:
            raise SetupError(f"{path} was changed after `likeness calibrate-liveness` wrote it. Make it again.")
        return found

    def _content(self) -> str:
        return json.dumps(
            {"thresholds": self.moved.model_dump(exclude_none=True), "basis": self.basis.model_dump()}, sort_keys=True
        )
