import json
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from likeness.errors import SetupError
from likeness.sessions.attestation import loading
from likeness.sessions.attestation.loading import LARGEST_FILE, load_verifier
from likeness.sessions.attestation.play_integrity import PlayIntegrity
from simulated_apps import SimulatedApp


class Further:
    """A verifier of another package."""

    name = "further"

    def __init__(self, options: Any) -> None:
        self.options = options


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "attestation.json"


def test_without_a_file_nothing_is_verified() -> None:
    assert load_verifier(None) is None


def test_the_built_in_verifier_gets_its_options(file: Path) -> None:
    file.write_text(json.dumps({"verifier": "play-integrity", **SimulatedApp().options}))
    assert isinstance(load_verifier(file), PlayIntegrity)


def test_an_installed_package_may_bring_another(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("further", f"{__name__}:Further", loading.ENTRY_POINTS)
    monkeypatch.setattr(loading, "entry_points", lambda group: EntryPoints([point]).select(group=group))
    file.write_text(json.dumps({"verifier": "further", "level": 3}))
    found: Any = load_verifier(file)
    assert isinstance(found, Further)
    assert found.options == {"level": 3}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("{", "no JSON"),
        ("[]", "JSON object"),
        ("{}", "verifier"),
        ('{"verifier": 3}', "verifier"),
        ('{"verifier": "other"}', "no verifier of attestations other. Known: play-integrity"),
        ('{"verifier": "play-integrity"}', "package_name"),
        (" " * (LARGEST_FILE + 1), "JSON object"),
    ],
)
def test_a_wrong_file_is_told(file: Path, content: str, fault: str) -> None:
    file.write_text(content)
    with pytest.raises(SetupError, match=fault):
        load_verifier(file)


def test_a_missing_file_is_told(file: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        load_verifier(file)
