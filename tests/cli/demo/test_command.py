"""``likeness demo``: every call on real photos, with the pack that needs only a package index."""

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
from typer.testing import CliRunner

from likeness.cli import app
from likeness.cli.demo import command
from likeness.cli.demo.photos import load_photos
from likeness.cli.demo.proof import Proof, Row


def settings(folder: Path, pack: str) -> dict[str, str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    own = {"LIKENESS_DATA_DIR": str(folder / "data"), "LIKENESS_PORT": str(port), "LIKENESS_PACK": pack}
    return dict(os.environ | own)


@contextlib.contextmanager
def staying(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", str, str]]:
    """Run a demo that stays up. Give its process, its whole output, and the server's address."""
    environment = settings(folder, "builtin")
    command = [sys.executable, "-m", "likeness", "demo"]
    with subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            output = ""
            while "targetImage=@" not in output:
                line = process.stdout.readline()
                assert line, output
                output += line
            yield process, output, f"http://127.0.0.1:{environment['LIKENESS_PORT']}"
        finally:
            process.terminate()


@pytest.mark.timeout(400)
def test_every_call_is_as_promised_and_what_is_printed_can_be_tried(tmp_path: Path) -> None:
    with staying(tmp_path) as (process, output, server):
        held, rows = map(int, re.findall(r"(\d+) of (\d+) as promised", output)[0])
        assert held == rows > 40, output
        assert "✗" not in output
        printed = output[output.index("TOKEN=$(") :]
        called = subprocess.run(["sh", "-c", printed], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert '"matchLevel"' in called.stdout, called.stdout + called.stderr
        page = re.findall(r"http://localhost:\d+", output)[0].replace("localhost", "127.0.0.1")
        assert "Try a face session" in httpx.get(page).text
        opened = httpx.post(f"{page}/sessions", content=load_photos().astronaut)
        assert opened.json()["captureUrl"].startswith(f"{server}/capture/")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in {0, -signal.SIGTERM}
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{server}/healthz")


@pytest.mark.parametrize("ok", [True, False])
def test_the_exit_status_of_a_demo_that_ends_says_whether_all_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ok: bool
) -> None:
    for name, value in settings(tmp_path, "fake").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(command, "_server", lambda _: contextlib.nullcontext())
    monkeypatch.setattr("likeness.cli.demo.command.signal.signal", lambda *_: None)
    monkeypatch.setattr(Proof, "before_restart", lambda _: [Row("call", "asked", "came back", ok=True, milliseconds=1)])
    monkeypatch.setattr(Proof, "after_restart", lambda _: [Row("call", "asked", "came back", ok=ok, milliseconds=1)])
    ended = CliRunner().invoke(app, ["demo", "--once"])
    assert (ended.exit_code, f"{1 + ok} of 2 as promised" in ended.stdout) == (not ok, True)
