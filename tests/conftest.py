"""What every test may ask for."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data() -> Path:
    """Give the folder of test photos and models, which a newcomer's clone does not have."""
    folder = Path(os.environ.get("LIKENESS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "faces").is_dir():
        pytest.skip(f"no test photos at {folder}; set LIKENESS_TEST_DATA to the folder that holds faces/ and hostile/")
    return folder
