"""Templates as bytes: a fixed random rotation, rounding to int8, and a bound of the rounding's effect on a score.

The rotation flips signs at random and applies an orthonormal Walsh-Hadamard transform. Together they are a random
orthogonal matrix in d log d additions (Ailon and Chazelle, The fast Johnson-Lindenstrauss transform, 2009). The
rotation spreads the energy of every template over all coordinates. So one scale for a row wastes few of its 255 levels,
for templates of any kind. The rotation changes no dot product: with R orthogonal, q.x = Rq.Rx.

The bound. Let ŷ = s c be the rounded form of Rx, and ẑ = t g that of Rq. Then, by Cauchy and Schwarz,

    |q.x - ẑ.ŷ| = |Rq.(Rx - ŷ) + (Rq - ẑ).ŷ| <= |q| |Rx - ŷ| + |Rq - ẑ| |ŷ|

and all terms on the right are known. |Rx - ŷ| <= s K, where K is the worst |Rx - ŷ| / s among the rows. |ŷ| is at most
the ``reach`` of the rows. Rq - ẑ is the query's own rounding error. So a row's score is within ``tolerance`` of the
interval s (t c.g -+ ``allowance``), where ``allowance`` = |q| K. The tolerance includes the rounding of the arithmetic.

The same rows are rounded a second time, to half a byte for each number. The 16 levels are the best ones for a normal
distribution, which the numbers of a rotated row nearly have. This rounding is some nine times as coarse, so each row's
|Rx - ŷ| is kept with the row. A row that half codes leave out costs half the bytes.

A row's scale and |Rx - ŷ| share a word of 32 bits, because a scan reads every such byte from memory beside the codes.
Each is rounded up to a bfloat16 (the upper half of a float32). The codes are made with the rounded scale, so they lose
nothing.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from likeness.index import compiled

LIMIT = 127
_HALF_LEVELS = np.array([1.5, 4.5, 7.5, 10.5, 14.5, 18.5, 23.5, 31.5])
LEVELS = np.concatenate([-_HALF_LEVELS[::-1], _HALF_LEVELS])
"""The values of the half codes: the levels that round a normal distribution best (Max, Quantizing for minimum
distortion, 1960)."""
_LEVEL_ENDS = ((_HALF_LEVELS[1:] + _HALF_LEVELS[:-1]) / 2).astype(np.float32)
_LEVELS_A_DEVIATION = 31.5 / 2.7326
_SEED = 0x1CE
_SMALLEST_SCALE = np.float32(2.0**-100)
_DEVIATIONS = 6.0
"""How far off a score estimated from codes may be. A rounding error's bound is for the worst of its directions. Over
all directions, its standard deviation is the bound over the root of the dimension."""
_UNIT_ROUNDOFF = 2.0**-24
_ARITHMETIC = 2.0**-18
"""More than all float32 roundings of a sieve, as a fraction of the lengths. There are some eight, of 2**-24 each."""
_TINY = 1e-30
"""More than the error of gradual underflow."""


@dataclass(frozen=True, slots=True)
class Codes:
    """Rounded rows, and the worst of them for the bound."""

    codes: NDArray[np.uint8]
    """(n, pitch) c + 128"""
    terms: NDArray[np.uint32]
    """(n,) scales, each in the upper half of a word"""
    halves: NDArray[np.uint8]
    """(n, half_pitch) half codes, two in a byte. Of 128 neighbours, byte i has number i in its lower half and number
    64 + i in its upper half."""
    half_terms: NDArray[np.uint32]
    """(n,) words: the row's scale in the upper half, the length |Rx - ŷ| of its rounding error in the lower half. A
    half code h means scale * LEVELS[h]."""
    residual: float
    """The largest |Rx - ŷ| / s of codes"""
    reach: float
    """The largest |ŷ| of codes and half codes"""


@dataclass(frozen=True, slots=True)
class Spread:
    """Upper bounds over a set of rows: the rounding error in scales, the rounded row's length, the row's length."""

    residual: float = 0.0
    reach: float = 0.0
    norm: float = 0.0

    def including(self, codes: Codes) -> "Spread":
        """Give the bounds over these rows and those of ``codes``."""
        norm = 1.001 * (codes.reach + codes.residual * float(scales_of(codes.terms).max(initial=0)))
        return Spread(max(self.residual, codes.residual), max(self.reach, codes.reach), max(self.norm, norm))


@dataclass(frozen=True, slots=True)
class Goal:
    """A query as a scan takes it: its vector (d,), its factors (pitch,) int8, and the terms of the bound.

    The query wants the ``wanted`` best rows. 0 means all rows that reach ``minimum``.
    """

    vector: NDArray[np.float32]
    factors: NDArray[np.int8]
    step: float
    allowance: float
    length: float
    """The vector's length. Multiplied by a row's |Rx - ŷ|, it bounds the error of a score from half codes."""
    tolerance: float
    margin: float
    """More than the rounding error of a score's arithmetic"""
    minimum: float
    wanted: int
    doubt: float = 1.0
    """The part of its bound that a score estimated from codes may be off, where the template is not in memory.

    1 is proven. Less is likely, and the exact scores show whether it was enough.
    """


