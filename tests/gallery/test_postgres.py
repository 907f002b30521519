"""A gallery on a real PostgreSQL. After a restart, acknowledged entries are there and erased ones are not."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import delete, text

from likeness.engine.fake import fake_photo
from likeness.errors import SetupError
from likeness.gallery import repository
from likeness.gallery.repository import GalleryRepository
from likeness.gallery.templates import blocks
from likeness.gallery.templates.blocks import seal_span
from likeness.store.database import Database
from likeness.store.tables import gallery_entries
from servers import Api, Server, calling, serving, test_settings, wait_until

SIZE = (160, 120)
PEOPLE = 40


def enrolled(api: Api, person: int) -> str:
    reply = api.insert(fake_photo(person, size=SIZE))
    assert reply.status_code == 200, reply.text
    return str(reply.json()["oneToNVerificationId"])


def found(api: Api, person: int, **fields: bool) -> str | None:
    reply = api.search(fake_photo(person, size=SIZE), **fields)
    assert reply.status_code == 200, reply.text
    assert reply.json()["certified"]
    return reply.json()["oneToNVerificationId"]


@pytest.mark.parametrize("sealed", [False, True])
def test_what_was_answered_outlives_a_restart(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch, sealed: bool
) -> None:
    for module in (blocks, repository):
        monkeypatch.setattr(module, "BLOCK_SPAN", 8)
    monkeypatch.setattr(blocks, "FEWEST_ROWS", 2 if sealed else PEOPLE)  # the upkeep may seal too
    settings = test_settings(tmp_path, database_url=postgres_url)
    with serving(settings) as server, calling(server) as api, ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda person: enrolled(api, person), range(PEOPLE)))
        assert len(set(pool.map(lambda _: found(api, PEOPLE, insert=True), range(8))) - {None}) == 1
        snapshot = server.galleries.ready(api.tenant.id).snapshot
        sizes = {pack: index.dimension for pack, index in snapshot.indexes.items()}
        for span in range(PEOPLE // 8 if sealed else 0):
            server.deployment.database.write_now(lambda c, span=span: seal_span(c, api.tenant, sizes, span))  # type: ignore[misc]
        assert api.call("DELETE", f"/api/v1/face/one-to-n/{ids[0]}").status_code == 204
        assert api.insert(fake_photo(90, size=SIZE), externalId="a").status_code == 200
        assert api.insert(fake_photo(91, size=SIZE), externalId="a").status_code == 409
        spans = server.deployment.database.read_now(
            lambda c: GalleryRepository(api.tenant.id).block_spans(c, snapshot.pack)
        )
        assert set(spans) >= ({1, 2, 3, 4} if sealed else set())
        assert sealed or not spans
    with serving(settings) as server:
        gallery = server.galleries.ready(api.tenant.id)
        assert len(gallery.snapshot.index) == PEOPLE + 1
        with calling(server) as other:
            assert found(other, 1) is None
            api.server, api.http, api.headers = server, other.http, {}
            api.headers = {"Authorization": f"Bearer {api.token()}"}
            assert [found(api, person) for person in range(PEOPLE)] == [None, *ids[1:]]


def test_galleries_are_loaded_anew_at_once_when_another_was_owner(tmp_path: Path, postgres_url: str) -> None:
    with serving(test_settings(tmp_path, database_url=postgres_url)) as server, calling(server) as api:
        database, galleries = server.deployment.database, server.galleries
        database.claim()
        ids = [enrolled(api, person) for person in (1, 2)]
        other = Database(postgres_url)
        end_writing_connection(database)
        wait_until(lambda: claimed(other))
        wait_until(lambda: readiness(server) == (503, "suspended"))
        assert api.search(fake_photo(1, size=SIZE)).status_code == 503
        other.write_now(lambda c: c.execute(delete(gallery_entries).where(gallery_entries.c.id == ids[1])))
        other.close()
        wait_until(lambda: readiness(server) == (200, "ready"))
        assert len(galleries.ready(api.tenant.id).snapshot.index) == 1
        assert [found(api, person) for person in (1, 2)] == [ids[0], None]


def test_a_dropped_connection_costs_no_loading_where_nobody_else_was_owner(tmp_path: Path, postgres_url: str) -> None:
    with serving(test_settings(tmp_path, database_url=postgres_url)) as server, calling(server) as api:
        database, galleries = server.deployment.database, server.galleries
        database.claim()
        entry = enrolled(api, 1)
        index = galleries.ready(api.tenant.id).snapshot.index
        for _ in range(3):
            end_writing_connection(database)
            wait_until(lambda: api.insert(fake_photo(2, size=SIZE)).status_code == 200)
            assert readiness(server) == (200, "ready")
            assert found(api, 1) == entry
        assert galleries.ready(api.tenant.id).snapshot.index is index
        assert len(index) == 4


def end_writing_connection(database: Database) -> None:
    own = database.write_now(lambda c: c.execute(text("SELECT pg_backend_pid()")).scalar_one())
    database.read_now(lambda c: c.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": own}))


def claimed(database: Database) -> bool:
    """Whether this database is the owner now. The other may take the claim first."""
    try:
        database.claim()
    except SetupError:
        return False
    return True


def readiness(server: Server) -> tuple[int, str]:
    reply = httpx.get(f"{server.url}/readyz")
    return reply.status_code, reply.json()["status"]
