"""The search for the browser of the attacks."""

from pathlib import Path

import pytest

from likeness.errors import SetupError
from likeness.evaluation.liveness.injection_suite.chromium import find_chromium


def test_a_named_browser_is_never_exchanged_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="--chromium"):
        find_chromium()
    installed = tmp_path / "chromium"
    installed.touch(mode=0o755)
    assert find_chromium() == installed
    with pytest.raises(SetupError, match="mine"):
        find_chromium(tmp_path / "mine")
