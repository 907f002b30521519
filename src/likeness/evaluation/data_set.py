"""A data set of photos of known people: a folder with one folder for each person."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from likeness.engine.photo.files import passed_over
from likeness.errors import SetupError

PHOTO_COLUMN = "photo"
ALL_PHOTOS = "all photos"
"""The name of the group of everybody."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """Photos with the person that each shows, sorted by person, then by name."""

    name: str
    folder: Path
    people: tuple[str, ...]
    """The people's folder names, ascending."""
    photos: tuple[Path, ...]
    """Paths relative to ``folder``."""
    person_of: tuple[int, ...]
    """For each photo, the index of its person in ``people``."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Chosen comparisons: two indices of photos each, and whether both photos show one person."""

    first: tuple[int, ...]
    second: tuple[int, ...]
    genuine: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """The photos (by index) that have the same value of a label."""

    label: str
    name: str
    photos: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.label}: {self.name}"


def read_folder(folder: Path) -> DataSet:
    """Read ``folder/PERSON/PHOTO``. Deeper files, hidden files, thumbnails and other files are left out.

    Raises SetupError if there are not at least two people, one of them with two photos. Genuine and impostor
    comparisons need them.
    """
    if not folder.is_dir():
        raise SetupError(f"{folder} is not a folder.")
    people: list[str] = []
    photos: list[Path] = []
    person_of: list[int] = []
    for home in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = (path for path in home.iterdir() if path.is_file())
        own = sorted(path for path in files if passed_over(folder, path.relative_to(folder)) is None)
        if own:
            person_of += [len(people)] * len(own)
            people.append(home.name)
            photos += [path.relative_to(folder) for path in own]
    if len(people) < 2 or len(photos) == len(people):
        raise SetupError(
            f"{folder} must contain one folder for each person, with JPEG or PNG photos. It needs at least two people, "
            f"and two photos of one of them. Found {len(photos)} photos of {len(people)} people."
        )
    return DataSet(folder.resolve().name, folder, tuple(people), tuple(photos), tuple(person_of))


def read_pairs(file: Path, data_set: DataSet) -> Pairs:
    """Read LFW's pairs: ``NAME I J`` for one person, ``NAME I NAME J`` for two. I is the number in ``NAME_0001.jpg``.

    A first line with only numbers is LFW's count of pairs. Raises SetupError with the line's number for any other line.
    """
    numbered = {
        (data_set.people[person], int(number[1])): index
        for index, (photo, person) in enumerate(zip(data_set.photos, data_set.person_of, strict=True))
        if (number := re.search(r"(\d+)$", photo.stem))
    }
    found: list[tuple[int, int, bool]] = []
    for line_number, line in enumerate(_lines(file), start=1):
        fields = line.split()
        if not fields or (line_number == 1 and all(field.isdecimal() for field in fields)):
            continue
        try:
            if len(fields) == 3:
                name, first, second = fields
                pair = numbered[name, int(first)], numbered[name, int(second)], True
            else:
                name, first, other, second = fields
                pair = numbered[name, int(first)], numbered[other, int(second)], name == other
        except KeyError as error:
            raise SetupError(
                f"{file}, line {line_number}: {data_set.folder} has no photo {error.args[0][1]} of {error.args[0][0]}."
            ) from None
        except ValueError:
            raise SetupError(
                f"{file}, line {line_number}: expected `NAME I J` or `NAME I NAME J`, not {line!r}."
            ) from None
        found.append(pair)
    if not found:
        raise SetupError(f"{file} contains no pairs.")
    first_photos, second_photos, genuine = zip(*found, strict=True)
    return Pairs(first_photos, second_photos, genuine)


def read_labels(file: Path, data_set: DataSet) -> Mapping[str, tuple[str | None, ...]]:
    """Read groups from a CSV with a header.

    The file has a column ``photo`` (a path in the data set, or a person's folder) and a column for each label.

    Returns for each label the value of every photo, or None where the file has no value. Raises SetupError for another
    format, or for a photo that is not in the data set.
    """
    table = csv.DictReader(_lines(file), strict=True)
    try:
        header = table.fieldnames or ()
        rows = [(table.line_num, row) for row in table]
    except csv.Error as error:
        raise SetupError(f"{file}, line {table.reader.line_num}: {error}.") from error
    columns = [name for name in header if name != PHOTO_COLUMN]
    if PHOTO_COLUMN not in header or not columns:
        raise SetupError(f"{file} must have a header with the column `photo` and at least one label, e.g. `photo,sex`.")
    places: dict[str, list[int]] = {}
    for index, (photo, person) in enumerate(zip(data_set.photos, data_set.person_of, strict=True)):
        places.setdefault(photo.as_posix(), []).append(index)
        places.setdefault(data_set.people[person], []).append(index)
    labels: dict[str, list[str | None]] = {name: [None] * len(data_set.photos) for name in columns}
    for line, row in rows:
        if row[PHOTO_COLUMN] not in places:
            raise SetupError(f"{file}, line {line}: {data_set.folder} does not contain {row[PHOTO_COLUMN]!r}.")
        for name in columns:
            for index in places[row[PHOTO_COLUMN]]:
                labels[name][index] = (row[name] or "").strip() or None
    return {name: tuple(values) for name, values in labels.items()}


def groups_of(labels: Mapping[str, Sequence[str | None]]) -> tuple[Group, ...]:
    """Return the groups of each label, sorted by name. A photo without a value is in no group."""
    return tuple(
        Group(label, name, tuple(index for index, value in enumerate(values) if value == name))
        for label, values in labels.items()
        for name in sorted({value for value in values if value is not None})
    )


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{file} cannot be read: {error}") from error
