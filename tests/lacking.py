"""The skip of a test on a machine that lacks a program or a right."""

import os
from typing import NoReturn

import pytest


def skip_here(reason: str) -> NoReturn:
    """Skip the test. In the project's own check, which installs all that its tests need, fail it."""
    if os.environ.get("CI"):
        pytest.fail(f"the project's check must not skip this test: {reason}")
    pytest.skip(reason)
