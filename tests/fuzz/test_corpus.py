"""Every input that the fuzzer started from, or found, keeps the promises of its target."""

from pathlib import Path

import pytest

from fuzz.seeds import CORPUS, SEEDS
from fuzz.targets import TARGETS

INPUTS = sorted(path.relative_to(CORPUS) for path in CORPUS.glob("*/*"))


def test_every_target_has_seeds() -> None:
    assert SEEDS.keys() == TARGETS.keys() == {path.name for path in CORPUS.iterdir()}


@pytest.mark.parametrize("path", INPUTS, ids=str)
def test_an_input_keeps_the_promises(path: Path) -> None:
    TARGETS[path.parts[0]]((CORPUS / path).read_bytes())
