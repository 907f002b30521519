"""The house keeps its shape."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
LONGEST_MODULE_LINES = 500


def test_imports_run_one_way() -> None:
    # In a process of its own: it sets up logging, and silences every logger that there is.
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_long_modules_give_a_reason() -> None:
    for module in (REPOSITORY / "src").rglob("*.py"):
        lines = module.read_text().splitlines()
        assert len(lines) <= LONGEST_MODULE_LINES or "lines" in lines[0], f"{module} has {len(lines)} lines"


def test_the_composition_root_is_short() -> None:
    assert len((REPOSITORY / "src" / "likeness" / "app.py").read_text().splitlines()) <= 150
