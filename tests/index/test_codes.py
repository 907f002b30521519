"""The rotation is orthogonal, the compiled and the Python form agree, and the bound holds."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.index import compiled
from likeness.index.codes import LEVELS, LIMIT, Codec, Codes, Spread, scales_of

DIMENSIONS = [1, 2, 3, 7, 64, 100, 128, 512]


def levels_of(rounded: Codes, dimension: int) -> NDArray[np.float64]:
    """Unpack half codes, and give their (n, d) values."""
    pairs = rounded.halves.reshape(len(rounded.halves), -1, 1, 64)
    half_codes = np.concatenate([pairs & 15, pairs >> 4], axis=2).reshape(len(pairs), -1)
    return LEVELS[half_codes[:, :dimension]]


def errors_of(rounded: Codes) -> NDArray[np.float32]:
    """Give the (n,) stored lengths of the rounding error of half codes."""
    return scales_of(rounded.half_terms << np.uint32(16))


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_the_rotation_is_orthogonal(dimension: int) -> None:
    codec = Codec(dimension)
    matrix = codec.rotate(np.eye(dimension, dtype=np.float32)).astype(np.float64)
    assert np.linalg.norm(matrix @ matrix.T - np.eye(dimension), 2) < 1e-6


@pytest.mark.skipif(not compiled.BUILT, reason="the compiled module was not built")
@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("limit", [64, 127])
def test_compiled_and_python_codes_are_the_same_bytes(dimension: int, limit: int) -> None:
    rows = np.random.default_rng(dimension).standard_normal((50, dimension), np.float32)
    rows[0], rows[1], rows[2] = 0, 1e-40, 1e-30
    fast, slow = Codec(dimension).encode(rows, limit), Codec(dimension, native=False).encode(rows, limit)
    assert np.array_equal(fast.codes, slow.codes)
    assert np.array_equal(fast.terms, slow.terms)
    assert (fast.residual, fast.reach) == pytest.approx((slow.residual, slow.reach), rel=1e-12)
    assert np.array_equal(fast.halves, slow.halves)
    assert np.array_equal(fast.half_terms, slow.half_terms)


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("native", [True, False])
def test_every_score_lies_within_its_bound(
    dimension: int, native: bool, faces: Callable[..., NDArray[np.float32]]
) -> None:
    codec = Codec(dimension, native=native)
    rows, queries = faces(500, dimension), faces(20, dimension, seed=1)
    rows[7] *= 1.9
    rows[8] *= 1e-20
    rounded = codec.encode(rows)
    spread = Spread().including(rounded)
    codes = rounded.codes.astype(np.int64) - 128
    scales, half_scales, half_errors = scales_of(rounded.terms), scales_of(rounded.half_terms), errors_of(rounded)
    for query in queries:
        goal = codec.goal(query, spread, limit=LIMIT, wanted=1, minimum_score=-1)
        scores = rows.astype(np.float64) @ query.astype(np.float64)
        estimates = scales * (goal.step * (codes @ goal.factors))
        assert (np.abs(scores - estimates) <= scales * goal.allowance + goal.tolerance).all()
        estimates = half_scales * (goal.step * (levels_of(rounded, dimension) @ goal.factors[:dimension]))
        assert (np.abs(scores - estimates) <= goal.length * half_errors + goal.tolerance).all()


def test_the_bound_is_tight_enough_to_be_of_use(faces: Callable[..., NDArray[np.float32]]) -> None:
    """At 512 dimensions a unit row's score is known within 0.03 before its float32 form is read."""
    codec, rows = Codec(512), faces(1000, 512)
    rounded = codec.encode(rows)
    goal = codec.goal(rows[0], Spread().including(rounded), limit=64, wanted=1, minimum_score=-1)
    assert (scales_of(rounded.terms) * goal.allowance + goal.tolerance).max() < 0.03
    assert (goal.length * errors_of(rounded) + goal.tolerance).mean() < 0.12


def test_a_template_of_one_coordinate_is_spread_over_all() -> None:
    codes = Codec(128).encode(np.eye(128, dtype=np.float32)[:5]).codes.astype(int) - 128
    assert (np.abs(codes) == 127).all()
