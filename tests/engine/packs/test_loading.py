import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from likeness.engine.packs import loading
from likeness.engine.packs.catalogue import SHIPPED, Catalogue
from likeness.engine.packs.manifest import Manifest
from likeness.engine.packs.store import WeightStore
from likeness.errors import SetupError


class Closed(WeightStore):
    """The store of a machine without the internet that has the weights of one pack."""

    def install(self, manifest: Manifest, **_: Any) -> None:
        if manifest.id != "here":
            raise SetupError("the proxy is mute")


@pytest.fixture
def best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function from names of packs to the pack that ``auto`` takes; the manifest of "broken" is not valid."""
    for name in ("here", "elsewhere", "broken"):
        own = tmp_path / "packs" / name
        own.mkdir(parents=True)
        manifest = json.loads((SHIPPED / "builtin.json").read_text()) | {"id": name}
        (own / "manifest.json").write_text("{" if name == "broken" else json.dumps(manifest))

    def take(*names: Any) -> str | None:
        monkeypatch.setattr(loading, "BEST_FIRST", names)
        return loading._best(Catalogue(tmp_path), Closed(tmp_path)).id

    return take


def test_a_lesser_pack_is_taken_with_a_warning_that_says_why(
    best: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert best("broken", "elsewhere", "here") == "here"
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "elsewhere: the proxy is mute" in warning
    assert "broken: " in warning
    assert "takes the pack here" in warning


def test_the_best_pack_is_taken_without_a_word(best: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    assert best("here", "elsewhere") == "here"
    assert caplog.messages == []


def test_no_pack_at_all_is_reported_with_every_reason(best: Callable[..., Any]) -> None:
    with pytest.raises(SetupError, match=r"elsewhere: the proxy is mute"):
        best("broken", "elsewhere")
