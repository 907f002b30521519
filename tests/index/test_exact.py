"""After any history, the exact index and the reference index give the same answers, bit for bit."""

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from likeness.index import codes, compiled
from likeness.index.base import Answer
from likeness.index.codes import Goal, scales_of
from likeness.index.exact import ExactIndex, least_bytes
from likeness.index.faiss_scan import FaissScan
from likeness.index.reference import ReferenceIndex
from likeness.index.scans import Candidates, CompiledScan, RowBlock, Scan
from likeness.index.scores import best_hits, exact_scores

SCANS = st.sampled_from([*(name for name, _ in compiled.kernels()), "faiss"] if compiled.BUILT else ["faiss"])
FOLDERS = st.sampled_from([None, Path(tempfile.gettempdir())])
"""Where templates are in a file, if they are not in memory."""
KEYS = st.one_of(st.integers(0, 12), st.sampled_from([2**62, 2**63 - 1]))


def pool_of(dimension: int) -> np.ndarray:
    """Give vectors with many ties and near-ties.

    They are a few vectors, copies an ulp or a little off, and a zero, a tiny and a long vector.
    """
    random = np.random.default_rng(dimension)
    few = random.standard_normal((4, dimension))
    few /= np.linalg.norm(few, axis=1, keepdims=True)
    single = few.astype(np.float32)
    nudged = np.nextafter(single, np.float32(2))
    close = (few + 1e-4 * random.standard_normal(few.shape)).astype(np.float32)
    odd = np.stack([np.zeros(dimension), np.full(dimension, 1e-42), np.eye(dimension)[0], -few[0], few[0] * 1.5])
    return np.concatenate([single, nudged, close, odd.astype(np.float32)])


@st.composite
def histories(draw: Callable[..., Any]) -> Any:
    """Draw a dimension and a list of steps on an index."""
    dimension = draw(st.sampled_from([1, 2, 3, 8, 65]))
    vectors = st.integers(0, len(pool_of(dimension)) - 1)
    thresholds = st.sampled_from([-math.inf, -1.0, -0.5, 0.0, 1e-45, 0.3, 0.999, 1.0, 3.0, math.inf])
    step = st.one_of(
        st.tuples(st.just("add"), KEYS, vectors),
        st.tuples(st.just("add_many"), st.lists(st.tuples(KEYS, vectors), max_size=8)),
        st.tuples(st.just("fill"), st.integers(1, 300), vectors),
        st.tuples(st.just("remove"), KEYS),
        st.tuples(st.just("remove"), KEYS),
        st.tuples(st.just("search"), vectors, st.integers(1, 20), thresholds),
        st.tuples(st.just("above"), vectors, thresholds),
    )
    return dimension, draw(st.lists(step, max_size=25))


@settings(max_examples=150)
@given(histories(), SCANS, st.sampled_from([64, 16384]), FOLDERS)
def test_every_history_gives_the_answers_of_the_reference(
    history: Any, scan: str, chunk_rows: int, folder: Path | None
) -> None:
    dimension, steps = history
    pool = pool_of(dimension)
    exact = ExactIndex(
        dimension,
        scan=FaissScan(dimension) if scan == "faiss" else CompiledScan(scan),
        chunk_rows=chunk_rows,
        folder=folder,
    )
    reference = ReferenceIndex(dimension)
    for name, *arguments in steps:
        for index in (exact, reference):
            match name, *arguments:
                case "add", key, vector:
                    index.add(key, pool[vector])
                case "add_many", entries:
                    index.add_many([key for key, _ in entries], pool[[vector for _, vector in entries]])
                case "fill", count, vector:
                    turned = np.roll(np.repeat(pool[vector : vector + 1], count, axis=0), 1, axis=1)
                    index.add_many(range(100, 100 + count), turned)
        match name, *arguments:
            case "remove", key:
                assert exact.remove(key) == reference.remove(key)
            case "search", vector, k, minimum:
                answer = exact.search(pool[vector], k=k, minimum_score=minimum)
                assert answer == reference.search(pool[vector], k=k, minimum_score=minimum)
            case "above", vector, minimum:
                assert exact.above(pool[vector], minimum) == reference.above(pool[vector], minimum)
        assert len(exact) == len(reference)
        assert all((key in exact) == (key in reference) for key in range(13))
    for vector in pool:
        assert exact.search(vector, k=400) == reference.search(vector, k=400)


