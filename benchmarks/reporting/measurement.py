"""A whole report as data: it is written as JSON, compared and drawn."""

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from figures import Bars, Curves, Figure


@dataclass(frozen=True, slots=True)
class Section:
    """The figures of one benchmark; ``problem`` says why there are none."""

    name: str
    title: str
    about: str
    seconds: float
    figures: list[Figure] = field(default_factory=list)
    curves: list[Curves] = field(default_factory=list)
    bars: list[Bars] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problem: str = ""

    @property
    def plots(self) -> list[Curves | Bars]:
        return [*self.curves, *self.bars]


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine of a report. ``load``: how many processes wanted a core before the run."""

    processor: str
    features: list[str]
    cores: int
    memory_gib: float
    system: str
    load: float

    def compares_with(self, other: "Machine") -> bool:
        """Say whether times of both machines can be compared."""
        return (self.processor, self.features, self.cores) == (other.processor, other.features, other.cores)


@dataclass(frozen=True, slots=True)
class Change:
    """A ratio that differs from an earlier report's."""

    section: str
    figure: str
    to: str
    before: float
    now: float

    @property
    def share(self) -> float:
        """The ratio now, as a share of the ratio before."""
        return self.now / self.before


@dataclass(frozen=True, slots=True)
class Comparison:
    """A report beside an earlier one: how many ratios both have, and those that differ much."""

    version: str
    commit: str
    measured_at: str
    compared: int
    same_machine: bool
    slower: list[Change]
    faster: list[Change]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of all benchmarks."""

    version: str
    commit: str
    measured_at: str
    quick: bool
    seconds: float
    machine: Machine
    versions: dict[str, str]
    sections: list[Section]
    since: Comparison | None = None

    @property
    def held(self) -> list[tuple[Section, Figure]]:
        """The figures that have a target."""
        return [(section, figure) for section in self.sections for figure in section.figures if figure.ok is not None]

    @property
    def missed(self) -> list[tuple[Section, Figure]]:
        """The figures that miss their target."""
        return [(section, figure) for section, figure in self.held if not figure.ok]

    def write(self, path: Path) -> None:
        path.write_bytes(_JSON.dump_json(self, indent=1) + b"\n")

    @classmethod
    def read(cls, path: Path) -> "Measurement":
        return _JSON.validate_json(path.read_bytes())


_JSON = TypeAdapter(Measurement)
