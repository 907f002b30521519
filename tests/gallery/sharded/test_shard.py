"""Parts of galleries, each followed from a real PostgreSQL by several replicas, answer as one index over all rows."""

import contextlib
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection, select

from gallery.operations import NEW, OLD, new_entry
from gallery.sharded.galleries import (
    AMPLE,
    POOLS,
    SCANS,
    Followed,
    RealGallery,
    ask,
    following,
    new_real_gallery,
    query_for,
    real_deployment,
    settings_on,
    template_size,
)
from likeness.engine.packs.identity import PackIdentity
from likeness.errors import NotFound, ServiceUnavailable, SetupError
from likeness.gallery.repository import BLOCK_SPAN, Part
from likeness.gallery.sharded import shard as shard_module
from likeness.gallery.sharded.fan_out import FanOut
from likeness.gallery.sharded.running import RunningShard
from likeness.gallery.templates.blocks import FEWEST_ROWS, seal_span
from likeness.index.base import Answer
from likeness.settings import Settings
from likeness.store.tables import gallery_entries
from likeness.tenants.repository import erase_tenant
from likeness.tenants.service import Tenant

PARTS, REPLICAS = 3, 2


@pytest.mark.parametrize("scan", SCANS)
def test_after_any_history_the_parts_answer_as_one_index(gallery: RealGallery, scan: str) -> None:
    shards: list[list[Followed]] = []
    stop = threading.Event()
    with contextlib.ExitStack() as opened:
        for number in range(PARTS):
            part = Part(number, PARTS)
            shards.append(
                [opened.enter_context(following(gallery.deployment, part, scan=scan)) for _ in range(REPLICAS)]
            )
        threads = [threading.Thread(target=each.follower.run, args=(stop,)) for replicas in shards for each in replicas]
        for thread in threads:
            thread.start()
        fan_out, searched, wrong = FanOut(shards), 0, []
        for _ in range(12):
            gallery.leap()
            gallery.change(12)
            truth = gallery.truth()
            for pack in (OLD, NEW):
                queries = gallery.queries(pack, 8)
                for query, found in zip(queries, ask(fan_out, queries), strict=True):
                    searched += len(truth.indexes[pack]) > 0
                    wrong += [(query, found)] if not truth.gives(found, query) else []
        stop.set()
        gallery.change(1)  # wakes the followers
        for thread in threads:
            thread.join(60)
    assert wrong == []
    assert searched > 150
    sizes = [len(held) for held in map(keys_of, (replicas[0] for replicas in shards))]
    assert min(sizes) > 0


def keys_of(followed: Followed) -> set[int]:
    """Give the keys of all entries that a shard has found templates of."""
    keys: set[int] = set()
    for held in followed.shard._held.values():
        for pack, index in held.indexes.items():
            keys |= {hit.key for hit in index.above(POOLS[pack][0], -2.0).hits}
    return keys


def test_a_part_is_loaded_from_its_blocks_and_from_rows(gallery: RealGallery) -> None:
    database, spans = gallery.deployment.database, range(1, 7)
    for span in spans:
        gallery.leap_to(span)
        for _ in range(FEWEST_ROWS + span):
            database.write_now(lambda c: gallery.rows.add(c, new_entry(OLD, seal=gallery.sound_seal)))
    for span in spans[:-1]:
        assert database.write_now(lambda c, span=span: seal_span(c, gallery.tenant, {OLD: template_size(OLD)}, span))  # type: ignore[misc]
    sealed = database.read_now(lambda c: gallery.rows.block_spans(c, OLD))
    assert list(sealed) == list(spans[:-1])
    database.write_now(lambda c: gallery.rows.erase(c, entry_in(gallery, c, 3)))  # its span has no block any more
    truth = gallery.truth()
    for parts in (1, 2, 4):
        with contextlib.ExitStack() as opened:
            shards = [[opened.enter_context(following(gallery.deployment, Part(n, parts)))] for n in range(parts)]
            for (each,) in shards:
                each.follower.step()
            queries = gallery.queries(OLD, 8)
            assert truth.give(ask(FanOut(shards), queries), queries)
            held = [keys_of(each) for (each,) in shards]
            assert sum(len(keys) for keys in held) == len(set().union(*held)) == len(truth.indexes[OLD])
            assert all(Part(n, parts).has(key) for n, keys in enumerate(held) for key in keys)


def entry_in(gallery: RealGallery, connection: Connection, span: int) -> str:
    query = (
        select(gallery_entries.c.id).where(gallery_entries.c.key >= span * BLOCK_SPAN).order_by(gallery_entries.c.key)
    )
    return connection.execute(query.limit(1)).scalar_one()


def test_a_shard_behind_its_number_refuses_and_then_answers(gallery: RealGallery) -> None:
    with following(gallery.deployment, Part(0, 1)) as each:
        with pytest.raises(ServiceUnavailable, match="not applied change 1"):
            each.shard.search(query_for(gallery), seconds=0)
        each.follower.step()
        gallery.deployment.database.write_now(lambda c: gallery.rows.add(c, new_entry(OLD, seal=gallery.sound_seal)))
        assert each.shard.search(query_for(gallery, 1), seconds=0).answer.hits == ()
        with pytest.raises(ServiceUnavailable, match="not applied change 2") as refused:
            each.shard.search(query_for(gallery), seconds=0)
        assert refused.value.headers["Retry-After"]
        each.follower.step()
        found = each.shard.search(query_for(gallery), seconds=0)
        assert (len(found.answer.hits), found.answer.size, found.number) == (1, 1, 2)