@pytest.fixture(scope="module", params=[96, 128, 512])
def brute_force(
    request: pytest.FixtureRequest,
) -> tuple[NDArray[np.float32], NDArray[np.float32], list[NDArray[np.float32]]]:
    """Give rows with duplicates and near-ties, queries of enrolled persons and of others, and all exact scores."""
    random = np.random.default_rng(request.param)
    identities = random.standard_normal((1000, request.param))

    def photos(persons: np.ndarray) -> np.ndarray:
        photos = persons + 0.6 * random.standard_normal(persons.shape)
        return (photos / np.linalg.norm(photos, axis=1, keepdims=True)).astype(np.float32)

    rows = photos(np.repeat(identities, 4, axis=0))
    rows[3000:3100] = rows[:100]
    rows[3100:3200] = np.nextafter(rows[:100], np.float32(1))
    queries = np.concatenate(
        [rows[:100], photos(identities[:170]), photos(random.standard_normal((70, request.param)))]
    )
    return rows, queries, [exact_scores(rows, query) for query in queries]


@pytest.mark.parametrize("kind", ["memory", "file", "file, rash"])
def test_no_answer_is_wrong(
    make_scan: Callable[[int], Scan],
    brute_force: tuple[NDArray[np.float32], NDArray[np.float32], list[NDArray[np.float32]]],
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each scan answers over a thousand queries in three dimensions. Every answer is certified, and none is wrong.

    A rash search takes estimates of scores for exact, so that it is often made again.
    """
    if kind == "file, rash":
        monkeypatch.setattr(codes, "_DEVIATIONS", 0.0)
    rows, queries, scores = brute_force
    folder = None if kind == "memory" else tmp_path
    index = ExactIndex(rows.shape[1], scan=make_scan(rows.shape[1]), chunk_rows=1024, folder=folder)
    keys = np.random.default_rng(0).permutation(len(rows))
    index.add_many(keys, rows)
    wrong = uncertified = 0
    for number, (query, exact) in enumerate(zip(queries, scores, strict=True)):
        k, minimum = (1, 1, 10, 100)[number % 4], (-math.inf, 0.2)[number // 4 % 2]
        answer = index.search(query, k=k, minimum_score=minimum)
        wrong += answer.hits != best_hits(keys, exact, k=k, minimum_score=minimum)
        uncertified += not answer.certified
    assert (wrong, uncertified) == (0, 0)


@pytest.fixture(params=[ReferenceIndex, ExactIndex])
def make_index(request: pytest.FixtureRequest) -> type[ExactIndex | ReferenceIndex]:
    return request.param


def test_an_empty_index_finds_nothing(make_index: type[ExactIndex | ReferenceIndex]) -> None:
    index = make_index(4)
    query = np.ones(4, np.float32) / 2
    assert (len(index), 3 in index, index.remove(3)) == (0, False, False)
    for answer in (index.search(query, k=5), index.above(query, -1.0), index.above(query, 0.3)):  # type: ignore[arg-type]
        assert answer == Answer((), certified=True, size=0)


def test_an_index_emptied_finds_nothing_and_can_be_filled_again(
    make_index: type[ExactIndex | ReferenceIndex],
) -> None:
    index, eye = make_index(3), np.eye(3, dtype=np.float32)
    for _ in range(3):
        index.add_many([1, 2, 3], eye)
        assert index.search(eye[1]).hits[0].key == 2
        assert all(index.remove(key) for key in (1, 2, 3))
        assert index.search(eye[1], k=3).hits == ()
        assert len(index) == 0


def test_more_hits_wanted_than_there_are_gives_all(make_index: type[ExactIndex | ReferenceIndex]) -> None:
    index, eye = make_index(3), np.eye(3, dtype=np.float32)
    index.add_many([5, 4], eye[:2])
    assert [(hit.key, hit.score) for hit in index.search(eye[0], k=10**12).hits] == [(5, 1.0), (4, 0.0)]


def test_equal_scores_rank_by_key(make_index: type[ExactIndex | ReferenceIndex]) -> None:
    index = make_index(2)
    index.add_many([9, 2, 7], np.tile(np.array([0.6, 0.8], np.float32), (3, 1)))
    assert [hit.key for hit in index.search(np.array([1, 0], np.float32), k=2).hits] == [2, 7]


def test_the_last_of_equal_keys_wins(make_index: type[ExactIndex | ReferenceIndex]) -> None:
    index, eye = make_index(3), np.eye(3, dtype=np.float32)
    index.add_many([1, 2, 1], eye)
    assert len(index) == 2
    assert [hit.key for hit in index.above(eye[2], 0.5).hits] == [1]
    assert index.above(eye[0], 0.5).hits == ()


def test_a_threshold_is_reached_by_equality(make_index: type[ExactIndex | ReferenceIndex]) -> None:
    index = make_index(2)
    index.add(1, np.array([0.6, 0.8], np.float32))
    score = index.search(np.array([0.3, 0.7], np.float32)).hits[0].score
    assert index.above(np.array([0.3, 0.7], np.float32), score).hits[0].score == score
    assert index.above(np.array([0.3, 0.7], np.float32), math.nextafter(score, 2)).hits == ()


@pytest.mark.parametrize("scale", [0.0, 1e-45, 1e-38, 1e-20, 1.9])
def test_odd_queries_are_answered_exactly(scale: float, faces: Callable[..., NDArray[np.float32]]) -> None:
    index, reference = ExactIndex(64), ReferenceIndex(64)
    for each in (index, reference):
        each.add_many(range(300), faces(300, 64))
    query = (faces(1, 64, seed=1)[0] * scale).astype(np.float32)
    assert index.search(query, k=7) == reference.search(query, k=7)
    assert index.above(query, 0.0) == reference.above(query, 0.0)


BAD_VECTORS = [
    np.full(4, np.nan, np.float32),
    np.array([1, np.inf, 0, 0], np.float32),
    np.ones(3, np.float32),
    np.ones((1, 4), np.float32),
    np.full(4, 3e38, np.float32),
    np.array(1, np.float32),
]


@pytest.mark.parametrize("vector", BAD_VECTORS)
def test_bad_vectors_are_refused_and_change_nothing(
    make_index: type[ExactIndex | ReferenceIndex], vector: NDArray[np.float32]
) -> None:
    index = make_index(4)
    with pytest.raises(ValueError, match=r"expected|finite"):
        index.search(vector)
    with pytest.raises(ValueError, match=r"expected|finite"):
        index.above(vector, 0.5)
    with pytest.raises(ValueError, match=r"expected|finite"):
        index.add(1, vector)
    assert len(index) == 0


@pytest.mark.parametrize("key", [-1, 2**63, 2**70])
def test_bad_keys_are_refused(make_index: type[ExactIndex | ReferenceIndex], key: int) -> None:
    index, row = make_index(2), np.array([[1, 0]], np.float32)
    with pytest.raises(ValueError, match="key"):
        index.add(key, row[0])
    with pytest.raises(ValueError, match="key"):
        index.add_many([key], row)
    with pytest.raises(ValueError, match="key"):
        index.remove(key)


def test_bad_arguments_are_refused(make_index: type[ExactIndex | ReferenceIndex]) -> None:
    index, query = make_index(2), np.array([1, 0], np.float32)
    with pytest.raises(ValueError, match="counts from 1"):
        index.search(query, k=0)
    with pytest.raises(ValueError, match="not a number"):
        index.search(query, minimum_score=math.nan)
    with pytest.raises(ValueError, match="not a number"):
        index.above(query, math.nan)
    with pytest.raises(ValueError, match="2 keys for 1"):
        index.add_many([1, 2], query[np.newaxis])


def test_what_was_added_is_a_copy(make_index: type[ExactIndex | ReferenceIndex]) -> None:
    index, row = make_index(2), np.array([1, 0], np.float32)
    index.add(1, row)
    row[:] = 0
    assert index.search(np.array([1, 0], np.float32)).hits[0].score == 1.0


class Liar:
    """A scan with wrong dot products: they are too large or too small."""

    def __init__(self, error: float) -> None:
        self.error = error
        self.honest = FaissScan(64)
        self.limit = self.honest.limit

    def __call__(self, parts: tuple[RowBlock], goals: list[Goal]) -> list[Candidates]:
        return self.honest(tuple(map(self._misread, parts)), goals)

    def _misread(self, part: RowBlock) -> RowBlock:
        # Only the rows in use. The memory after them has arbitrary numbers, which may overflow.
        scales = scales_of(part.terms[: part.size]) * np.float32(1 + self.error)
        return part._replace(terms=scales.view(np.uint32))


@pytest.mark.parametrize("error", [0.5, -0.5])
def test_an_answer_whose_proof_fails_is_not_certified(error: float, faces: Callable[..., NDArray[np.float32]]) -> None:
    rows = faces(2000, 64, photos=1)
    index = ExactIndex(64, scan=Liar(error))  # type: ignore[arg-type]
    index.add_many(range(2000), rows)
    assert not any(index.search(row).certified for row in rows[:10])


def test_memory_per_template_is_reported(faces: Callable[..., NDArray[np.float32]]) -> None:
    index = ExactIndex(128)
    index.add_many(range(20_000), faces(20_000, 128))
    assert 128 * 5 < index.bytes_per_template < 128 * 5 * 1.4
    assert least_bytes(20_000, 128) < index.nbytes < 1.5 * least_bytes(20_000, 128)
    assert ExactIndex(128).bytes_per_template >= 0


def test_templates_in_a_file_take_no_memory(tmp_path: Path, faces: Callable[..., NDArray[np.float32]]) -> None:
    rows = faces(3000, 128)
    index, filed = ExactIndex(128, chunk_rows=1024), ExactIndex(128, chunk_rows=1024, folder=tmp_path)
    for each in (index, filed):
        each.reserve(3000)
        each.add_many(range(3000), rows)
    assert filed.bytes_per_template < index.bytes_per_template - 4 * 128 + 16
