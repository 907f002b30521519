"""``likeness demo --once``: every call on real photos, with the pack that needs nothing but a package index."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from likeness.engine.fake import fake_photo


def settings(folder: Path, pack: str) -> dict[str, str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    own = {"LIKENESS_DATA_DIR": str(folder / "data"), "LIKENESS_PORT": str(port), "LIKENESS_PACK": pack}
    return dict(os.environ | own)


@contextlib.contextmanager
def staying(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", str, str]]:
    """Run a demo that stays up; give its process, all that it printed, and the server's address."""
    environment = settings(folder, "fake")
    command = [sys.executable, "-m", "likeness", "demo"]
    with subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = ""
            while "targetImage=@" not in told:
                line = process.stdout.readline()
                assert line, told
                told += line
            yield process, told, f"http://127.0.0.1:{environment['LIKENESS_PORT']}"
        finally:
            process.terminate()


@pytest.mark.timeout(400)
def test_every_call_is_as_promised(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "likeness", "demo", "--once"]
    environment = settings(tmp_path, "builtin")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=380, check=False)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    held, rows = map(int, re.findall(r"(\d+) of (\d+) as promised", told)[0])
    assert held == rows > 40
    assert "✗" not in told


@pytest.mark.timeout(300)
def test_a_demo_that_stays_can_be_tried_as_it_says_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with staying(tmp_path) as (process, told, server):
        printed = told[told.index("TOKEN=$(") :]
        called = subprocess.run(["sh", "-c", printed], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert '"matchLevel"' in called.stdout, called.stdout + called.stderr
        page = re.findall(r"http://localhost:\d+", told)[0].replace("localhost", "127.0.0.1")
        assert "Try a face session" in httpx.get(page).text
        opened = httpx.post(f"{page}/sessions", content=fake_photo(1))
        assert opened.json()["captureUrl"].startswith(f"{server}/capture/")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in {0, -signal.SIGTERM}
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{server}/healthz")
