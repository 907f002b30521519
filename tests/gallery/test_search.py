"""How a server handles an answer without proof, and the settings of its scans."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from likeness.engine.fake import fake_photo
from likeness.gallery import search
from likeness.index.exact import ExactIndex
from servers import calling, serving, test_settings

PHOTO = fake_photo(1, size=(160, 120))


def test_an_answer_without_proof_is_logged_as_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[str] = []
    proven = ExactIndex.search
    monkeypatch.setattr(
        ExactIndex, "search", lambda *asked, **options: replace(proven(*asked, **options), certified=False)
    )
    monkeypatch.setattr(search.log, "error", errors.append)
    with serving(test_settings(tmp_path)) as server, calling(server) as api:
        assert api.search(PHOTO).json()["certified"] is False
    assert [message for message in errors if "without proof" in message]


def test_the_settings_of_scans_reach_the_index(tmp_path: Path) -> None:
    with serving(test_settings(tmp_path, scan_threads=2, scans_at_once=3)) as server, calling(server) as api:
        api.insert(PHOTO)
        assert api.search(PHOTO).json()["oneToNVerificationMatch"] is True
        index: Any = server.galleries.ready(api.tenant.id).snapshot.index
        assert index._combiner._at_once == 3
        if hasattr(index._scan, "_threads"):  # the compiled scan's
            assert index._scan._threads == 2