def test_a_gallery_too_large_is_refused_and_others_are_served(
    gallery: RealGallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, database = new_real_gallery(gallery.deployment, "other"), gallery.deployment.database
    entries = [new_entry(OLD, seal=gallery.sound_seal) for _ in range(300)]
    for entry in entries:
        database.write_now(lambda c, entry=entry: gallery.rows.add(c, entry))  # type: ignore[misc]
    with following(gallery.deployment, Part(0, 1), limit_bytes=100 * 4 * template_size(OLD)) as each:
        each.follower.step()
        with pytest.raises(ServiceUnavailable, match="not served"):
            each.shard.search(query_for(gallery), seconds=60)
        assert each.shard.search(query_for(other), seconds=0).answer.size == 0
        status = each.shard.status
        assert (status.galleries, status.refused) == (1, 1)
        for entry in entries[20:]:
            database.write_now(lambda c, entry=entry: gallery.rows.erase(c, entry.id))  # type: ignore[misc]
        each.follower.step()
        assert each.shard.status.refused == 1  # too soon for another try
        monkeypatch.setattr(shard_module, "REFUSED_SECONDS", -1.0)
        each.shard._refuse(gallery.tenant.id, RuntimeError())
        database.write_now(lambda c: gallery.rows.erase(c, entries[0].id))
        each.follower.step()
        assert each.shard.search(query_for(gallery), seconds=0).answer.size == 19
        assert 0 < each.shard.status.nbytes <= each.shard.status.limit_bytes


def test_a_gallery_that_grows_too_large_is_refused(gallery: RealGallery) -> None:
    with following(gallery.deployment, Part(0, 1), limit_bytes=100 * 4 * template_size(OLD)) as each:
        each.follower.step()
        assert each.shard.search(query_for(gallery), seconds=0).answer.size == 0
        for _ in range(300):
            gallery.deployment.database.write_now(
                lambda c: gallery.rows.add(c, new_entry(OLD, seal=gallery.sound_seal))
            )
        each.follower.step()
        with pytest.raises(ServiceUnavailable, match="not served"):
            each.shard.search(query_for(gallery), seconds=60)
        assert each.shard.status.nbytes == 0


def test_a_gallery_whose_key_is_lost_is_refused(gallery: RealGallery) -> None:
    with following(gallery.deployment, Part(0, 1)) as each:

        def lost(_tenant_id: str) -> Tenant:
            raise SetupError("the key does not open")

        each.shard._open_tenant = lost
        each.follower.step()
        with pytest.raises(ServiceUnavailable, match="not served"):
            each.shard.search(query_for(gallery), seconds=60)


def test_an_erased_gallery_is_gone_with_its_key(gallery: RealGallery) -> None:
    tenants = gallery.deployment.tenants
    with following(gallery.deployment, Part(0, 1)) as each:
        each.follower.step()
        query = query_for(gallery)
        assert each.shard.search(query, seconds=0).number == 1
        gallery.deployment.database.write_now(lambda c: erase_tenant(c, gallery.tenant.id))
        each.follower.step(seconds=60)
        with pytest.raises(ServiceUnavailable):
            each.shard.search(query, seconds=0)
        assert gallery.tenant.id not in tenants._opened
        with pytest.raises(NotFound):
            tenants.by_id(gallery.tenant.id)


def test_a_search_of_a_pack_without_templates_finds_nothing(gallery: RealGallery) -> None:
    gallery.deployment.database.write_now(lambda c: gallery.rows.add(c, new_entry(OLD, seal=gallery.sound_seal)))
    with following(gallery.deployment, Part(0, 1)) as each:
        each.follower.step()
        query = replace(query_for(gallery), pack=PackIdentity("other@1"))
        assert each.shard.search(query, seconds=0).answer == Answer((), certified=True, size=0)
        with pytest.raises(ValueError, match="numbers"):
            each.shard.search(replace(query, pack=OLD, template=np.ones(3, np.float32)), seconds=0)


@pytest.mark.parametrize("number", [-1, 2])
def test_a_part_has_its_number_below_the_count(number: int) -> None:
    with pytest.raises(ValueError, match="no part"):
        Part(number, 2)


def test_a_running_shard_opens_the_deployment_and_follows_new_galleries(tmp_path: Path, postgres_url: str) -> None:
    settings = settings_on(tmp_path, postgres_url)
    with pytest.raises(SetupError, match="PostgreSQL"):
        RunningShard(Settings(data_dir=tmp_path), Part(0, 1), limit_bytes=AMPLE)
    with real_deployment(settings) as deployment:
        running = RunningShard(settings, Part(0, 1), limit_bytes=AMPLE)
        for name in ("first", "second"):
            gallery = new_real_gallery(deployment, name)
            gallery.change(20)
            for pack in (OLD, NEW):
                for query in gallery.queries(pack, 4):
                    assert gallery.truth().gives(running.search(query, seconds=60), query)
        assert running.status.galleries == 2
        running.stop()
        gallery.change(1)
        running.close()
