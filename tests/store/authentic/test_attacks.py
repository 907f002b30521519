"""Who can write to the database, and has no key, changes rows that decide. Each attack is noticed, and gains nothing."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Table, create_engine, delete, insert, select, update
from typer.testing import CliRunner

from composition import composed, picture
from likeness.access.schemas import ClientSettings
from likeness.access.scopes import API_SCOPES, Scope
from likeness.cli import app
from likeness.deployment import KEY_FACT, Deployment
from likeness.engine.packs.identity import PackIdentity
from likeness.errors import NotFound, ServiceUnavailable, SetupError, Unauthorized
from likeness.gallery.composition import ComposedGallery
from likeness.gallery.enrolment import EnrolmentRequest
from likeness.gallery.repository import GalleryRepository
from likeness.sessions.repository import SessionRow, add_session, end_session, find_session, newest_sessions
from likeness.sessions.states import SessionState
from likeness.store.authentic.roll import read_rolls
from likeness.store.authentic.rows import COVERED, COVERED_IF_GIVEN
from likeness.store.tables import (
    audit_records,
    clients,
    face_sessions,
    galleries,
    gallery_entries,
    gallery_templates,
    metadata,
    tenants,
)
from likeness.tenants.schemas import TenantSettings
from likeness.tenants.service import Tenant

NAMES = ["ann", "bob", "cid"]


@dataclass
class Bank:
    """A deployment with one tenant and three people, which is opened anew for each step."""

    folder: Path
    url: str | None
    ids: dict[str, str] = field(default_factory=dict)
    found: dict[str, str | None] = field(default_factory=dict)

    @contextmanager
    def opened(self) -> Iterator[tuple[Deployment, ComposedGallery]]:
        with composed(self.folder, database_url=self.url) as opened:
            yield opened

    def run(self, step: Callable[[Deployment, ComposedGallery, Tenant], Coroutine[Any, Any, Any]]) -> Any:
        """Load the galleries and take a step."""

        async def main(deployment: Deployment, gallery: ComposedGallery) -> Any:
            await gallery.upkeep.load()
            return await step(deployment, gallery, deployment.tenants.by_name("bank"))

        with self.opened() as (deployment, gallery):
            return asyncio.run(main(deployment, gallery))

    @contextmanager
    def stolen(self) -> Iterator[Connection]:
        """Open the database as a thief does, without any key."""
        engine = create_engine(self.url or f"sqlite:///{self.folder / 'likeness.sqlite3'}")
        with engine.begin() as connection:
            yield connection
        engine.dispose()

    def searched(self) -> dict[str, str | None]:
        """Search everybody after a start. Give the external id of who is found."""
        return dict(self.run(search))


async def search(_deployment: Deployment, gallery: ComposedGallery, tenant: Tenant) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for person, name in enumerate(NAMES):
        outcome = await gallery.service.search(tenant, picture(person), candidates=3)
        assert outcome.certified
        entry = await gallery.service.get(tenant, outcome.entry_id) if outcome.entry_id else None
        found[name] = entry.external_id if entry else None
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def bank(tmp_path: Path, request: pytest.FixtureRequest) -> Bank:
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    made = Bank(tmp_path, url)

    async def enrol(_deployment: Deployment, gallery: ComposedGallery, tenant: Tenant) -> None:
        for person, name in enumerate(NAMES):
            request = EnrolmentRequest(external_id=name, metadata={"name": name})
            made.ids[name] = await gallery.service.insert(tenant, picture(person), request)

    with made.opened() as (deployment, _):
        deployment.tenants.create("bank", TenantSettings(search_level=5))
    made.run(enrol)
    assert made.searched() == {name: name for name in NAMES}
    return made


def rows_of(connection: Connection, table: Table, **where: Any) -> list[dict[str, Any]]:
    query = select(table).where(*(table.c[name] == value for name, value in where.items()))
    return [dict(row._mapping) for row in connection.execute(query)]


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.CRITICAL]


def in_the_trail(bank: Bank) -> set[str]:
    with bank.stolen() as connection:
        found = connection.execute(select(audit_records.c.object).where(audit_records.c.action == "alteration"))
        return set(found.scalars())


def test_swapped_external_ids(bank: Bank, caplog: pytest.LogCaptureFixture) -> None:
    with bank.stolen() as connection:
        for name, other in (("ann", "x"), ("bob", "ann"), ("ann", "bob")):
            mine = gallery_entries.c.id == bank.ids[name]
            connection.execute(update(gallery_entries).where(mine).values(external_id=other))
    assert bank.searched() == {"ann": None, "bob": None, "cid": "cid"}
    assert len(alarms(caplog)) == 2
    assert in_the_trail(bank) == {f"gallery_entries {bank.ids[name]}" for name in ("ann", "bob")}
    caplog.clear()
    assert bank.searched() == {"ann": None, "bob": None, "cid": "cid"}


def test_swapped_keys(bank: Bank) -> None:
    """Blocks of templates have keys and no ids, so an entry's row is bound to its key, too."""
    with bank.stolen() as connection:
        key = {row["external_id"]: row["key"] for row in rows_of(connection, gallery_entries)}
        for name, new in (("ann", 1000), ("bob", key["ann"]), ("ann", key["bob"])):
            mine = gallery_entries.c.id == bank.ids[name]
            templates = [each for each in rows_of(connection, gallery_templates) if each["entry_key"] == key[name]]
            connection.execute(delete(gallery_templates).where(gallery_templates.c.entry_key == key[name]))
            connection.execute(update(gallery_entries).where(mine).values(key=new))
            connection.execute(insert(gallery_templates), [{**each, "entry_key": new} for each in templates])
            key[name] = new
    assert bank.searched() == {"ann": None, "bob": None, "cid": "cid"}


