"""The listening sockets, and the end by a signal."""

import asyncio
import contextlib
import re
import signal
import socket
import time
from pathlib import Path

import pytest
import uvloop

from likeness.server.running import ACCEPTS, SIGNALS, bind, ended_by_signals
from processes import server_process
from servers import test_settings


def test_all_who_wait_are_accepted_in_one_turn_of_the_event_loop(tmp_path: Path) -> None:
    """Otherwise a caller waits one turn of the loop for each connection before it."""
    turns = 0

    def count() -> None:
        nonlocal turns
        turns += 1
        asyncio.get_running_loop().call_soon(count)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        accepted: list[int] = []

        class Caller(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                accepted.append(turns)
                transport.close()

        listeners = bind(test_settings(tmp_path).model_copy(update={"port": 0}))
        servers = [await loop.create_server(Caller, sock=listener) for listener in listeners]
        address = listeners[0].getsockname()
        with contextlib.ExitStack() as callers:
            for _ in range(ACCEPTS):
                callers.enter_context(socket.create_connection(address))
            count()
            end = time.monotonic() + 30
            while len(accepted) < ACCEPTS:
                assert time.monotonic() < end
                await asyncio.sleep(0)
        for server in servers:
            server.close()
        assert max(accepted) - min(accepted) <= 1

    uvloop.run(run())


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_ends_the_block_well_whatever_it_interrupts(number: signal.Signals) -> None:
    """During the import of a compiled module, a signal becomes an ImportError."""

    def interrupted_import() -> None:
        try:
            signal.raise_signal(number)
        except SystemExit as error:
            raise ImportError("initialization failed") from error

    with pytest.raises(SystemExit) as ended, ended_by_signals():
        interrupted_import()
    assert ended.value.code == 0


def test_a_failure_without_a_signal_stays_a_failure() -> None:
    with pytest.raises(ImportError), ended_by_signals():
        raise ImportError("initialization failed")


def test_a_signal_that_comes_during_the_collection_of_garbage_is_sent_again() -> None:
    class Garbage:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    def collect_and_wait() -> None:
        one = Garbage()
        del one
        time.sleep(30)

    with pytest.raises(SystemExit) as ended, ended_by_signals():
        collect_and_wait()
    assert ended.value.code == 0


@pytest.mark.parametrize("engine", ["threads", "processes"])
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux has prctl(2)")
def test_a_server_and_its_processes_are_hardened(tmp_path: Path, engine: str) -> None:
    with server_process(tmp_path / "data", pack="fake", workers=1, engine=engine) as server:
        assert server.process is not None
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
        assert len(children) == (engine == "processes")
        for process in (server.process.pid, *children):
            status = dict(re.findall(r"(\w+):\s+(.*)", Path(f"/proc/{process}/status").read_text()))
            limits = Path(f"/proc/{process}/limits").read_text()
            assert status["NoNewPrivs"] == "1"
            assert re.search(r"Max core file size\s+0\s+0\s", limits)
