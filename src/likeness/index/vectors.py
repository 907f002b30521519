"""Checks of an index's input: keys, templates, queries and bounds."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAXIMUM_NORM = 2.0**20
"""The longest vector that an index accepts. Templates are unit vectors, so a longer vector is a mistake. Shorter ones
are searched exactly."""

MAXIMUM_KEY = 2**63 - 1


def checked_rows(templates: ArrayLike, dimension: int) -> NDArray[np.float32]:
    """Give (n, dimension) float32 rows, C-contiguous. ValueError for another shape, or a row that is not finite."""
    rows = np.ascontiguousarray(templates, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] != dimension:
        raise ValueError(f"expected rows of {dimension} numbers, got an array of shape {rows.shape}")
    squares = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    if not (squares <= MAXIMUM_NORM**2).all():  # NaN compares false
        raise ValueError("a template has a number that is not finite, or a length far from 1")
    return rows


def checked_query(query: ArrayLike, dimension: int) -> NDArray[np.float32]:
    """Give one (dimension,) float32 vector. ValueError for another shape, or a number that is not finite."""
    vector = np.array(query, np.float32)
    if vector.shape != (dimension,):
        raise ValueError(f"expected {dimension} numbers, got an array of shape {vector.shape}")
    wide = vector.astype(np.float64)
    if not wide @ wide <= MAXIMUM_NORM**2:  # NaN compares false
        raise ValueError("the query has a number that is not finite, or a length far from 1")
    return vector


def checked_key(key: int) -> int:
    """Give a key as int. ValueError unless it is in 0..2**63 - 1."""
    if not 0 <= key <= MAXIMUM_KEY:
        raise ValueError(f"a key must be between 0 and 2**63 - 1, not {key}")
    return int(key)


def checked_keys(keys: Sequence[int] | NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Give ``count`` keys as int64. ValueError for more or fewer keys, or a key out of range."""
    if len(keys) != count:
        raise ValueError(f"{len(keys)} keys for {count} templates")
    try:
        array = np.asarray(keys, dtype=np.int64).reshape(count)
    except OverflowError as error:
        raise ValueError("a key must be between 0 and 2**63 - 1") from error
    if count and array.min() < 0:
        raise ValueError("a key must be between 0 and 2**63 - 1")
    return array


def checked_bounds(k: int, minimum_score: float) -> None:
    """Check a search's bounds. ValueError when ``k`` < 1, or the minimum score is NaN."""
    if k < 1:
        raise ValueError(f"k counts from 1, not {k}")
    if math.isnan(minimum_score):
        raise ValueError("the minimum score is not a number")
