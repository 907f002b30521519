import dataclasses
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from likeness.engine.photo import decoding as photos
from likeness.engine.photo.budget import PixelBudget
from likeness.errors import InvalidImage
from photo_files import empty_png, plain_jpeg


def test_threads_never_hold_more_than_there_is() -> None:
    budget, held, most = PixelBudget(10), 0, 0
    lock = threading.Lock()

    def work(size: int) -> None:
        nonlocal held, most
        taken = budget.take(size)
        with lock:
            held += taken
            most = max(most, held)
        time.sleep(0.001)
        with lock:
            held -= taken
        budget.give_back(taken)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [1, 3, 7, 10, 4, 2, 9, 5] * 8))
    assert most <= 10
    assert budget.take(10) == 10


def test_what_asks_for_more_than_there_is_gets_all() -> None:
    budget = PixelBudget(10)
    assert budget.take(11) == 10
    budget.give_back(10)
    assert budget.take(10) == 10


def test_a_small_photo_does_not_wait() -> None:
    budget = PixelBudget(10, small=2)
    assert budget.take(10) == 10
    assert budget.take(2) == 0
    budget.give_back(0)
    budget.give_back(10)
    assert budget.take(10) == 10


def test_a_large_photo_is_not_passed_over() -> None:
    budget, order = PixelBudget(10), list[str]()
    budget.take(6)

    def ask(name: str, size: int) -> None:
        taken = budget.take(size)
        order.append(name)
        budget.give_back(taken)

    threads = []
    for name, size in (("large", 9), ("small", 1)):
        threads.append(threading.Thread(target=ask, args=(name, size)))
        threads[-1].start()
        while len(budget._waiting) < len(threads):
            time.sleep(0.001)
    assert order == []
    budget.give_back(6)
    for thread in threads:
        thread.join()
    assert sorted(order) == ["large", "small"]
    assert budget.take(10) == 10


@pytest.mark.parametrize("photo", [plain_jpeg(640, 480), empty_png(640, 480, 8, 2)])
def test_a_picture_holds_the_memory_of_its_pixels_until_it_is_closed(photo: bytes) -> None:
    budget = PixelBudget(1 << 30)
    header = photos.read_header(photo)
    with photos.Picture(header, budget) as picture:
        picture.at(4)
        picture.at(1)
        assert budget._free == (1 << 30) - header.bytes_at(1)
    assert budget._free == 1 << 30


def test_a_photo_that_cannot_be_decoded_gives_its_memory_back() -> None:
    budget = PixelBudget(1 << 30)
    photo = empty_png(64, 64, 8, 2)
    header = photos.read_header(photo)
    damaged = dataclasses.replace(header, stream=b"")
    with pytest.raises(InvalidImage), photos.Picture(damaged, budget) as picture:
        picture.at(1)
    assert budget._free == 1 << 30
