"""Comparison of a photo with several photos of a person: with the mean of the scores, and with one joint template.

The people have at least one photo more than the references take. A person's first photos are the references. The next
photos are compared with the references of everybody, so every number of references has the same probes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from likeness.engine.recognition import unit
from likeness.evaluation.recognition.comparison import People, TemplateRows, count_errors_between
from likeness.evaluation.recognition.performance import LevelRates, level_rates

MEAN_OF_SCORES, ONE_TEMPLATE = "mean of the scores", "one template"
_MOST_PEOPLE, _MOST_PROBES = 1000, 4
"""The most people, and the most probes of each. They bound the memory."""


@dataclass(frozen=True, slots=True)
class SeveralRates:
    """The rates of a number of references of each person."""

    references: int
    people: int
    ways: Mapping[str, tuple[LevelRates, ...]]
    """The rates with :data:`MEAN_OF_SCORES`, and with :data:`ONE_TEMPLATE`, which all the references' templates make.
    """


def measure_several(
    rows: TemplateRows, people: People, thresholds: Sequence[float], *, most: int
) -> tuple[SeveralRates, ...]:
    """Compute the rates for 1 to ``most`` references. Empty if fewer than two people have ``most`` + 1 photos.

    ``thresholds`` are those of the levels, from level 1.
    """
    counts = np.bincount(people)
    chosen = np.flatnonzero(counts > most)[:_MOST_PEOPLE]
    if len(chosen) < 2:
        return ()
    photos = [np.flatnonzero(people == person) for person in chosen]
    probes = np.concatenate([own[most : most + _MOST_PROBES] for own in photos])
    different = np.zeros((len(chosen), len(probes)), np.bool_)

    def rates(references: TemplateRows) -> tuple[LevelRates, ...]:
        errors = count_errors_between(references, rows[probes], chosen, people[probes], different, thresholds)
        return level_rates(errors, thresholds)

    found = []
    for number in range(1, most + 1):
        means = np.stack([rows[own[:number]].mean(axis=0) for own in photos])
        found.append(
            SeveralRates(number, len(chosen), {MEAN_OF_SCORES: rates(means), ONE_TEMPLATE: rates(unit(means))})
        )
    return tuple(found)
