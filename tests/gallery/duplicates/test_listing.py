"""The report of a gallery's pairs: their entries, and the levels that they reach."""

import asyncio
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from composition import composed
from likeness.deployment import Deployment
from likeness.engine.fake import FakeEngine
from likeness.engine.packs.identity import PackIdentity
from likeness.gallery.duplicates import listing
from likeness.gallery.duplicates.listing import DuplicateListing, ListedPair
from likeness.gallery.duplicates.pairs import Templates
from likeness.gallery.entries.entry import NewEntry
from likeness.gallery.repository import GalleryRepository
from likeness.store.images import ImageStore
from likeness.tenants.service import Tenant

PACK = PackIdentity("fake@1")


def enrol(deployment: Deployment, tenant: Tenant, *ids: str) -> list[int]:
    def add(each: str) -> int:
        entry = NewEntry(each, f"ref {each}", {}, 90, None, 0.0, {})
        return deployment.database.write_now(lambda c: GalleryRepository(tenant.id).add(c, entry))

    return [add(each) for each in ids]


def angled(keys: list[int], *degrees: float) -> Templates:
    """Give templates in a plane. The score of two is the cosine of the angle between them."""
    angles = np.radians(degrees)
    return Templates(PACK, np.array(keys), np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))


@pytest.mark.parametrize("at_once", [1, 400])
def test_all_pairs_are_reported_and_the_best_are_given_best_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(listing, "_LOOKED_UP_AT_ONCE", at_once)
    with composed(tmp_path / "data") as (deployment, _):
        acme = deployment.tenants.create("acme")
        keys = enrol(deployment, acme, "a", "b", "c", "d")
        group, reported, done = angled(keys, 0, 4, 6, 90), list[ListedPair](), list[int]()
        search = DuplicateListing(deployment.database, acme, {PACK: FakeEngine()}, 5)
        best = search.find([group], most=2, report=reported.append, progress=lambda _, count: done.append(count))
    assert search.found == 3
    assert {(pair.first.id, pair.second.id) for pair in reported} == {("a", "b"), ("a", "c"), ("b", "c")}
    assert {(pair.level, pair.pack) for pair in reported} == {(5, PACK)}
    assert [(pair.first, pair.second) for pair in best] == [(keys[1], keys[2]), (keys[0], keys[1])]
    assert [pair.score for pair in best] == pytest.approx([np.cos(np.radians(2)), np.cos(np.radians(4))])
    assert done == [4]


def test_a_pair_of_an_erased_entry_is_counted_and_not_reported(tmp_path: Path) -> None:
    with composed(tmp_path / "data") as (deployment, _):
        acme = deployment.tenants.create("acme")
        keys = [*enrol(deployment, acme, "a", "b"), 9999]
        reported = list[ListedPair]()
        search = DuplicateListing(deployment.database, acme, {PACK: FakeEngine()}, 5)
        best = search.find([angled(keys, 0, 1, 2)], most=9, report=reported.append, progress=lambda *_: None)
        with closing(ImageStore(deployment.settings.images_address)) as images:
            shown = asyncio.run(search.pictured(best, images))
    assert search.found == len(best) == 3
    assert [(pair.first.id, pair.second.id) for pair in reported] == [("a", "b")]
    (pair,) = shown
    assert [(side.entry_id, side.external_id, side.face) for side in pair.sides] == [
        ("a", "ref a", None),
        ("b", "ref b", None),
    ]
    assert pair.false_match_rate <= 1e-6


def test_without_a_table_no_entry_is_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with composed(tmp_path / "data") as (deployment, _):
        acme = deployment.tenants.create("acme")
        monkeypatch.setattr(GalleryRepository, "find_keys", lambda *_: pytest.fail("an entry was looked up"))
        search = DuplicateListing(deployment.database, acme, {PACK: FakeEngine()}, 5)
        assert len(search.find([angled([1, 2], 0, 1)], most=9, report=None, progress=lambda *_: None)) == 1
