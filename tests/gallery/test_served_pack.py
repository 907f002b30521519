"""The choice of the pack that a deployment serves."""

from pathlib import Path

import pytest

from composition import composed
from likeness.engine.packs.identity import PackId, PackIdentity
from likeness.engine.pipeline import PackEngine
from likeness.gallery.served_pack import AUTO, Choice, choose_pack, load_pack


@pytest.mark.parametrize(
    ("setting", "recorded", "answering", "moving", "pack", "contradicts"),
    [
        (AUTO, None, set(), False, AUTO, False),
        ("best", None, set(), False, "best", False),
        (AUTO, "old", set(), False, "old", False),
        (AUTO, "old", {"old@1"}, False, "old", False),
        (AUTO, "old", {"new@1"}, True, "old", False),
        (AUTO, "old", {"new@1"}, False, "new", False),
        (AUTO, "old", {"old@1", "new@1"}, False, "old", False),
        ("old", "old", {"old@1"}, False, "old", False),
        ("old", "old", {"new@1"}, True, "old", False),
        ("new", "old", set(), False, "new", False),
        ("new", "old", {"new@1"}, True, "new", False),
        ("new", "old", {"old@1"}, False, "new", True),
        ("new", "old", {"old@1", "new@1"}, True, "new", True),
        ("third", "old", {"new@1"}, False, "third", True),
    ],
)
def test_a_deployment_follows_its_setting_and_its_galleries(
    setting: str, recorded: str | None, answering: set[str], moving: bool, pack: str, contradicts: bool
) -> None:
    made_with = PackId(recorded) if recorded else None
    choice = choose_pack(PackId(setting), made_with, {*map(PackIdentity, answering)}, moving=moving)
    assert choice == Choice(PackId(pack), contradicts=contradicts)


@pytest.mark.parametrize("accepted", [False, True])
def test_the_setting_for_jpeg_2000_reaches_the_engine(tmp_path: Path, accepted: bool) -> None:
    with composed(tmp_path, jpeg2000=accepted) as (deployment, _):
        engine = load_pack(deployment, PackId("builtin"))
    assert isinstance(engine, PackEngine)
    assert engine.jpeg_2000 is accepted
