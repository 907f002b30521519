"""The kernel's refusal of connections. Each test runs it in a process of its own, because it cannot be undone."""

import logging
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from lacking import skip_here
from likeness.kit.sandbox import filters
from likeness.server import egress
from likeness.server.egress import close_egress
from servers import test_settings

BEFORE = """
import asyncio, contextlib, ctypes, errno, os, socket, subprocess, sys, threading
from likeness.kit.memory import harden_process
from likeness.kit.sandbox import filters

def refused(call):
    with contextlib.suppress(PermissionError):
        call()
        return False
    return True

listener = socket.create_server(("127.0.0.1", 0))
caller = socket.create_connection(listener.getsockname())
harden_process()
"""
CLOSED = BEFORE + "assert filters.forbid_sockets() is None\n"


def run(program: str) -> None:
    if sys.platform != "linux" or platform.machine() not in filters._MACHINES:
        skip_here("the filter is for Linux on x86-64 and on 64-bit ARM")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_before_the_filter_sockets_can_be_made() -> None:
    run(BEFORE + "assert not refused(lambda: socket.socket(socket.AF_INET))")


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_NETLINK"])
@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM", "SOCK_RAW"])
def test_no_socket_of_a_network_can_be_made(family: str, kind: str) -> None:
    run(CLOSED + f"assert refused(lambda: socket.socket(socket.{family}, socket.{kind}))")


def test_a_thread_that_ran_before_is_bound_too() -> None:
    program = """
go, found = threading.Event(), []
thread = threading.Thread(target=lambda: (go.wait(), found.append(refused(socket.socket))))
thread.start()
assert filters.forbid_sockets() is None
go.set()
thread.join()
assert found == [True]
"""
    run(BEFORE + program)


def test_a_program_that_it_starts_is_bound_too() -> None:
    inner = "import socket; socket.socket()"
    program = f"""
done = subprocess.run([sys.executable, "-c", {inner!r}], capture_output=True, text=True)
assert "PermissionError" in done.stderr
"""
    run(CLOSED + program)


def test_libraries_in_other_languages_are_bound_too() -> None:
    program = """
import obstore, psycopg
from datetime import timedelta
from obstore.store import S3Store
store = S3Store("b", endpoint="http://127.0.0.1:%d" % listener.getsockname()[1], skip_signature=True,
                client_options={"allow_http": True, "connect_timeout": timedelta(seconds=1)},
                retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)})
for call in (lambda: obstore.get(store, "a"), lambda: psycopg.connect("host=127.0.0.1 connect_timeout=2")):
    try:
        call()
    except Exception as error:
        assert not isinstance(error, AssertionError)
    else:
        raise AssertionError("it connected")
listener.accept()
listener.settimeout(0.3)
try:
    listener.accept()
except TimeoutError:
    pass
else:
    raise AssertionError("it reached the listener")
"""
    run(CLOSED + program)


def test_what_was_opened_goes_on_and_local_sockets_work() -> None:
    program = """
accepted, _ = listener.accept()
accepted.sendall(b"x")
assert caller.recv(1) == b"x"
socket.socket(socket.AF_UNIX).close()
left, right = socket.socketpair()

async def serve():
    answered = await asyncio.start_server(lambda _, write: (write.write(b"y"), write.close()), sock=listener)
    await asyncio.sleep(0)
    answered.close()
asyncio.run(serve())
"""
    run(CLOSED + program)


def test_io_uring_is_no_way_around() -> None:
    program = """
assert ctypes.CDLL(None, use_errno=True).syscall(425, 1, 0) == -1
assert ctypes.get_errno() == errno.ENOSYS
"""
    run(CLOSED + program)


@pytest.mark.parametrize(
    "call", ["os.execv(sys.executable, [sys.executable])", "subprocess.run([sys.executable, '-c', ''])"]
)
def test_a_confined_process_starts_no_program(call: str) -> None:
    confined = BEFORE + "assert filters.confine() is None\n"
    run(confined + f"assert refused(lambda: {call})\nassert refused(lambda: socket.socket(socket.AF_INET))")
    run(confined + "thread = threading.Thread(target=len, args=('',)); thread.start(); thread.join()")


def test_a_confined_process_reads_no_memory_of_others() -> None:
    program = """
assert filters.confine() is None
for number in filters._MACHINES[os.uname().machine].others[2:]:
    assert ctypes.CDLL(None, use_errno=True).syscall(number, 0, 0, 0, 0, 0, 0) == -1
    assert ctypes.get_errno() == errno.EACCES
"""
    run(BEFORE + program)


@pytest.mark.parametrize(
    "settings",
    [
        {"database_url": "postgresql+psycopg://db/likeness"},
        {"images_url": "s3://photos"},
        {"key_provider": "vault:transit/likeness"},
    ],
)
def test_where_the_network_is_needed_a_warning_says_what_the_kernel_does_not(
    tmp_path: Path, settings: dict[str, str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress, "forbid_sockets", lambda: pytest.fail("a server that needs the network was cut off"))
    with caplog.at_level(logging.WARNING):
        close_egress(test_settings(tmp_path, egress="none", **settings))
        assert "limit the process with a firewall" in caplog.text
        close_egress(test_settings(tmp_path, egress="webhooks"))
        close_egress(test_settings(tmp_path))


def test_a_kernel_that_cannot_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "pdp11")
    with caplog.at_level(logging.WARNING):
        close_egress(test_settings(tmp_path, egress="none"))
    assert "is not enforced by the kernel" in caplog.text
