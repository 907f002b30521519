"""The galleries that refuse their calls."""

from likeness.gallery.memory.refusals import RELOADING, Refusals


def test_a_gallery_that_becomes_stale_while_it_is_loaded_is_loaded_once_more() -> None:
    refusals = Refusals()
    refusals.mark_stale("a")
    assert (refusals.reason("a"), refusals.stale, refusals.reloading) == (RELOADING, {"a"}, True)
    refusals.loading("a")
    refusals.mark_stale("a")
    refusals.lift("a")
    assert (refusals.reason("a"), refusals.stale) == (RELOADING, {"a"})
    refusals.loading("a")
    refusals.lift("a")
    assert (refusals.reason("a"), refusals.stale, refusals.reloading) == (None, frozenset(), False)


def test_a_gallery_whose_packs_are_missing_is_not_loaded_again() -> None:
    refusals = Refusals()
    refusals.mark_stale("a")
    refusals.loading("a")
    refusals.refuse("a", "It is not served.")
    assert (refusals.reason("a"), refusals.stale, refusals.reloading) == ("It is not served.", frozenset(), False)
    assert refusals.reason("b") is None
