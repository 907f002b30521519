"""The memory of large bodies and photos goes back to the system, and nobody else gets it."""

import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

BLOCKS = """
import threading
from pathlib import Path
from likeness.kit.memory import give_large_blocks_back

def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

kept = []

def work():
    for _ in range(3):  # glibc adapts to freed blocks
        large = []
        for _ in range(10):
            large.append(b"x" * (8 << 20))
            kept.append([b"y" * 1000 for _ in range(100)])

give_large_blocks_back()
before = resident_bytes()
for _ in range(4):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
print(resident_bytes() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library's memory")
def test_large_blocks_go_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 32 << 20


on_linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux has prctl(2)")
FAULTY = """
import ctypes, os, pathlib, resource, subprocess
from likeness.kit.memory import harden_process

if {hardened}:
    harden_process()
print(ctypes.CDLL(None).prctl(3))  # PR_GET_DUMPABLE
print(resource.getrlimit(resource.RLIMIT_CORE) == (0, 0))
print(subprocess.run(["grep", "NoNewPrivs", "/proc/self/status"], capture_output=True, text=True).stdout.split()[1], flush=True)
os.kill(os.getpid(), {signal})
"""


def end_by_fault(*, hardened: bool) -> tuple[list[str], int]:
    """Run a program that ends by a fault. Give what it printed, and its status as wait(2) gives it."""
    program = FAULTY.format(hardened=hardened, signal=int(signal.SIGSEGV))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        printed = child.stdout.read().split()
        _, status = os.waitpid(child.pid, 0)
        child.returncode = status
    return printed, status


@on_linux
def test_a_hardened_process_dumps_no_core_and_starts_none_with_more_rights() -> None:
    printed, status = end_by_fault(hardened=True)
    assert printed == ["0", "True", "1"]
    assert os.WTERMSIG(status) == signal.SIGSEGV
    assert not os.WCOREDUMP(status)


@on_linux
def test_without_it_the_process_could_be_read() -> None:
    printed, _ = end_by_fault(hardened=False)
    assert printed[0] == "1"
