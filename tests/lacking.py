"""The skip of a test on a machine that lacks a program or a right."""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from likeness.errors import SetupError
from likeness.evaluation.liveness.injection_suite.chromium import find_chromium


def skip_here(reason: str) -> NoReturn:
    """Skip the test. In the project's own check, which installs all that its tests need, fail it."""
    if os.environ.get("CI"):
        pytest.fail(f"the project's check must not skip this test: {reason}")
    pytest.skip(reason)


def needed_chromium() -> Path:
    """Give the Chromium of this machine."""
    try:
        return find_chromium()
    except SetupError as error:
        skip_here(str(error))


def needed_program(name: str, *, of: str) -> str:
    """Give the path of a program of this Python's environment, of the path, or of the system's folder."""
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin"]
    found = shutil.which(name, path=os.pathsep.join(folders))
    if found is None:
        skip_here(f"{name} is not installed ({of})")
    return found
