"""The example of the page docs/packs.md is a valid manifest, and the page names every shipped pack."""

import re
from pathlib import Path

import pytest

from likeness.engine.packs.catalogue import SHIPPED
from likeness.engine.packs.manifest import read_manifest

PAGE = (Path(__file__).parents[3] / "docs" / "packs.md").read_text(encoding="utf-8")


def test_the_worked_example_is_a_manifest(tmp_path: Path) -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "manifest.json").write_text(example)
    mine = read_manifest(tmp_path / "manifest.json")
    assert mine.pack.template_size == 512
    builtin = read_manifest(SHIPPED / "builtin.json")
    assert mine.detector == builtin.detector
    for name in mine.detector.files.values():
        assert mine.file(name).sha256 == builtin.file(name).sha256


@pytest.mark.parametrize("pack", sorted(file.stem for file in SHIPPED.glob("*.json")))
def test_every_shipped_pack_is_named(pack: str) -> None:
    assert f"`{pack}`" in PAGE
