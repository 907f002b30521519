"""A gallery moves from one model pack to another while it answers."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.engine.base import Connection

from likeness.deployment import open_deployment
from likeness.engine.fake import FAKES, FakeEngine, fake_photo
from likeness.engine.packs.identity import ModelPack, PackId, PackIdentity
from likeness.errors import SetupError
from likeness.gallery.memory.galleries import _Notes
from likeness.gallery.memory.gallery import GallerySnapshot
from likeness.gallery.reindex.repository import Reindex, ReindexRepository, ReindexRequest, ReindexState
from likeness.gallery.repository import GalleryRepository
from likeness.gallery.served_pack import load_served_engine
from likeness.store.tables import gallery_entries, gallery_templates
from likeness.tenants.service import Tenant
from servers import Api, Server, b64, calling, serving, test_settings, wait_until

OLD, NEW = PackIdentity("fake@1"), PackIdentity("fake-2@1")
SIZE = (160, 120)
PEOPLE = 24


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """Run a server for this test only, because a gallery's move affects the whole deployment."""
    with serving(test_settings(tmp_path / "data")) as running:
        yield running


@pytest.fixture
def caller(own: Server) -> Iterator[Api]:
    with calling(own) as api:
        yield api


def picture(person: int, **traits: bool | int) -> bytes:
    return fake_photo(person, size=SIZE, **traits)  # type: ignore[arg-type]


def enrol(api: Api, photo: bytes) -> str:
    reply = api.insert(photo)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["oneToNVerificationId"])


def find(api: Api, photo: bytes) -> tuple[str | None, str]:
    reply = api.search(photo)
    assert reply.status_code == 200, reply.text
    return reply.json()["oneToNVerificationId"], reply.json()["model"]


def row(server: Server, tenant: Tenant) -> Reindex | None:
    return server.deployment.database.read_now(ReindexRepository(tenant.id).find)


def ask(server: Server, tenant: Tenant, pack: str = "fake-2") -> None:
    server.deployment.database.write_now(lambda c: ReindexRepository(tenant.id).ask(c, PackId(pack), now=0))


def wish(server: Server, tenant: Tenant, what: ReindexRequest) -> None:
    server.deployment.database.write_now(lambda c: ReindexRepository(tenant.id).change(c, now=0, wish=what))


