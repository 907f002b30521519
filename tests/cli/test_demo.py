"""``likeness demo --once``: every call on real photos, with the pack that needs nothing but a package index."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(400)
def test_every_call_is_as_promised(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = {"LIKENESS_DATA_DIR": str(tmp_path / "data"), "LIKENESS_PORT": str(port), "LIKENESS_PACK": "builtin"}
    command = [sys.executable, "-m", "likeness", "demo", "--once"]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, timeout=380, check=False)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    held, rows = map(int, re.findall(r"(\d+) of (\d+) as promised", told)[0])
    assert held == rows > 40
    assert "✗" not in told