def test_altered_metadata_and_photo(bank: Bank) -> None:
    with bank.stolen() as connection:
        photo = rows_of(connection, gallery_entries, id=bank.ids["bob"])[0]["image_id"]
        for name, values in {"ann": {"image_id": photo}, "cid": {"labels": {"name": "other"}}}.items():
            connection.execute(update(gallery_entries).where(gallery_entries.c.id == bank.ids[name]).values(values))

    async def look(deployment: Deployment, gallery: ComposedGallery, tenant: Tenant) -> None:
        for name in ("ann", "cid"):
            with pytest.raises(NotFound):
                await gallery.service.get(tenant, bank.ids[name])
        listed = await gallery.service.list(tenant, after_key=0, limit=1)
        assert [entry.external_id for entry in listed] == ["bob"]
        await gallery.service.erase(tenant, bank.ids["ann"])  # must not take bob's photo along
        assert await gallery.images.get(tenant.id, photo, tenant.cipher)
        rolls = deployment.database.read_now(lambda c: read_rolls(c, [tenant.id]))
        assert (rolls[tenant.id] or pytest.fail("no roll")).count == 2

    bank.run(look)
    assert bank.searched() == {"ann": None, "bob": "bob", "cid": None}


@pytest.mark.parametrize("removed", [False, True])
@pytest.mark.parametrize("column", ["consent_reference", "purpose", "expires_at", "legal_hold"])
def test_altered_consent_end_and_hold(bank: Bank, column: str, *, removed: bool) -> None:
    async def enrol(_deployment: Deployment, gallery: ComposedGallery, tenant: Tenant) -> None:
        grounds = EnrolmentRequest(consent_reference="consent-7", purpose="opening an account", expires_at=1e11)
        bank.ids["dan"] = await gallery.service.insert(tenant, picture(7), grounds)
        found = await gallery.service.hold(tenant, bank.ids["dan"], "case-17")
        assert found == await gallery.service.get(tenant, bank.ids["dan"])
        assert (found.consent_reference, found.purpose) == ("consent-7", "opening an account")
        assert (found.expires_at, found.legal_hold) == (1e11, "case-17")

    async def look(_deployment: Deployment, gallery: ComposedGallery, tenant: Tenant) -> None:
        for name in ("ann", "dan"):  # ann had none of them
            with pytest.raises(NotFound):
                await gallery.service.get(tenant, bank.ids[name])
        assert (await gallery.service.search(tenant, picture(7))).entry_id is None

    bank.run(enrol)
    with bank.stolen() as connection:
        other = 1e12 if column == "expires_at" else "other"
        for name, value in {"dan": None if removed else other, "ann": other}.items():
            mine = gallery_entries.c.id == bank.ids[name]
            connection.execute(update(gallery_entries).where(mine).values({column: value}))
    bank.run(look)
    assert bank.searched() == {"ann": None, "bob": "bob", "cid": "cid"}


