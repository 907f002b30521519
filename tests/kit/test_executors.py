import asyncio
import gc
import threading
import traceback
import weakref

import pytest

from likeness.errors import ServiceUnavailable
from likeness.kit.executors import SizedExecutor


def test_work_runs_on_a_named_thread_and_its_error_comes_back() -> None:
    async def main() -> None:
        executor = SizedExecutor("photo", workers=1, queue_limit=1)
        assert (await executor.run(lambda: threading.current_thread().name)).startswith("photo")
        assert await executor.run(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await executor.run(divmod, 1, 0)
        executor.close()

    asyncio.run(main())


def test_a_full_queue_refuses_at_once_and_recovers() -> None:
    async def main() -> None:
        executor = SizedExecutor("photo", workers=2, queue_limit=3)
        go = threading.Event()
        waiting = [asyncio.ensure_future(executor.run(go.wait)) for _ in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(ServiceUnavailable, match="full") as refused:
            await executor.run(go.wait)
        assert refused.value.headers["Retry-After"]
        go.set()
        await asyncio.gather(*waiting)
        assert await asyncio.gather(*(executor.run(abs, -n) for n in range(5))) == list(range(5))
        executor.close()

    asyncio.run(main())


def test_a_caller_that_leaves_keeps_its_place_until_its_work_ends() -> None:
    async def main() -> None:
        executor = SizedExecutor("photo", workers=1, queue_limit=0)
        go, ended = threading.Event(), threading.Event()

        def work() -> None:
            go.wait()
            ended.set()

        caller = asyncio.ensure_future(executor.run(work))
        await asyncio.sleep(0.01)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        with pytest.raises(ServiceUnavailable):
            await executor.run(abs, 1)
        go.set()
        await asyncio.to_thread(ended.wait)
        while True:  # the place is released just after the work has ended
            try:
                assert await executor.run(abs, -1) == 1
                break
            except ServiceUnavailable:
                await asyncio.sleep(0.001)
        executor.close()

    asyncio.run(main())


def test_a_closed_executor_refuses_what_comes_and_what_waits() -> None:
    async def main() -> None:
        executor = SizedExecutor("photo", workers=1, queue_limit=5)
        go = threading.Event()
        running = asyncio.ensure_future(executor.run(go.wait))
        waiting = asyncio.ensure_future(executor.run(go.wait))
        await asyncio.sleep(0.01)
        closing = asyncio.create_task(asyncio.to_thread(executor.close))
        with pytest.raises(ServiceUnavailable, match="stopping"):
            await waiting
        go.set()
        assert await running
        await closing
        for _ in range(10):  # a refusal takes no place
            with pytest.raises(ServiceUnavailable, match="stopping"):
                await executor.run(abs, 1)

    asyncio.run(main())


def test_a_place_is_free_as_soon_as_its_answer_is_there() -> None:
    async def main() -> None:
        executor = SizedExecutor("photo", workers=1, queue_limit=0)
        for number in range(500):
            assert await executor.run(abs, -number) == number
            with pytest.raises(ZeroDivisionError):
                await executor.run(divmod, 1, 0)
        executor.close()

    asyncio.run(main())


def test_work_of_a_caller_who_left_before_it_began_is_left_out() -> None:
    async def main() -> None:
        executor = SizedExecutor("photo", workers=1, queue_limit=1)
        go, done = threading.Event(), list[str]()
        running = asyncio.ensure_future(executor.run(go.wait))
        waiting = asyncio.ensure_future(executor.run(done.append, "work"))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go.set()
        assert await running
        while True:
            try:
                await executor.run(abs, 1)
                break
            except ServiceUnavailable:
                await asyncio.sleep(0.001)
        assert done == []
        executor.close()

    asyncio.run(main())


def test_nothing_is_said_to_an_event_loop_that_is_closed() -> None:
    executor, go = SizedExecutor("photo", workers=1), threading.Event()

    async def main() -> None:
        asyncio.ensure_future(executor.run(go.wait)).cancel()
        running = asyncio.ensure_future(executor.run(go.wait))
        await asyncio.sleep(0.01)
        running.cancel()

    asyncio.run(main())
    go.set()
    executor.close()


def test_an_error_and_its_work_are_let_go_of_at_once() -> None:
    class Photo:
        pass

    def refuse(photo: Photo) -> None:
        raise ValueError

    async def main() -> weakref.ref[Photo]:
        executor, photo = SizedExecutor("photo", workers=1), Photo()
        try:
            await executor.run(refuse, photo)
        except ValueError as error:
            error.__traceback__ = None
        executor.close()
        return weakref.ref(photo)

    gc.disable()
    try:
        assert asyncio.run(main())() is None
    finally:
        gc.enable()


def test_an_error_that_is_kept_holds_nothing_of_its_work() -> None:
    class Pixels:
        pass

    def decode(pixels: Pixels) -> None:
        error = ValueError(pixels is not None)  # this frame refers to the error, which refers to this frame
        raise error

    def refuse() -> None:
        pixels = Pixels()
        made.append(weakref.ref(pixels))
        try:
            decode(pixels)
        except ValueError:
            raise ArithmeticError from None

    async def main() -> ArithmeticError:
        executor = SizedExecutor("photo", workers=1)
        with pytest.raises(ArithmeticError) as raised:
            await executor.run(refuse)
        executor.close()
        return raised.value

    made: list[weakref.ref[Pixels]] = []
    gc.disable()
    try:
        error = asyncio.run(main())
        assert made[0]() is None
        assert "refuse" in "".join(traceback.format_exception(error))
    finally:
        gc.enable()
