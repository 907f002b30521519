"""Figures as the rows of a table: one row for all peers of a figure, one group for names that begin alike."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from figures import Figure


@dataclass(frozen=True, slots=True)
class Row:
    """One name and unit, with its figures: one for each peer. ``value`` is the median of ours."""

    name: str
    value: float
    unit: str
    figures: list[Figure]


@dataclass(frozen=True, slots=True)
class Group:
    """Rows whose names begin with the heading, or any rows if it is empty."""

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
    """Put rows whose names begin alike, up to a colon, into one group; those that begin like no other come first."""
    beginnings = Counter(_beginning(row) for row in rows)
    alone, groups = Group("", []), dict[str, Group]()
    for row in rows:
        beginning = _beginning(row)
        if not beginning or beginnings[beginning] == 1:
            alone.rows.append(row)
        else:
            group = groups.setdefault(beginning, Group(beginning, []))
            group.rows.append(replace(row, name=row.name.partition(": ")[2]))
    return [*([alone] if alone.rows else []), *groups.values()]


def _beginning(row: Row) -> str:
    return row.name.partition(": ")[0] if ": " in row.name else ""
