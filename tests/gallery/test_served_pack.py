"""The choice of the pack that a deployment serves."""

import pytest

from likeness.gallery.served_pack import AUTO, Choice, choose_pack


@pytest.mark.parametrize(
    ("setting", "recorded", "answering", "moving", "choice"),
    [
        (AUTO, None, set(), False, Choice(AUTO)),
        ("best", None, set(), False, Choice("best")),
        (AUTO, "old", set(), False, Choice("old")),
        (AUTO, "old", {"old@1"}, False, Choice("old")),
        (AUTO, "old", {"new@1"}, True, Choice("old")),
        (AUTO, "old", {"new@1"}, False, Choice("new")),
        (AUTO, "old", {"old@1", "new@1"}, False, Choice("old")),
        ("old", "old", {"old@1"}, False, Choice("old")),
        ("old", "old", {"new@1"}, True, Choice("old")),
        ("new", "old", set(), False, Choice("new")),
        ("new", "old", {"new@1"}, True, Choice("new")),
        ("new", "old", {"old@1"}, False, Choice("new", contradicts=True)),
        ("new", "old", {"old@1", "new@1"}, True, Choice("new", contradicts=True)),
        ("third", "old", {"new@1"}, False, Choice("third", contradicts=True)),
    ],
)
def test_a_deployment_follows_its_setting_and_its_galleries(
    setting: str, recorded: str | None, answering: set[str], moving: bool, choice: Choice
) -> None:
    assert choose_pack(setting, recorded, answering, moving=moving) == choice
