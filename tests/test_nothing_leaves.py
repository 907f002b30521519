"""A server connects to no outside address, and writes no file outside its folders, unless a setting says so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from closed_network import can_be_made, seen, watched
from lacking import skip_here

TESTS = Path(__file__).parent


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    if os.geteuid() or not can_be_made():
        skip_here("a closed network needs root and a kernel with namespaces")
    homes = {name: str(tmp_path / name) for name in ("HOME", "TMPDIR")}
    for home in homes.values():
        Path(home).mkdir()
    ours = ("LIKENESS_", "XDG_", "ORT_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | homes


def test_a_closed_network_tells_who_was_asked_for_and_tried(environment: dict[str, str]) -> None:
    talkative = (
        "import contextlib, socket\n"
        "for host in ('name.example', '203.0.113.1', '2001:db8::1'):\n"
        "    with contextlib.suppress(OSError): socket.create_connection((host, 443), 2)\n"
    )
    report = seen(watched(sys.executable, "-c", talkative, environment=environment))
    assert set(report["asked"]) == {"name.example"}
    assert report["unreachable"] == 2


def test_a_server_that_matches_and_idles_talks_to_nobody(environment: dict[str, str], tmp_path: Path) -> None:
    done = watched(sys.executable, str(TESTS / "serve_and_idle.py"), str(tmp_path / "data"), environment=environment)
    assert done.returncode == 0, done.stderr
    assert seen(done) == {"asked": [], "unreachable": 0}
    assert {entry.name for entry in tmp_path.iterdir()} == {"HOME", "TMPDIR", "data"}
    left = [str(file) for home in ("HOME", "TMPDIR") for file in (tmp_path / home).rglob("*")]
    assert left == []


@pytest.mark.parametrize(
    ("egress", "outcome", "asked"),
    [
        ("none", "LIKENESS_EGRESS forbids webhooks", set()),
        ("webhooks", "not reached (gaierror)", {"receiver.example"}),
        ("all", "not reached (gaierror)", {"receiver.example"}),
    ],
)
def test_a_server_connects_to_no_more_than_its_egress(
    environment: dict[str, str], tmp_path: Path, egress: str, outcome: str, asked: set[str]
) -> None:
    script, folder = str(TESTS / "serve_and_deliver.py"), str(tmp_path / "data")
    done = watched(sys.executable, script, folder, egress, environment=environment)
    assert done.returncode == 0, done.stderr
    assert f"outcome: {outcome}" in done.stderr
    assert (set(seen(done)["asked"]), seen(done)["unreachable"]) == (asked, 0)


def test_telemetry_is_off_whatever_the_environment_says() -> None:
    shown = "import likeness, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = os.environ | {"ORT_DISABLE_TELEMETRY": "0"}
    done = subprocess.run([sys.executable, "-c", shown], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
