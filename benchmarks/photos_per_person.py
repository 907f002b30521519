"""Several photos of an enrolled person: whether the levels keep their promise, by the way in which the photos make one score.

    python benchmarks/photos_per_person.py [--quick] [--json PATH] [--faces DIR] [--pack builtin] [--cache DIR] [--workers 1] [--mirror DIR]

DIR has a folder of photos for each person. A person with five photos or more is enrolled with groups of four of them, at most four groups. Each
group is used as it is, as two pairs and as four single photos. So all numbers of photos have the same photos, probes and people. The probes
are the other photos of these people, at most eight of each, and four photos of everybody else. The thresholds are those of the pack.

The mean of the scores of several templates is the score of their mean, which is shorter than 1. The joint template is that mean at length 1.
The geometric mean of both scores is the score of the mean over the root of its length.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from figures import Report, add_mirror
from likeness.cli.measuring.photos import open_cache
from likeness.engine.base import Engine, Use
from likeness.engine.levels import LEVELS
from likeness.engine.packs.identity import PackId
from likeness.engine.packs.loading import load_engine
from likeness.engine.policy import FacePolicy
from likeness.evaluation.data_set import DataSet, read_folder
from likeness.evaluation.recognition.comparison import People, TemplateRows
from likeness.evaluation.recognition.extraction import extract

PHOTOS = (1, 2, 4)
MOST = PHOTOS[-1]
GROUPS = 4
OWN_PROBES, OTHER_PROBES = 8, 4
QUICK_PEOPLE, QUICK_PHOTOS = 60, 6
MOST_GROWTH = 1.5
FEWEST_FALSE_MATCHES = 5
"""With fewer at one photo, the ratio of two rates says nothing."""
SHOWN_LEVELS, HELD_LEVEL = (3, 4), 4
CHOSEN = "mean of the scores"

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """The references (r, d), MOST neighbours of one person each, and the probes (p, d), with their people."""

    references: TemplateRows
    references_people: People
    probes: TemplateRows
    probes_people: People

    def scores(self, photos: int, way: "Way") -> tuple[Scores, NDArray[np.bool_]]:
        """Give the scores (r / photos, p) of entries with so many photos, and which of them are genuine."""
        whose = self.references_people[::photos]
        groups = self.references.reshape(len(whose), photos, -1)
        return way(groups, self.probes), whose[:, None] == self.probes_people[None, :]


Way = Callable[[NDArray[np.float32], TemplateRows], Scores]
"""Takes entries (n, photos, d) and probes (p, d), and gives their scores (n, p)."""


def mean_of_scores(entries: NDArray[np.float32], probes: TemplateRows) -> Scores:
    scores: Scores = entries.mean(axis=1) @ probes.T
    return scores


def highest_score(entries: NDArray[np.float32], probes: TemplateRows) -> Scores:
    scores: Scores = np.max([entries[:, number] @ probes.T for number in range(entries.shape[1])], axis=0)
    return scores


def joint_template(entries: NDArray[np.float32], probes: TemplateRows) -> Scores:
    means = entries.mean(axis=1)
    scores: Scores = means / np.linalg.norm(means, axis=1, keepdims=True) @ probes.T
    return scores


def geometric_mean(entries: NDArray[np.float32], probes: TemplateRows) -> Scores:
    means = entries.mean(axis=1)
    scores: Scores = means / np.sqrt(np.linalg.norm(means, axis=1, keepdims=True)) @ probes.T
    return scores


WAYS: dict[str, Way] = {
    CHOSEN: mean_of_scores,
    "geometric mean": geometric_mean,
    "joint template": joint_template,
    "highest score": highest_score,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_PEOPLE} people; ends within a minute")
    parser.add_argument("--json", type=Path, help="write the figures here")
    faces = Path(__file__).parents[2] / "shared" / "data" / "faces" / "lfw"
    parser.add_argument("--faces", type=Path, default=faces, help="photos, a folder for each person")
    parser.add_argument("--pack", default="builtin")
    parser.add_argument("--cache", type=Path, help="keep the templates in this folder, for the next run")
    parser.add_argument("--workers", type=int, default=1, help="photos at once")
    add_mirror(parser)
    options = parser.parse_args()
    report = Report(f"several photos of a person, {options.pack}")
    if not options.faces.is_dir():
        report.notes.append(f"Nothing is measured: there is no folder {options.faces}. Name one with --faces.")
        report.publish(options.json)
        return
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        engine = load_engine(PackId(options.pack), models_dir=Path(folder), mirror=options.mirror)
        trial = read_trial(engine, options)
    if len(trial.references):
        measure(report, trial, engine.calibration.thresholds)
    else:
        report.notes.append(f"Nothing is measured: nobody has {MOST + 1} usable photos in {options.faces}.")
    if not report.publish(options.json):
        sys.exit(1)


def read_trial(engine: Engine, options: argparse.Namespace) -> Trial:
    data_set = read_folder(options.faces)
    if options.quick:
        data_set = part_of(data_set, QUICK_PEOPLE, QUICK_PHOTOS)
    cache = open_cache(engine, options.cache, Use.PROBE, FacePolicy.LARGEST)
    extraction = extract(engine, data_set, workers=options.workers, cache=cache)
    return divide(extraction.rows, extraction.people)


def part_of(data_set: DataSet, people: int, photos: int) -> DataSet:
    """Give the first ``photos`` photos of the first ``people`` people who have so many."""
    person_of = np.array(data_set.person_of)
    chosen = np.flatnonzero(np.bincount(person_of) >= photos)[:people]
    kept = [index for person in chosen for index in np.flatnonzero(person_of == person)[:photos]]
    return DataSet(
        data_set.name,
        data_set.folder,
        data_set.people,
        tuple(data_set.photos[index] for index in kept),
        tuple(data_set.person_of[index] for index in kept),
    )


def divide(rows: TemplateRows, people: People) -> Trial:
    """Divide the photos into references and probes. No photo is both."""
    references: list[int] = []
    probes: list[int] = []
    for person in np.unique(people):
        own = np.flatnonzero(people == person).tolist()
        enrolled = MOST * min((len(own) - 1) // MOST, GROUPS)
        references += own[:enrolled]
        probes += own[enrolled:][: OWN_PROBES if enrolled else OTHER_PROBES]
    return Trial(rows[references], people[references], rows[probes], people[probes])


def measure(report: Report, trial: Trial, thresholds: tuple[float, ...]) -> None:
    report.add("people with several photos", len(np.unique(trial.references_people)), "")
    report.add("people in all", len(np.unique(trial.probes_people)), "")
    single = rates_of(*trial.scores(1, WAYS[CHOSEN]), thresholds)
    for level in LEVELS:
        report.add(f"1 photo: false match rate at level {level}", single.false_match_rates[level - 1], "")
    for level in SHOWN_LEVELS:
        report.add(f"1 photo: TAR at level {level}", 100 * single.accepted[level - 1], "%")
    report.notes.append(f"False matches of 1 photo, by level: {single.false_matches}")
    for way, scores in WAYS.items():
        for photos in PHOTOS[1:]:
            several = rates_of(*trial.scores(photos, scores), thresholds)
            compare(report, f"{photos} photos, {way}", single, several, held=way == CHOSEN)


def compare(report: Report, name: str, single: "Rates", several: "Rates", *, held: bool) -> None:
    """Add the rates of several photos beside those of one. Those that are held have a target."""
    for level in LEVELS:
        title, before = f"{name}: false match rate at level {level}, times that of 1", single.false_matches[level - 1]
        if not before:
            continue
        ratio = several.false_match_rates[level - 1] / single.false_match_rates[level - 1]
        if held and before >= FEWEST_FALSE_MATCHES:
            report.at_most(title, ratio, "", MOST_GROWTH)
        else:
            report.add(title, ratio, "")
    for level in SHOWN_LEVELS:
        title, accepted = f"{name}: TAR at level {level}", 100 * several.accepted[level - 1]
        if held and level == HELD_LEVEL:
            report.at_least(title, accepted, "%", 100 * single.accepted[level - 1])
        else:
            report.add(title, accepted, "%")
    report.notes.append(f"False matches of {name}, by level: {several.false_matches}")


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates at each threshold."""

    false_match_rates: list[float]
    false_matches: list[int]
    accepted: list[float]


def rates_of(scores: Scores, genuine: NDArray[np.bool_], thresholds: tuple[float, ...]) -> Rates:
    same, other = scores[genuine], scores[~genuine]
    counts = [int((other >= threshold).sum()) for threshold in thresholds]
    accepted = [float((same >= threshold).mean()) for threshold in thresholds]
    return Rates([count / len(other) for count in counts], counts, accepted)


if __name__ == "__main__":
    main()
