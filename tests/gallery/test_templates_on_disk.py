"""With LIKENESS_TEMPLATES=mapped a gallery answers the same, and a disk without room is reported at the start."""

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from composition import composed
from likeness.deployment import Deployment
from likeness.engine.packs.identity import PackIdentity
from likeness.errors import ServiceUnavailable
from likeness.gallery.entries.entry import NewEntry
from likeness.gallery.memory.galleries import LoadedGalleries
from likeness.gallery.repository import GalleryPacks, GalleryRepository
from likeness.gallery.templates.sealing import seal_template
from likeness.index.exact import ExactIndex
from likeness.kit.ids import new_id
from likeness.tenants.service import Tenant

PACK = PackIdentity("fake@1")
ENTRIES = 150


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file begin with few entries."""
    defaults = ExactIndex.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "chunk_rows", 64)


def templates_of(galleries: LoadedGalleries) -> np.ndarray:
    rows = np.random.default_rng(0).standard_normal((ENTRIES, galleries.new_index(PACK).dimension))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def enrol(deployment: Deployment, templates: np.ndarray) -> Tenant:
    tenant = deployment.tenants.create("acme")
    rows = GalleryRepository(tenant.id)

    def write(connection: Any) -> None:
        rows.set_packs(connection, GalleryPacks(PACK, None))
        for template in templates:
            entry_id = new_id()
            sealed = {PACK: seal_template(tenant, template, pack=PACK, entry_id=entry_id)}
            rows.add(connection, NewEntry(entry_id, None, {}, 90, None, 0.0, sealed))

    deployment.database.write_now(write)
    return tenant


def loaded(folder: Path, **settings: Any) -> Any:
    """Give the answers of a loaded gallery, and which of its parts have their templates in memory."""
    with composed(folder, **settings) as (deployment, gallery):
        (tenant,) = deployment.tenants.all()
        asyncio.run(gallery.upkeep.load())
        index = gallery.galleries.ready(tenant.id).snapshot.index
        assert isinstance(index, ExactIndex)
        with index._table.reading() as snapshot:
            in_memory = [part.rows is not None for part in snapshot.parts]
        return [index.search(row, k=9) for row in templates_of(gallery.galleries)], in_memory


def test_answers_are_the_same_and_no_file_is_left(tmp_path: Path) -> None:
    with composed(tmp_path) as (deployment, gallery):
        enrol(deployment, templates_of(gallery.galleries))
    answers, in_memory = loaded(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    filed, on_disk = loaded(tmp_path, templates="mapped")
    assert filed == answers
    assert (set(in_memory), on_disk[:2]) == ({True}, [False, False])
    assert sorted(tmp_path.rglob("*")) == before


def test_a_disk_without_room_is_reported_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with composed(tmp_path) as (deployment, gallery):
        tenant = enrol(deployment, templates_of(gallery.galleries))
    with composed(tmp_path, templates="mapped") as (deployment, gallery):
        galleries = gallery.galleries
        with monkeypatch.context() as full:
            full.setattr(os, "posix_fallocate", no_room)
            asyncio.run(gallery.upkeep.load())
            assert f"the gallery of tenant {tenant.id} is not served: the data folder cannot hold" in caplog.text
            with pytest.raises(ServiceUnavailable, match=r"150 templates \(No space left on device\): make room"):
                galleries.ready(tenant.id)
            # A gallery that was served is loaded again all the same: the rest of it goes to memory.
            galleries.mark_stale(tenant.id)
            asyncio.run(galleries.reload(deployment.database, {tenant.id: tenant}))
        assert len(galleries.ready(tenant.id).snapshot.index) == ENTRIES