def test_an_entry_from_before_a_column_keeps_its_mac(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("likeness.store.authentic.rows.COVERED_IF_GIVEN", {})
    assert bank.searched() == {name: name for name in NAMES}


def put_back(connection: Connection, saved: Mapping[Table, list[dict[str, Any]]]) -> None:
    for table, rows in saved.items():
        connection.execute(insert(table), rows)


def saved_entry(connection: Connection, entry_id: str) -> dict[Table, list[dict[str, Any]]]:
    entries = rows_of(connection, gallery_entries, id=entry_id)
    return {
        gallery_entries: entries,
        gallery_templates: rows_of(connection, gallery_templates, entry_key=entries[0]["key"]),
    }


@pytest.mark.parametrize("erased", [["ann"], ["ann", "bob"]])
@pytest.mark.parametrize("trail", [True, False])
def test_a_restored_row_brings_nobody_back(
    bank: Bank, caplog: pytest.LogCaptureFixture, erased: list[str], trail: bool
) -> None:
    with bank.stolen() as connection:
        saved = [saved_entry(connection, bank.ids[name]) for name in erased]

    async def erase(_deployment: Deployment, gallery: ComposedGallery, tenant: Tenant) -> None:
        for name in erased:
            await gallery.service.erase(tenant, bank.ids[name])

    bank.run(erase)
    with bank.stolen() as connection:
        for each in saved:
            put_back(connection, each)
        if not trail:  # the trail was trimmed since
            connection.execute(delete(audit_records))
    rest = {name: None if name in erased else name for name in NAMES}
    if trail or len(erased) == 1:
        assert bank.searched() == rest
        caplog.clear()
        assert bank.searched() == rest
        assert not alarms(caplog)  # it stays refused, and the alarm was raised
    else:  # nobody can tell who was put back
        with pytest.raises(ServiceUnavailable, match="put entries back or took them away"):
            bank.searched()
    assert any("galleries" in each for each in in_the_trail(bank))


def test_a_removed_row_is_noticed(bank: Bank, caplog: pytest.LogCaptureFixture) -> None:
    with bank.stolen() as connection:
        key = rows_of(connection, gallery_entries, id=bank.ids["ann"])[0]["key"]
        connection.execute(delete(gallery_templates).where(gallery_templates.c.entry_key == key))
        connection.execute(delete(gallery_entries).where(gallery_entries.c.key == key))
    assert bank.searched() == {"ann": None, "bob": "bob", "cid": "cid"}
    assert len(alarms(caplog)) == 1


@pytest.mark.parametrize("roll", [b"", None, bytes(60)])
def test_the_roll_itself(bank: Bank, roll: bytes | None) -> None:
    with bank.stolen() as connection:
        connection.execute(update(galleries).values(sealed_roll=roll))
    with pytest.raises(ServiceUnavailable, match="put entries back or took them away"):
        bank.searched()


def test_an_older_roll(bank: Bank) -> None:
    with bank.stolen() as connection:
        older, ann = rows_of(connection, galleries)[0]["sealed_roll"], saved_entry(connection, bank.ids["ann"])

    async def change(_deployment: Deployment, gallery: ComposedGallery, tenant: Tenant) -> None:
        await gallery.service.erase(tenant, bank.ids["ann"])
        await gallery.service.insert(tenant, picture(7))
        await gallery.service.insert(tenant, picture(8))

    bank.run(change)
    with bank.stolen() as connection:
        put_back(connection, ann)
        connection.execute(update(galleries).values(sealed_roll=older))
    with pytest.raises(ServiceUnavailable, match="put entries back or took them away"):
        bank.searched()


def test_an_inserted_client_with_all_permissions(bank: Bank, caplog: pytest.LogCaptureFixture) -> None:
    with bank.opened() as (deployment, _):
        tenant = deployment.tenants.by_name("bank")
        known = deployment.clients.create(tenant.id, "known", [Scope.FACE_MATCH])
        assert asyncio.run(deployment.clients.verify_secret(known.client_id, known.client_secret))
    with bank.stolen() as connection:
        row = rows_of(connection, clients, id=known.client_id)[0]
        forged = {**row, "id": "forged", "scopes": [str(scope) for scope in API_SCOPES]}
        connection.execute(insert(clients).values(forged))
        connection.execute(update(clients).where(clients.c.id == known.client_id).values(scopes=forged["scopes"]))
    with bank.opened() as (deployment, _):
        for client_id in ("forged", known.client_id):
            assert asyncio.run(deployment.clients.enabled(client_id)) is None
        assert asyncio.run(deployment.clients.verify_secret(known.client_id, known.client_secret)) is None
        assert not any(each.authentic for each in deployment.clients.of_tenant(tenant.id))
        with pytest.raises(SetupError, match="altered"):
            deployment.clients.change_settings(known.client_id, ClientSettings())
    assert len(alarms(caplog)) == 2


def test_an_older_row_of_a_client(bank: Bank) -> None:
    with bank.opened() as (deployment, _):
        tenant = deployment.tenants.by_name("bank")
        known = deployment.clients.create(tenant.id, "known", [Scope.FACE_MATCH])
        with bank.stolen() as connection:
            row = rows_of(connection, clients, id=known.client_id)[0]
        deployment.clients.disable(known.client_id)
    with bank.stolen() as connection:
        connection.execute(update(clients).values(row))
    with bank.opened() as (deployment, _):
        assert asyncio.run(deployment.clients.verify_secret(known.client_id, known.client_secret)) is None


@pytest.mark.parametrize(
    "settings", [{"search_level": 1}, {"search_level": 5, "liveness_mode": "passive"}, {"target_fpir": 0.9}]
)
def test_lowered_tenant_settings(bank: Bank, settings: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    with bank.stolen() as connection:
        connection.execute(update(tenants).values(settings=settings))
    with bank.opened() as (deployment, _):
        row = deployment.tenants.row_by_name("bank")
        with pytest.raises(ServiceUnavailable):
            asyncio.run(deployment.tenants.get(row.id))
        assert deployment.tenants.all() == []
        assert len(alarms(caplog)) == 1
        deployment.tenants.change_settings(row.id, TenantSettings(search_level=4))
        assert deployment.tenants.by_name("bank").settings.search_level == 4


def test_a_running_server_notices_lowered_settings(bank: Bank) -> None:
    with bank.opened() as (deployment, _):
        tenant = deployment.tenants.by_name("bank")
        with bank.stolen() as connection:
            connection.execute(update(tenants).values(settings={"search_level": 1}))
        assert deployment.tenants.all() == []
        with pytest.raises((ServiceUnavailable, Unauthorized)):
            asyncio.run(deployment.tenants.get(tenant.id))


def test_a_forged_entry_is_refused_while_the_server_runs(bank: Bank) -> None:
    async def attack(deployment: Deployment, gallery: ComposedGallery, tenant: Tenant) -> None:
        with bank.stolen() as connection:
            mine = gallery_entries.c.id == bank.ids["ann"]
            connection.execute(update(gallery_entries).where(mine).values(external_id="fraudster"))
        assert await search(deployment, gallery, tenant) == {"ann": None, "bob": "bob", "cid": "cid"}
        key = deployment.database.read_now(lambda c: c.execute(select(gallery_entries.c.key).where(mine)).scalar_one())
        assert deployment.database.read_now(lambda c: GalleryRepository(tenant.id).find_keys(c, [key])) == {}

    bank.run(attack)


def test_every_column_that_decides_is_covered() -> None:
    free = {
        (table, column.name)
        for table, covered in COVERED.items()
        for column in metadata.tables[table].columns
        if column.name not in {*covered, *COVERED_IF_GIVEN.get(table, ())}
    }
    assert free == {
        *((table, "mac") for table in COVERED),
        ("face_sessions", "sealed_template"),  # bound to the session by its seal
        ("face_sessions", "attempt_until"),  # a lease: it lets another device in, which has no key of the session
    }


def verify(bank: Bank, monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[int, str]:
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(bank.folder))
    monkeypatch.setenv("LIKENESS_PACK", "fake")
    if bank.url:
        monkeypatch.setenv("LIKENESS_DATABASE_URL", bank.url)
    result = CliRunner().invoke(app, ["gallery", "verify", *options], catch_exceptions=False)
    return result.exit_code, result.stdout


def test_the_verification_names_and_erases_what_was_altered(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    with bank.stolen() as connection:
        saved = saved_entry(connection, bank.ids["bob"])
        mine = gallery_entries.c.id == bank.ids["ann"]
        connection.execute(update(gallery_entries).where(mine).values(external_id="x"))
    bank.run(lambda _deployment, gallery, tenant: gallery.service.erase(tenant, bank.ids["bob"]))
    with bank.stolen() as connection:
        put_back(connection, saved)
    status, text = verify(bank, monkeypatch)
    assert (status, "1 entries were put back" in text) == (1, True)
    assert f"entry {bank.ids['ann']}: it was altered" in text
    assert verify(bank, monkeypatch, "--drop")[0] == 0
    assert verify(bank, monkeypatch)[0] == 0
    assert bank.searched() == {"ann": None, "bob": None, "cid": "cid"}


def test_a_gallery_that_nobody_can_explain_is_accepted_on_request(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    with bank.stolen() as connection:
        connection.execute(update(galleries).values(sealed_roll=None))
    assert verify(bank, monkeypatch, "--drop")[0] == 1
    assert verify(bank, monkeypatch, "--accept")[0] == 0
    assert bank.searched() == {name: name for name in NAMES}


def test_an_altered_session_is_as_good_as_none(bank: Bank) -> None:
    with bank.opened() as (deployment, _):
        tenant = deployment.tenants.by_name("bank")
        client = deployment.clients.create(tenant.id, "client", [Scope.FACE_MATCH]).client_id
        row = SessionRow("s", tenant.id, client, "opened", {}, PackIdentity("fake@1"), None, [], None, 0.0, 100.0)
        deployment.database.write_now(lambda c: add_session(c, row))
        found = deployment.database.read_now(lambda c: find_session(c, "s"))
        assert found is not None
        assert found.options == {}
        for altered in ({"state": "succeeded"}, {"options": {"livenessMode": "passive"}}, {"expires_at": 1e12}):
            with bank.stolen() as connection:
                connection.execute(update(face_sessions).values(altered))
            assert deployment.database.read_now(lambda c: find_session(c, "s")) is None
            assert deployment.database.read_now(lambda c: newest_sessions(c, tenant.id, most=9)) == []
            assert not deployment.database.write_now(lambda c: end_session(c, "s", SessionState.SUCCEEDED))
            with bank.stolen() as connection:
                connection.execute(update(face_sessions).values({name: getattr(row, name) for name in altered}))
            assert deployment.database.read_now(lambda c: find_session(c, "s"))
            assert len(deployment.database.read_now(lambda c: newest_sessions(c, tenant.id, most=9))) == 1


def test_rows_of_an_older_version_are_taken_as_they_are_once(bank: Bank) -> None:
    with bank.opened() as (deployment, _):
        client = deployment.clients.create(deployment.tenants.by_name("bank").id, "client", [Scope.FACE_MATCH])
        older = deployment.keys.wrap(deployment.key, KEY_FACT).hex()
        deployment.record(KEY_FACT, older)  # as the older version has it
    with bank.stolen() as connection:
        for table in (tenants, clients, gallery_entries, face_sessions):
            connection.execute(update(table).values(mac=None))
        connection.execute(update(tenants).values(register={}, changed_at=None))
        connection.execute(update(galleries).values(sealed_roll=None))
    assert bank.searched() == {name: name for name in NAMES}
    with bank.opened() as (deployment, _):
        assert asyncio.run(deployment.clients.verify_secret(client.client_id, client.client_secret))
        assert deployment.fact(KEY_FACT) != older
    with bank.stolen() as connection:
        connection.execute(update(gallery_entries).where(gallery_entries.c.id == bank.ids["ann"]).values(mac=None))
    assert bank.searched() == {"ann": None, "bob": "bob", "cid": "cid"}
