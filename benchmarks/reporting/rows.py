"""Figures in the order of a table: those of one thing beside several peers in one row, rows of one thing in one group."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from figures import Figure


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was measured, once or beside several peers; ``value`` is the median of ours."""

    name: str
    value: float
    unit: str
    figures: list[Figure]


@dataclass(frozen=True, slots=True)
class Group:
    """Rows whose names begin alike; the heading is how they begin, and may be empty."""

    heading: str
    rows: list[Row]


def rows_of(figures: Sequence[Figure]) -> list[Row]:
    """Put the figures of one name and unit into one row."""
    same: dict[tuple[str, str], list[Figure]] = {}
    for figure in figures:
        same.setdefault((figure.name, figure.unit), []).append(figure)
    return [
        Row(name, statistics.median(figure.value for figure in found), unit, _compared(found))
        for (name, unit), found in same.items()
    ]


def _compared(figures: list[Figure]) -> list[Figure]:
    """Leave out the figures that are compared with nothing, where others are with something."""
    return [figure for figure in figures if figure.to or figure.target] or figures[:1]


def groups_of(rows: Sequence[Row]) -> list[Group]:
    """Put neighbours whose names begin alike, up to a colon, into one group."""
    groups: list[Group] = []
    for beginning, neighbours in groupby(rows, key=lambda row: row.name.partition(": ")[0] if ": " in row.name else ""):
        found = list(neighbours)
        if beginning and len(found) > 1:
            short = [Row(row.name.partition(": ")[2], row.value, row.unit, row.figures) for row in found]
            groups.append(Group(beginning, short))
        elif groups and not groups[-1].heading:
            groups[-1].rows.extend(found)
        else:
            groups.append(Group("", found))
    return groups
