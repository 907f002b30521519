"""A search of all parts asks siblings of replicas that fail, and gives no partial answer."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from gallery.sharded.galleries import Followed, RealGallery, ask, following, query_for
from likeness.errors import ServiceUnavailable
from likeness.gallery.repository import Part
from likeness.gallery.sharded.fan_out import FanOut


@pytest.fixture
def shards(gallery: RealGallery) -> Iterator[list[list[Followed]]]:
    """Give two parts with two replicas each, which have all of the gallery."""
    gallery.change(30)
    with contextlib.ExitStack() as opened:
        parts = [
            [opened.enter_context(following(gallery.deployment, Part(number, 2))) for _ in range(2)]
            for number in range(2)
        ]
        for each in (each for replicas in parts for each in replicas):
            each.follower.step()
        yield parts


def test_the_sibling_of_a_replica_that_fails_is_asked(gallery: RealGallery, shards: list[list[Followed]]) -> None:
    shards[0][1].fails = shards[1][0].fails = True
    query = query_for(gallery)
    asked = [query] * 20
    assert gallery.truth().give(ask(FanOut(shards), asked), asked)
    assert max(shards[0][1].searches, shards[1][0].searches) < 20  # it is avoided for a while


def test_a_replica_that_is_not_ready_is_asked_last(gallery: RealGallery, shards: list[list[Followed]]) -> None:
    fan_out, asked = FanOut(shards), [query_for(gallery)] * 10
    fan_out.note_ready([[False, True], [True, False]])
    assert gallery.truth().give(ask(fan_out, asked), asked)
    assert [[each.searches for each in replicas] for replicas in shards] == [[0, 10], [10, 0]]
    shards[0][1].fails = True
    assert gallery.truth().give(ask(fan_out, asked), asked)


def test_a_replica_that_is_late_leaves_time_for_its_sibling(gallery: RealGallery, shards: list[list[Followed]]) -> None:
    gallery.change(1)
    for replicas in shards:
        replicas[0].follower.step()  # the other one stays behind
    query = query_for(gallery)
    assert gallery.truth().give(ask(FanOut(shards), [query], seconds=2), [query])


def test_a_part_that_cannot_answer_leaves_no_partial_answer(gallery: RealGallery, shards: list[list[Followed]]) -> None:
    shards[1][0].fails = shards[1][1].fails = True
    with pytest.raises(ServiceUnavailable, match="1 of 2 parts") as refused:
        ask(FanOut(shards), [query_for(gallery)])
    assert refused.value.headers["Retry-After"]
    shards[1][1].fails = False
    assert ask(FanOut(shards), [query_for(gallery)])


def test_a_part_that_is_late_leaves_no_partial_answer(gallery: RealGallery, shards: list[list[Followed]]) -> None:
    ahead = query_for(gallery, gallery.number + 1)
    with pytest.raises(ServiceUnavailable, match="0 of 2 parts"):
        ask(FanOut(shards), [ahead], seconds=0.2)


def test_a_wrong_search_is_an_error_of_the_caller(gallery: RealGallery, shards: list[list[Followed]]) -> None:
    with pytest.raises(ValueError, match="numbers"):
        ask(FanOut(shards), [replace(query_for(gallery), template=np.ones(3, np.float32))])
    with pytest.raises(ValueError, match="replica"):
        FanOut([shards[0], []])