def wait(server: Server, tenant: Tenant, state: ReindexState | None, *, seconds: float = 60) -> Reindex | None:
    """Wait until the re-index is in a state without an open request. With None, wait until it is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = row(server, tenant)
        if (found is None) if state is None else (found is not None and found.state is state and found.wish is None):
            return found
        time.sleep(0.02)
    raise AssertionError(f"not {state} within {seconds} s: {row(server, tenant)}")


def move(server: Server, tenant: Tenant, *wishes: ReindexRequest) -> Reindex | None:
    """Request a re-index, then make the other requests one after another."""
    ask(server, tenant)
    found = wait(server, tenant, ReindexState.READY)
    for what in wishes:
        wish(server, tenant, what)
        found = wait(
            server,
            tenant,
            {ReindexRequest.CUT_OVER: ReindexState.CUT_OVER, ReindexRequest.ROLL_BACK: ReindexState.READY}.get(what),
        )
        assert_memory_is_true(server, tenant)
    return found


def templates(server: Server, tenant: Tenant) -> dict[str, set[str]]:
    """Give the packs that each entry has templates of in the database."""
    query = select(gallery_entries.c.id, gallery_templates.c.pack).join(gallery_templates)
    found: dict[str, set[str]] = {}
    mine = query.where(gallery_entries.c.tenant_id == tenant.id)
    for entry, pack in server.deployment.database.read_now(lambda c: c.execute(mine).all()):
        found.setdefault(entry, set()).add(pack)
    return found


def assert_memory_is_true(server: Server, tenant: Tenant) -> None:
    """Compare the gallery in memory with one that is loaded from the database at the same moment."""
    galleries = server.galleries

    def outline(snapshot: GallerySnapshot, keys: list[int]) -> tuple[object, ...]:
        members = {
            pack: {key for key in keys if key in index} for pack, index in snapshot.indexes.items() if len(index)
        }
        return (
            snapshot.pack,
            snapshot.shadow,
            members,
            {pack: n for pack, n in snapshot.orphans.items() if n},
            snapshot.size,
        )

    def both(connection: Connection) -> Any:
        rows = GalleryRepository(tenant.id)
        keys = [entry.key for entry in rows.page(connection, after_key=0, limit=10_000)]
        packs = rows.packs(connection)
        assert packs
        loaded = galleries._read(tenant, rows, packs, connection, _Notes())
        return outline(loaded, keys), outline(galleries.gallery(tenant.id).snapshot, keys), len(keys)

    loaded, held, count = server.deployment.database.write_now(both, exclusive=True)
    assert held == loaded
    assert held[-1] == count


@contextmanager
def searching(api: Api, expected: dict[int, str]) -> Iterator[Counter[str]]:
    """Search for all persons in turn until the block ends. Every answer must be right. Gives the answering models."""
    over, models = threading.Event(), Counter[str]()

    def search(offset: int) -> None:
        number = offset
        people = list(expected)
        while not over.is_set():
            person = people[number % len(people)]
            entry, model = find(api, picture(person, variation=number % 3))
            assert entry == expected[person], person
            models[model] += 1
            number += 1

    with ThreadPoolExecutor(2) as pool:
        searches = [pool.submit(search, offset) for offset in (0, PEOPLE // 2)]
        try:
            yield models
        finally:
            over.set()
        for each in searches:
            each.result()


def test_a_gallery_moves_there_and_back_while_it_answers(own: Server, caller: Api) -> None:
    entries = {person: enrol(caller, picture(person)) for person in range(PEOPLE)}
    for person in (0, 1):
        assert caller.call("DELETE", f"/api/v1/face/one-to-n/search/{entries[person]}").status_code == 204
    entries[1000] = enrol(caller, picture(1000, attack=True))  # the new pack finds no face in it
    with searching(caller, {person: entry for person, entry in entries.items() if person < PEOPLE}) as models:
        ask(own, caller.tenant)
        for person in range(2000, 2010):
            entries[person] = enrol(caller, picture(person))
        ready = wait(own, caller.tenant, ReindexState.READY)
        assert ready
        assert set(models) == {OLD}
        assert_memory_is_true(own, caller.tenant)
        wish(own, caller.tenant, ReindexRequest.CUT_OVER)
        wait(own, caller.tenant, ReindexState.CUT_OVER)
        assert_memory_is_true(own, caller.tenant)
        entries[3000] = enrol(caller, picture(3000))
        gone = caller.call("DELETE", f"/api/v1/face/one-to-n/{entries.pop(2000)}")
        assert gone.status_code == 204
        before = models[NEW]
        while models[NEW] < before + 10:
            time.sleep(0.01)
        wish(own, caller.tenant, ReindexRequest.ROLL_BACK)
        wait(own, caller.tenant, ReindexState.READY)
        assert_memory_is_true(own, caller.tenant)
        assert find(caller, picture(3000)) == (entries[3000], OLD)
        wish(own, caller.tenant, ReindexRequest.CUT_OVER)
        wait(own, caller.tenant, ReindexState.CUT_OVER)
    assert ready.report
    assert PEOPLE - 2 <= ready.report["compared"] <= PEOPLE - 2 + 10
    assert ready.report["changed"] == 0
    behind = {0, 1, 1000}
    made = templates(own, caller.tenant)
    for person, entry in entries.items():
        assert made[entry] == ({OLD} if person in behind else {OLD, NEW})
        assert find(caller, picture(person)) == (entry, OLD if person in behind else NEW), person
    assert find(caller, picture(2000))[0] is None


def test_orphans_are_reported_and_kept(own: Server, caller: Api) -> None:
    entries = {person: enrol(caller, picture(person, attack=person == 4)) for person in range(5)}
    caller.call("DELETE", f"/api/v1/face/one-to-n/search/{entries[0]}")
    image = next(
        path
        for path in (own.deployment.settings.data_dir / "images" / caller.tenant.id).iterdir()
        if path.name == _image_id(own, entries[1])
    )
    image.unlink()
    move(own, caller.tenant, ReindexRequest.CUT_OVER)
    found = own.deployment.database.read_now(lambda c: list(ReindexRepository(caller.tenant.id).orphans(c, NEW)))
    reasons = {orphan.entry_id: orphan.reason for orphan in found}
    assert reasons == {entries[0]: "PHOTO_DELETED", entries[1]: "PHOTO_MISSING", entries[4]: "NO_FACE"}
    counts = own.deployment.database.read_now(lambda c: ReindexRepository(caller.tenant.id).count_orphans(c, NEW))
    assert counts == {"PHOTO_DELETED": 1, "PHOTO_MISSING": 1, "NO_FACE": 1}
    wish(own, caller.tenant, ReindexRequest.KEEP_ORPHANS)
    wait(own, caller.tenant, None)
    assert_memory_is_true(own, caller.tenant)
    left = {entry: {OLD} if entry in reasons else {NEW} for entry in entries.values()}
    assert templates(own, caller.tenant) == left
    assert find(caller, picture(0)) == (entries[0], OLD)
    assert find(caller, picture(2)) == (entries[2], NEW)


def test_an_entry_is_compared_by_the_pack_that_it_has(own: Server, caller: Api) -> None:
    entries = {person: enrol(caller, picture(person, attack=person == 1)) for person in range(2)}
    move(own, caller.tenant, ReindexRequest.CUT_OVER)
    for person, entry in entries.items():
        body = {"sourceImage": b64(picture(person, attack=person == 1)), "targetId": entry}
        reply = caller.call("POST", "/api/v1/face/match", body).json()
        assert (reply["match"], reply["model"]) == (True, (NEW, OLD)[person])


def _image_id(server: Server, entry_id: str) -> str:
    query = select(gallery_entries.c.image_id).where(gallery_entries.c.id == entry_id)
    return str(server.deployment.database.read_now(lambda c: c.execute(query).scalar_one()))


def test_orphans_are_dropped_for_good(own: Server, caller: Api) -> None:
    entries = {person: enrol(caller, picture(person)) for person in range(4)}
    caller.call("DELETE", f"/api/v1/face/one-to-n/search/{entries[0]}")
    move(own, caller.tenant, ReindexRequest.CUT_OVER, ReindexRequest.DROP_ORPHANS)
    assert templates(own, caller.tenant) == {entries[person]: {NEW} for person in (1, 2, 3)}
    assert find(caller, picture(0))[0] is None
    assert caller.call("GET", f"/api/v1/face/one-to-n/{entries[0]}").status_code == 404


def test_an_orphan_under_a_legal_hold_is_not_dropped(own: Server, caller: Api) -> None:
    entries = [enrol(caller, picture(person)) for person in range(2)]
    caller.call("DELETE", f"/api/v1/face/one-to-n/search/{entries[0]}")
    hold = f"/api/v1/admin/entries/{entries[0]}/legal-hold"
    assert caller.call("PUT", hold, {"reference": "case-17"}).status_code == 200
    move(own, caller.tenant, ReindexRequest.CUT_OVER)
    wish(own, caller.tenant, ReindexRequest.DROP_ORPHANS)
    wait_until(lambda: "legal hold" in str((row(own, caller.tenant) or pytest.fail("it is over")).error))
    assert OLD in templates(own, caller.tenant)[entries[0]]
    assert caller.call("DELETE", hold).status_code == 204
    wait(own, caller.tenant, None)
    assert templates(own, caller.tenant) == {entries[1]: {NEW}}


def test_an_abandoned_move_leaves_nothing_behind(own: Server, caller: Api) -> None:
    entries = {person: enrol(caller, picture(person)) for person in range(3)}
    move(own, caller.tenant, ReindexRequest.ABANDON)
    assert templates(own, caller.tenant) == {entry: {OLD} for entry in entries.values()}
    move(own, caller.tenant, ReindexRequest.CUT_OVER, ReindexRequest.ROLL_BACK)
    after = enrol(caller, picture(7))
    wish(own, caller.tenant, ReindexRequest.ABANDON)
    wait(own, caller.tenant, None)
    assert_memory_is_true(own, caller.tenant)
    assert set(map(frozenset, templates(own, caller.tenant).values())) == {frozenset({OLD})}
    assert find(caller, picture(7)) == (after, OLD)


def test_orphans_of_an_earlier_move_come_along(own: Server, caller: Api) -> None:
    """A second move goes back to the first pack. Entries with only its templates are orphans no longer."""
    entries = {person: enrol(caller, picture(person, attack=person == 0)) for person in range(4)}
    caller.call("DELETE", f"/api/v1/face/one-to-n/search/{entries[1]}")
    move(own, caller.tenant, ReindexRequest.CUT_OVER, ReindexRequest.KEEP_ORPHANS)
    assert templates(own, caller.tenant)[entries[0]] == {OLD}
    ask(own, caller.tenant, "fake")
    wait(own, caller.tenant, ReindexState.READY)
    assert_memory_is_true(own, caller.tenant)
    for what, state in ((ReindexRequest.CUT_OVER, ReindexState.CUT_OVER), (ReindexRequest.KEEP_ORPHANS, None)):
        wish(own, caller.tenant, what)
        wait(own, caller.tenant, state)
        assert_memory_is_true(own, caller.tenant)
    assert templates(own, caller.tenant) == {entry: {OLD} for entry in entries.values()}
    assert find(caller, picture(1)) == (entries[1], OLD)


def test_a_pack_that_cannot_be_had_changes_nothing(own: Server, caller: Api) -> None:
    entry = enrol(caller, picture(1))
    ask(own, caller.tenant, "no-such-pack")
    failed = wait(own, caller.tenant, ReindexState.FAILED)
    assert failed
    assert "no-such-pack" in str(failed.error)
    assert find(caller, picture(1)) == (entry, OLD)
    wish(own, caller.tenant, ReindexRequest.ABANDON)
    wait(own, caller.tenant, None)


def test_a_wish_that_makes_no_sense_is_dropped(own: Server, caller: Api) -> None:
    enrol(caller, picture(1))
    move(own, caller.tenant)
    wish(own, caller.tenant, ReindexRequest.DROP_ORPHANS)
    wait(own, caller.tenant, ReindexState.READY)
    assert templates(own, caller.tenant).popitem()[1] == {OLD, NEW}


def test_other_tenants_stay_where_they_are(own: Server, caller: Api) -> None:
    enrol(caller, picture(1))
    with calling(own) as other:
        theirs = enrol(other, picture(1))
        move(own, caller.tenant, ReindexRequest.CUT_OVER)
        assert find(other, picture(1)) == (theirs, OLD)
        assert row(own, other.tenant) is None
        assert templates(own, other.tenant) == {theirs: {OLD}}


def test_the_deployment_follows_its_galleries(tmp_path: Path) -> None:
    settings = test_settings(tmp_path / "data")
    with serving(settings) as server:
        load_served_engine(server.deployment)
        with calling(server) as api, calling(server) as waiting:
            find(waiting, picture(2))  # an empty gallery, which is in memory and not in the database
            mine = enrol(api, picture(1))
            move(server, api.tenant, ReindexRequest.CUT_OVER)
            assert find(waiting, picture(2)) == (None, NEW)
            theirs = enrol(waiting, picture(2))
            assert templates(server, waiting.tenant) == {theirs: {NEW}}
            tenant = api.tenant
    assert _pack_at_start(tmp_path / "data", "fake") == OLD
    assert _pack_at_start(tmp_path / "data", "auto") == OLD  # a rollback is still possible
    with serving(settings) as server:
        with calling(server) as fresh:
            enrol(fresh, picture(5))
            assert set(map(frozenset, templates(server, fresh.tenant).values())) == {frozenset({NEW})}
        wish(server, tenant, ReindexRequest.KEEP_ORPHANS)
        wait(server, tenant, None)
        assert templates(server, tenant) == {mine: {NEW}}
    assert _pack_at_start(tmp_path / "data", "auto") == NEW
    with pytest.raises(SetupError, match=r"gallery reindex --pack fake`"):
        _pack_at_start(tmp_path / "data", "fake")


def test_an_abandoned_third_pack_takes_nobody_along(own: Server, caller: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """An orphan has templates of the oldest and the abandoned pack. It keeps only the oldest one's, also in memory."""

    class Third(FakeEngine):
        pack = ModelPack(PackId("fake-3"), "1", FakeEngine.pack.template_size)

    monkeypatch.setitem(FAKES, Third.pack.id, Third)
    entries = [enrol(caller, picture(person, attack=person == 0)) for person in range(4)]
    move(own, caller.tenant, ReindexRequest.CUT_OVER, ReindexRequest.KEEP_ORPHANS)
    for _ in range(2):
        ask(own, caller.tenant, Third.pack.id)
        wait(own, caller.tenant, ReindexState.READY)
        assert_memory_is_true(own, caller.tenant)
        wish(own, caller.tenant, ReindexRequest.ABANDON)
        wait(own, caller.tenant, None)
        assert_memory_is_true(own, caller.tenant)
        assert templates(own, caller.tenant)[entries[0]] == {OLD}
    assert find(caller, picture(0)) == (entries[0], OLD)


def _pack_at_start(folder: Path, pack: str) -> str:
    deployment = open_deployment(test_settings(folder, pack=pack))
    try:
        return str(load_served_engine(deployment).pack)
    finally:
        deployment.close()
