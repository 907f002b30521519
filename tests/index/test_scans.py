"""Every scan finds every row that can be among the answers."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.index import compiled
from likeness.index.codes import Codec, Spread
from likeness.index.faiss_scan import FaissScan
from likeness.index.scans import Candidates, CompiledScan, RowBlock, Scan

compiled_only = pytest.mark.skipif(not compiled.BUILT, reason="the compiled module was not built")


def parts_of(
    codec: Codec, rows: NDArray[np.float32], sizes: Sequence[int], *, dead: Sequence[int] = (), filed: bool = False
) -> tuple[tuple[RowBlock, ...], Spread]:
    """Cut rows into parts of the given sizes. Give the parts, and the bounds over all rows.

    ``filed``: the templates of the second part alone are in memory.
    """
    rounded = codec.encode(rows)
    parts: list[RowBlock] = []
    start = 0
    for size in sizes:
        alive = np.ones(size, np.uint8)
        alive[[row - start for row in dead if start <= row < start + size]] = 0
        here = slice(start, start + size)
        codes, terms = rounded.codes[here].copy(), rounded.terms[here].copy()
        halves, half_terms = rounded.halves[here].copy(), rounded.half_terms[here].copy()
        mask = None if alive.all() else alive
        given = None if filed and len(parts) != 1 else rows[here].copy()
        parts.append(RowBlock(codes, terms, halves, half_terms, given, mask, size))
        start += size
    return tuple(parts), Spread().including(rounded)


def rows_of(candidates: Candidates, sizes: Sequence[int]) -> set[int]:
    starts = np.concatenate([[0], np.cumsum(sizes)])
    return set((starts[candidates.parts] + candidates.offsets).tolist())


@pytest.mark.parametrize("dimension", [1, 63, 64, 65, 128, 512])
@pytest.mark.parametrize("sizes", [(1,), (3, 4), (5, 0, 255), (257, 1000, 3)])
@pytest.mark.parametrize("filed", [False, True])
def test_no_row_that_counts_is_left_out(
    make_scan: Callable[[int], Scan],
    faces: Callable[..., NDArray[np.float32]],
    dimension: int,
    sizes: Sequence[int],
    filed: bool,
) -> None:
    scan, codec = make_scan(dimension), Codec(dimension)
    rows = faces(sum(sizes), dimension)
    dead = range(0, len(rows), 5)
    parts, spread = parts_of(codec, rows, sizes, dead=dead, filed=filed)
    living = np.setdiff1d(np.arange(len(rows)), dead)
    queries = faces(5, dimension, seed=1)
    wants = [(1, -np.inf), (3, -np.inf), (len(rows) + 5, -np.inf), (0, 0.1), (2, 0.2)]
    goals = [
        replace(codec.goal(query, spread, limit=scan.limit, wanted=k, minimum_score=minimum), doubt=1.0)
        for query, (k, minimum) in zip(queries, wants, strict=True)
    ]
    for query, (k, minimum), candidates in zip(queries, wants, scan(parts, goals), strict=True):
        scores = rows @ query
        reached = living[scores[living] >= minimum]
        best = reached[np.argsort(-scores[reached])][: k or None]
        assert set(best.tolist()) <= rows_of(candidates, sizes)
        assert rows_of(candidates, sizes) <= set(living.tolist())


@pytest.mark.parametrize("filed", [False, True])
def test_few_rows_are_left_over(
    make_scan: Callable[[int], Scan], faces: Callable[..., NDArray[np.float32]], filed: bool
) -> None:
    scan, codec = make_scan(512), Codec(512)
    rows, query = faces(3000, 512), faces(1, 512, seed=1)[0]
    parts, spread = parts_of(codec, rows, (1000, 2000), filed=filed)
    (candidates,) = scan(parts, [codec.goal(query, spread, limit=scan.limit, wanted=1, minimum_score=-np.inf)])
    assert len(candidates.rows) < 300


@pytest.mark.parametrize("queries_at_once", [1, 3])
@pytest.mark.parametrize(("wanted", "minimum"), [(0, 0.3), (0, 0.4), (1, -np.inf), (1, 0.3), (20, -np.inf), (20, 0.3)])
def test_no_row_that_counts_is_left_out_whether_half_codes_pay_or_not(
    make_scan: Callable[[int], Scan],
    faces: Callable[..., NDArray[np.float32]],
    queries_at_once: int,
    wanted: int,
    minimum: float,
) -> None:
    """The rows are strangers, many photos of one person, and strangers. Half codes leave out only the strangers."""
    scan, codec, sizes = make_scan(128), Codec(128), (5000, 5000, 5003)
    person = faces(5000, 128, photos=5000, spread=0.8, seed=2)
    rows = np.concatenate([faces(5000, 128, photos=1), person, faces(5003, 128, photos=1, seed=1)])
    dead = range(0, len(rows), 7)
    parts, spread = parts_of(codec, rows, sizes, dead=dead)
    living = np.setdiff1d(np.arange(len(rows)), dead)
    resembling = (person[1] + 1.5 * rows[3]) / np.linalg.norm(person[1] + 1.5 * rows[3])
    queries = [resembling, person[1], faces(1, 128, seed=3)[0]][:queries_at_once]
    goals = [codec.goal(query, spread, limit=scan.limit, wanted=wanted, minimum_score=minimum) for query in queries]
    for query, candidates in zip(queries, scan(parts, goals), strict=True):
        scores = rows @ query
        reached = living[scores[living] >= minimum]
        best = reached[np.argsort(-scores[reached])][: wanted or None]
        assert set(best.tolist()) <= rows_of(candidates, sizes)
        assert rows_of(candidates, sizes) <= set(living.tolist())
        assert len(candidates.rows) == len(set(candidates.rows.tolist())) < 5000


def test_a_pool_grows_until_it_is_proven(faces: Callable[..., NDArray[np.float32]]) -> None:
    """Two thousand rows of one part are within the bound of the best. The first pool has fewer."""
    codec, scan = Codec(64), FaissScan(64)
    rows = np.repeat(faces(1, 64), 2000, axis=0)
    parts, spread = parts_of(codec, rows, (2000,))
    (candidates,) = scan(parts, [codec.goal(rows[0], spread, limit=scan.limit, wanted=1, minimum_score=-np.inf)])
    assert len(candidates.rows) == 2000


def test_faiss_refuses_what_it_cannot_sum_exactly() -> None:
    with pytest.raises(ValueError, match="exactly"):
        FaissScan(2**18)


@pytest.mark.parametrize("dimension", [512, 2048])
def test_dot_products_are_the_integer_ones(make_scan: Callable[[int], Scan], dimension: int) -> None:
    """Codes are at the ends of their range, and factors at the kernel's limit. Nothing saturates or is rounded."""
    scan, random = make_scan(dimension), np.random.default_rng(0)
    codes = random.choice(np.array([1, 255], np.uint8), (40, dimension))
    codes[0], codes[1] = 255, 1
    factors = np.full(dimension, scan.limit, np.int8)
    factors[: dimension // 3] *= -1
    goal = Codec(dimension).goal(
        np.ones(dimension, np.float32), Spread(), limit=scan.limit, wanted=0, minimum_score=-np.inf
    )
    object.__setattr__(goal, "factors", factors)
    object.__setattr__(goal, "step", 1.0)
    rows = np.zeros((40, dimension), np.float32)
    halves = np.zeros((40, dimension // 2), np.uint8)
    terms = np.ones(40, np.float32).view(np.uint32)
    (found,) = scan((RowBlock(codes, terms, halves, terms, rows, None, 40),), [goal])
    exact = (codes.astype(np.int64) - 128) @ factors.astype(np.int64)
    order = np.argsort(found.offsets)
    assert found.uppers[order].tolist() == exact.astype(np.float32).tolist()


@compiled_only
def test_threads_share_a_scan(faces: Callable[..., NDArray[np.float32]]) -> None:
    codec, rows = Codec(16), faces(140_000, 16)
    parts, spread = parts_of(codec, rows, (20_000,) * 7)
    one, two = CompiledScan(), CompiledScan(threads=2)
    goals = [codec.goal(query, spread, limit=one.limit, wanted=3, minimum_score=-np.inf) for query in rows[::70_000]]
    for alone, shared in zip(one(parts, goals), two(parts, goals), strict=True):
        assert shared.cut <= alone.cut
        assert set(alone.rows.tolist()) <= set(shared.rows.tolist())
        assert len(shared.rows) < 1000


@compiled_only
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": "abacus"}, "no kernel abacus"),
        ({"count": 11}, "fewer rows"),
        ({"count": -1}, "fewer rows"),
        ({"alive": np.ones(3, np.uint8)}, "fewer rows"),
        ({"factors": np.full((1, 64), 127, np.int8)}, None),
        ({"factors": np.full((1, 64), -128, np.int8)}, "limit"),
        ({"factors": np.zeros((1, 60), np.int8)}, "sizes"),
        ({"factors": np.zeros((1, 0), np.int8)}, "sizes"),
        ({"vectors": np.zeros((1, 0), np.float32)}, "sizes"),
        ({"vectors": np.zeros((1, 65), np.float32)}, "sizes"),
        ({"rows": np.zeros((9, 50), np.float32)}, "fewer rows"),
        ({"halves": np.zeros((9, 64), np.uint8)}, "fewer rows"),
        ({"terms": np.zeros(9, np.uint32)}, "fewer rows"),
        ({"half_terms": np.zeros(9, np.uint32)}, "fewer rows"),
        ({"wanted": np.array([-1])}, "want"),
        ({"wanted": np.array([], np.int64)}, "sizes"),
        ({"bounds": np.zeros((1, 6))}, "sizes"),
    ],
)
def test_the_compiled_scan_refuses_sizes_that_do_not_fit(change: Any, message: str | None) -> None:
    def scan(
        kernel: str = "portable", count: int = 10, alive: NDArray[np.uint8] | None = None, **arrays: Any
    ) -> list[tuple[bytes, float]]:
        rows = arrays.get("rows", np.zeros((10, 50), np.float32))
        halves = arrays.get("halves", np.zeros((10, 64), np.uint8))
        terms, half_terms = (arrays.get(name, np.zeros(10, np.uint32)) for name in ("terms", "half_terms"))
        parts = (RowBlock(np.zeros((10, 64), np.uint8), terms, halves, half_terms, rows, alive, count),)
        vectors = arrays.get("vectors", np.zeros((1, 50), np.float32))
        factors = arrays.get("factors", np.zeros((1, 64), np.int8))
        wanted, bounds = arrays.get("wanted", np.array([1])), arrays.get("bounds", np.zeros((1, 7)))
        return compiled.scan(kernel, parts, vectors, factors, wanted, bounds)

    if message is None:
        assert len(scan(**change)) == 1
        return
    with pytest.raises(ValueError, match=message):
        scan(**change)


@compiled_only
def test_the_compiled_encoder_refuses_sizes_that_do_not_fit() -> None:
    rows, signs = np.zeros((2, 8), np.float32), np.ones(8, np.float32)
    codes, halves, terms = np.zeros((2, 64), np.uint8), np.zeros((2, 64), np.uint8), np.zeros(2, np.uint32)
    for arguments in [
        (rows[:1], signs, 127, codes, terms, halves, terms),
        (rows, signs, 128, codes, terms, halves, terms),
        (rows, signs, 0, codes, terms, halves, terms),
        (rows, signs, 127, codes.ravel()[:15], terms, halves, terms),
        (rows, signs, 127, codes, terms, halves[:1], terms),
        (rows, signs, 127, codes, terms, halves, terms[:1]),
        (rows, signs[:0], 127, codes, terms, halves, terms),
    ]:
        with pytest.raises(ValueError, match="do not fit"):
            compiled.encode(*arguments)


@compiled_only
def test_a_scan_lets_go_of_every_column(faces: Callable[..., NDArray[np.float32]]) -> None:
    scan, codec = CompiledScan(), Codec(64)
    parts, spread = parts_of(codec, faces(20, 64), (8, 12), dead=(3, 9))
    goal = codec.goal(faces(1, 64, seed=1)[0], spread, limit=scan.limit, wanted=1, minimum_score=-np.inf)
    columns = [column for part in parts for column in part[:-1]]
    before = [sys.getrefcount(column) for column in columns]
    for _ in range(3):
        scan(parts, [goal])
    assert [sys.getrefcount(column) for column in columns] == before


@compiled_only
@pytest.mark.parametrize("part", [None, 1, [b""] * 7, (b"",) * 6, (b"",) * 5 + (None, -1), ()])
def test_what_is_no_part_is_reported(part: Any) -> None:
    request = np.zeros((1, 64), np.float32), np.zeros((1, 64), np.int8), np.zeros(1, np.int64), np.zeros((1, 7))
    with pytest.raises((TypeError, ValueError)):
        compiled.scan(CompiledScan().kernel, (part,), *request)