class Codec:
    """Rounds templates and queries of one dimension, always with the same rotation."""

    def __init__(self, dimension: int, *, native: bool = True) -> None:
        self.dimension = dimension
        self.pitch = -(-dimension // 64) * 64
        self.half_pitch = -(-dimension // 128) * 64 if compiled.BUILT else 0  # only the compiled scan reads them
        self._signs = np.random.default_rng(_SEED).choice(np.array([-1, 1], np.float32), dimension)
        self._size = 1 << (dimension.bit_length() - 1)
        self._compiled = native and compiled.BUILT
        stages = self._size.bit_length() - 1
        transforms = 1 if self._size == dimension else 2
        self._rotation_error = 1.01 * transforms * (stages + 2) * _UNIT_ROUNDOFF

    def rotate(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rotate (n, d) rows. The arithmetic's error is at most ``_rotation_error`` times a row's length."""
        columns = np.ascontiguousarray((rows * self._signs).T)
        for first in sorted({0, self.dimension - self._size}):
            window = columns[first : first + self._size]
            half = 1
            while half < self._size:
                pairs = window.reshape(-1, 2, half, len(rows))
                low, high = pairs[:, 0], pairs[:, 1]
                difference = low - high
                low += high
                high[...] = difference
                half *= 2
            window *= np.float32(1 / np.sqrt(self._size))
        return np.ascontiguousarray(columns.T)

    def encode(self, rows: NDArray[np.float32], limit: int = LIMIT) -> Codes:
        """Rotate (n, d) float32 rows, and round them to codes and to half codes.

        A row's codes are whole multiples of its own scale, within +-limit (1..127).
        """
        codes = np.empty((len(rows), self.pitch), np.uint8)
        halves = np.empty((len(rows), self.half_pitch), np.uint8)
        terms, half_terms = np.empty((2, len(rows)), np.uint32)
        if self._compiled:
            arrays = codes, terms, halves, half_terms
            return Codes(*arrays, *compiled.encode(np.ascontiguousarray(rows), self._signs, limit, *arrays))
        rotated = self.rotate(rows)
        terms[...] = _rounded_up(np.maximum(np.abs(rotated).max(axis=1) / np.float32(limit), _SMALLEST_SCALE))
        scales = scales_of(terms)
        whole = np.rint(rotated * (np.float32(1) / scales)[:, np.newaxis])
        codes[:, self.dimension :] = 128
        codes[:, : self.dimension] = whole + 128
        errors, reach = _error_and_reach(rotated, scales, whole)
        residual = float((errors / scales).max(initial=0))
        if self.half_pitch:
            pairs = np.zeros((len(rows), self.half_pitch // 64, 2, 64), np.uint8)
            half_codes = pairs.reshape(len(rows), -1)
            half_codes[:, : self.pitch] = self._halve(rotated)
            halves[...] = (pairs[:, :, 0] | pairs[:, :, 1] << 4).reshape(halves.shape)
            levels = LEVELS[half_codes[:, : self.dimension]]
            half_terms[...] = _rounded_up(
                np.einsum("ij,ij->i", rotated, levels) / np.einsum("ij,ij->i", levels, levels)
            )
            errors, half_reach = _error_and_reach(rotated, scales_of(half_terms), levels)
            half_terms |= _rounded_up(errors) >> 16
            reach = max(reach, half_reach)
        return Codes(codes, terms, halves, half_terms, residual, reach)

    def _halve(self, rotated: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Round rotated rows to (n, pitch) half codes. The padding has the half code of 0."""
        squares = np.einsum("ij,ij->i", rotated, rotated, dtype=np.float64)
        deviations = np.maximum(np.sqrt(squares / self.dimension), 2.0**-100)
        values = np.zeros((len(rotated), self.pitch), np.float32)
        values[:, : self.dimension] = rotated * (_LEVELS_A_DEVIATION / deviations).astype(np.float32)[:, np.newaxis]
        beyond = np.searchsorted(_LEVEL_ENDS, np.abs(values))
        half_codes: NDArray[np.uint8] = np.where(values > 0, 8 + beyond, 7 - beyond).astype(np.uint8)
        return half_codes

    def goal(
        self, query: NDArray[np.float32], spread: Spread, *, limit: int, wanted: int, minimum_score: float
    ) -> Goal:
        """Round a query for a scan over rows within ``spread``. Bound the error that both roundings give a score.

        ``limit`` is the scan's. ``wanted`` is the number of best rows, 0 for all.
        """
        rounded = self.encode(query[np.newaxis], limit)
        step = float(scales_of(rounded.terms)[0])
        wide = query.astype(np.float64)
        length = math.sqrt(wide @ wide)
        query_error = self._rotation_error * length + rounded.residual * step
        margin = _ARITHMETIC * (spread.norm + spread.reach) * (length + rounded.reach) + _TINY
        return Goal(
            vector=query,
            factors=(rounded.codes[0] ^ np.uint8(128)).view(np.int8),
            step=step,
            allowance=length * spread.residual,
            length=length,
            tolerance=length * self._rotation_error * spread.norm + query_error * spread.reach + margin,
            margin=margin,
            minimum=minimum_score,
            wanted=wanted,
            doubt=min(1.0, _DEVIATIONS / math.sqrt(self.dimension)),
        )


@cache
def codec_of(dimension: int) -> Codec:
    """Give the codec of a dimension. All indexes of this dimension share it."""
    return Codec(dimension)


def scales_of(terms: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Give the (n,) scales in the terms of rows."""
    return (terms & np.uint32(0xFFFF0000)).view(np.float32)


def _rounded_up(numbers: NDArray[np.floating]) -> NDArray[np.uint32]:
    """Give the bits of the smallest bfloat16 that is not less. For numbers from 0 up."""
    return (numbers.astype(np.float32).view(np.uint32) + np.uint32(0xFFFF)) & np.uint32(0xFFFF0000)


def _error_and_reach(
    rotated: NDArray[np.float32], scales: NDArray[np.float32], whole: NDArray[np.floating]
) -> tuple[NDArray[np.float64], float]:
    """Give each row's |row - scale * whole|, and the largest |scale * whole|."""
    rounded = scales.astype(np.float64)[:, np.newaxis] * whole
    errors = rotated - rounded
    reaches = np.einsum("ij,ij->i", rounded, rounded)
    return np.sqrt(np.einsum("ij,ij->i", errors, errors)), float(np.sqrt(reaches.max(initial=0)))
