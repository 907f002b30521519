"""The memory of large bodies and photos goes back to the system."""

import platform
import subprocess
import sys

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
