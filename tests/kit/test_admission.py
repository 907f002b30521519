import itertools

import pytest

from likeness.errors import ServiceUnavailable
from likeness.kit.admission import LAPSE_SECONDS, ROUNDS, Admission, Place
from likeness.kit.clock import MovableClock

PHOTO_SECONDS = 0.05
WORKERS = 2
ROOM = 20
"""Photos that two workers analyse in half a second."""
KIB = 1024


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(0.0)


@pytest.fixture
def admission(clock: MovableClock) -> Admission:
    return Admission(workers=WORKERS, wait_seconds=0.5, body_bytes=1000 * KIB, monotonic=clock.now)


def flood(admission: Admission, tenant: str, *, photos: int = 2, size: int = KIB, asked: int = 1000) -> list[Place]:
    """Ask until a refusal. Give the places."""
    places = []
    for _ in range(asked):
        try:
            places.append(admission.ask(tenant, photos=photos, size=size))
        except ServiceUnavailable:
            return places
        places[-1].arrived(size)
    return places


def learn(admission: Admission, seconds: float) -> None:
    for _ in range(100):
        place = admission.ask("teacher", photos=1, size=0)
        place.analysed(seconds)
        place.leave()


def test_the_line_is_as_long_as_the_time_allows(admission: Admission) -> None:
    assert len(flood(admission, "a")) == ROOM / 2
    assert (
        len(flood(admission, "b", photos=1)) == ROOM / 2
    )  # tenants take turns, so as much work of "a" goes before b's last photo


@pytest.mark.parametrize(("seconds", "room"), [(0.01, 100), (0.1, 10), (5.0, ROUNDS * WORKERS)])
def test_the_line_follows_what_photos_take(admission: Admission, seconds: float, room: int) -> None:
    learn(admission, seconds)
    assert len(flood(admission, "a", photos=1)) == pytest.approx(room, abs=1)


def test_photos_that_are_refused_at_a_glance_do_not_make_the_line_endless(admission: Admission) -> None:
    learn(admission, 0)
    assert len(flood(admission, "a", photos=1)) <= 2 * WORKERS * 100


def test_one_tenants_flood_leaves_another_its_place(admission: Admission) -> None:
    flood(admission, "a")
    admission.ask("b", photos=2, size=KIB)
    with pytest.raises(ServiceUnavailable):
        admission.ask("a", photos=2, size=KIB)


def test_too_many_tenants_at_once_are_bounded_as_well(admission: Admission) -> None:
    for number in range(ROOM):
        admission.ask(f"tenant {number}", photos=1, size=KIB)
    with pytest.raises(ServiceUnavailable):
        admission.ask("one more", photos=1, size=KIB)


def test_tenants_who_flood_come_to_have_the_same(admission: Admission) -> None:
    """A tenant that filled the queue alone gets no new place until it has only its share."""
    line = {"a": flood(admission, "a"), "b": flood(admission, "b")}
    for tenant in itertools.islice(
        itertools.cycle("ab"), 40
    ):  # one request is answered, then both tenants ask for more
        line[tenant].pop().leave()
        for other in "ab":
            line[other] += flood(admission, other)
    assert abs(len(line["a"]) - len(line["b"])) <= 1
    assert 2 * (len(line["a"]) + len(line["b"])) >= ROOM


def test_each_photo_that_is_done_makes_room(admission: Admission) -> None:
    places = flood(admission, "a")
    for place in places[:2]:
        place.analysed(PHOTO_SECONDS)
    assert len(flood(admission, "a")) == 1


def test_bytes_run_out_and_a_tenant_leaves_some_for_others(admission: Admission) -> None:
    places = flood(admission, "a", photos=1, size=100 * KIB)
    assert len(places) == 8
    admission.ask("b", photos=1, size=100 * KIB)
    with pytest.raises(ServiceUnavailable):
        admission.ask("c", photos=1, size=200 * KIB)
    places[0].leave()
    admission.ask("c", photos=1, size=200 * KIB)


def test_a_body_without_a_length_keeps_what_it_turns_out_to_be(admission: Admission) -> None:
    for _ in range(5):
        admission.ask("a", photos=1, size=500 * KIB).arrived(10 * KIB)
    admission.ask("a", photos=1, size=900 * KIB)


def test_whoever_leaves_gives_everything_back(admission: Admission) -> None:
    """Also without a body, in the middle of the work, and twice."""
    for _ in range(3):
        places = [admission.ask("a", photos=2, size=70 * KIB) for _ in range(ROOM // 2)]
        places[0].arrived(70 * KIB)
        places[0].analysed(PHOTO_SECONDS)
        places[1].arrived(KIB)
        for place in places * 2:
            place.leave()
        places[1].analysed(PHOTO_SECONDS)  # a worker finishes a photo that no caller waits for
    admission.ask("a", photos=2, size=1000 * KIB)


def test_bodies_that_do_not_come_hold_up_nobody(admission: Admission, clock: MovableClock) -> None:
    late = [admission.ask("a", photos=2, size=KIB) for _ in range(ROOM // 2)]
    with pytest.raises(ServiceUnavailable):
        admission.ask("a", photos=2, size=KIB)
    clock.move(LAPSE_SECONDS)
    places = flood(admission, "a")
    assert len(places) == ROOM / 2
    with pytest.raises(ServiceUnavailable):  # its place lapsed, and others have it now
        late[0].arrived(KIB)
    for place in places:
        place.leave()
    late[1].arrived(KIB)
    assert len(flood(admission, "a")) == ROOM / 2 - 1


@pytest.mark.parametrize(("seconds", "waits"), [(PHOTO_SECONDS, {1, 2}), (2.1, {9})])
def test_a_refused_caller_learns_when_the_line_is_shorter(
    admission: Admission, seconds: float, waits: set[int]
) -> None:
    learn(admission, seconds)
    flood(admission, "a")
    headers = set()
    for _ in range(100):
        with pytest.raises(ServiceUnavailable) as refused:
            admission.ask("a", photos=2, size=KIB)
        headers.add(int(refused.value.headers["Retry-After"]))
    assert headers <= waits | {max(waits) + 1}
    assert len(headers) > 1  # not all come back together
