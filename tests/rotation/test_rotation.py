"""Keys are replaced while callers call: no call fails, nothing is lost, and the old keys open nothing."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import delete, select, update

from composition import composed, picture
from likeness.deployment import Deployment, open_deployment
from likeness.engine.fake import fake_photo
from likeness.errors import ServiceUnavailable, SetupError
from likeness.gallery.enrolment import EnrolmentRequest
from likeness.gallery.repository import GalleryRepository
from likeness.kit.envelope import BARE, Cipher, FileKeyProvider, new_data_key, next_key_file
from likeness.rotation import master_key, resealing
from likeness.rotation.master_key import rotate_master_key, wrap_anew
from likeness.rotation.resealing import Resealing
from likeness.rotation.sealed_columns import SEALED_COLUMNS, SealedColumn
from likeness.store.images import ImageStore
from likeness.store.tables import data_keys, gallery_templates, metadata, signing_keys
from likeness.tenants.service import Tenant, key_context
from servers import Api, Server, calling, serving, test_settings, wait_until

SIZE = (160, 120)


def photo(person: int) -> bytes:
    return fake_photo(person, size=SIZE)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(master_key, "SETTLE_SECONDS", 0.1)


def test_every_column_that_data_keys_seal_is_sealed_again() -> None:
    sealed = {column for table in metadata.tables.values() for column in table.c if column.name.startswith("sealed_")}
    others = {data_keys.c.sealed_key, signing_keys.c.sealed_private_key, metadata.tables["galleries"].c.sealed_roll}
    assert {each.column for each in SEALED_COLUMNS} == sealed - others


def numbers(deployment: Deployment, tenant_id: str) -> list[int]:
    query = select(data_keys.c.number).where(data_keys.c.tenant_id == tenant_id).order_by(data_keys.c.number)
    return deployment.database.read_now(lambda c: list(c.execute(query).scalars()))


def older_values(deployment: Deployment, tenant: Tenant) -> int:
    def count(connection: Any) -> int:
        return sum(len(each.older(connection, tenant.id, tenant.cipher.head, ())) for each in SEALED_COLUMNS)

    return deployment.database.read_now(count)


def advance(deployment: Deployment) -> None:
    """Let the job do what it can now."""
    with closing(ImageStore(deployment.settings.images_address)) as images:
        asyncio.run(Resealing(deployment, images).advance())


def finish(deployment: Deployment, tenant_id: str) -> None:
    """Let the job go on until the newest key is alone."""
    with closing(ImageStore(deployment.settings.images_address)) as images:
        job = Resealing(deployment, images)

        def is_finished() -> bool:
            asyncio.run(job.advance())
            return len(numbers(deployment, tenant_id)) == 1

        wait_until(is_finished)


class Load:
    """Callers of a server that go on until the end of the block."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self._ended: list[int] = []
        """By caller, how many of its calls have ended."""
        self._stop = threading.Event()

    @contextmanager
    def running(self, calls: list[Callable[[int], int]]) -> Iterator[None]:
        def go_on(caller: int, call: Callable[[int], int]) -> None:
            while not self._stop.is_set():
                self.answers.append(call(self._ended[caller]))
                self._ended[caller] += 1

        self._ended = [0] * len(calls)
        threads = [threading.Thread(target=go_on, args=each) for each in enumerate(calls)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def outlast_calls(self) -> None:
        """Wait until every call that is under way now has ended."""
        before = list(self._ended)
        wait_until(lambda: all(then < now for then, now in zip(before, self._ended, strict=True)), seconds=60)


def answered(api: Api, call: Callable[[], httpx.Response]) -> int:
    """Call as a client does: with a new token after a 401, because a revoked key ends tokens."""
    reply = call()
    if reply.status_code == 401:
        api.headers = api.with_scopes()
        reply = call()
    return reply.status_code


def found(api: Api, person: int) -> str | None:
    reply = api.search(photo(person))
    assert reply.status_code == 200, reply.text
    return reply.json()["oneToNVerificationId"]  # type: ignore[no-any-return]


@pytest.mark.long
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_all_keys_are_replaced_under_load(tmp_path: Path, database: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("postgres_url") if database == "postgresql" else None
    settings = test_settings(tmp_path / "data", database_url=url, key_file=tmp_path / "keys" / "master.key")
    with serving(settings) as server, calling(server) as api:
        people = {person: api.insert(photo(person)).json()["oneToNVerificationId"] for person in range(6)}
        session = api.open_session(photo(1))
        assert session.status_code == 201, session.text
        before = api.with_scopes()
        old_master = FileKeyProvider.read(settings.master_key_file)
        old_ring = server.deployment.tenants._stored_keys(api.tenant.id)
        load = Load()
        calls = [
            lambda number: answered(api, lambda: api.search(photo(number % 6))),
            lambda number: answered(api, lambda: api.insert(photo(100 + number))),
            lambda number: answered(api, lambda: api.call("GET", f"/api/v1/face/one-to-n/{people[number % 6]}")),
        ]
        with load.running(calls):
            rotate_everything(server, api, load)
        assert set(load.answers) == {200}
        assert load.answers
        assert numbers(server.deployment, api.tenant.id) == [2]
        assert older_values(server.deployment, api.tenant) == 0
        wait_until(lambda: api.call("GET", "/api/v1/face/one-to-n", headers=before).status_code == 401)  # revoked
    old_keys_open_nothing(settings, api.tenant.id, old_master, old_ring)
    with serving(settings) as server, httpx.Client(base_url=server.url, timeout=60) as http:
        again = Api(server, api.tenant, api.client_id, api.client_secret, http)
        again.headers = again.with_scopes()
        assert {person: found(again, person) for person in people} == people
        tenant = server.deployment.tenants.by_id(api.tenant.id)
        with closing(ImageStore(settings.images_address)) as images:
            for person, entry_id in people.items():
                entry = server.deployment.database.read_now(
                    lambda c, entry_id=entry_id: GalleryRepository(tenant.id).find(c, entry_id)  # type: ignore[misc]
                )
                assert entry is not None
                assert entry.image_id
                assert asyncio.run(images.get(tenant.id, entry.image_id, tenant.cipher)) == photo(person)


def rotate_everything(server: Server, api: Api, load: Load) -> None:
    """Do what the commands do, beside the running server."""
    with closing(open_deployment(server.deployment.settings, server.clock)) as command:
        assert command.tenants.rotate_data_key(api.tenant.id) == 2
        server.deployment.tenants.all()  # as it does every 15 seconds
        advance(server.deployment)
        assert numbers(server.deployment, api.tenant.id) == [1, 2]  # another server may still seal with the old key
        assert rotate_master_key(command) >= 4
        (leaked,) = [kid for kid, ends_at in command.signing_keys.ends().items() if ends_at is None]
        command.signing_keys.rotate()
        load.outlast_calls()  # as in these ten minutes: a call may have sealed with the old key, and write only now
        server.clock.move(resealing.RETIRE_SECONDS + 1)
        finish(server.deployment, api.tenant.id)
        command.signing_keys.revoke(leaked)


def old_keys_open_nothing(settings: Any, tenant_id: str, old_master: FileKeyProvider, ring: dict[int, bytes]) -> None:
    with closing(open_deployment(settings)) as deployment:
        rows = deployment.database.read_now(lambda c: c.execute(select(data_keys)).all())
        alone = FileKeyProvider(old_master._local.key)
        for row in rows:
            with pytest.raises(SetupError):
                alone.unwrap(row.sealed_key, key_context(row.tenant_id, row.number))
        old = Cipher(ring, tenant_id, bare=BARE)
        templates = deployment.database.read_now(lambda c: c.execute(select(gallery_templates)).all())
        assert len(templates) >= 6
        for row in templates:
            with pytest.raises(SetupError):
                old.open(row.sealed_template, "template", "any")
            assert not old.is_newest(row.sealed_template)


async def enrol(gallery: Any, tenant: Tenant) -> list[str]:
    await gallery.upkeep.load()
    made = [EnrolmentRequest(external_id=str(person)) for person in range(3)]
    return [await gallery.service.insert(tenant, picture(person), each) for person, each in enumerate(made)]


def test_a_stopped_job_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with composed(tmp_path) as (deployment, gallery):
        tenant = deployment.tenants.create("tenant")
        asyncio.run(enrol(gallery, tenant))
        deployment.tenants.rotate_data_key(tenant.id)
        deployment.tenants.all()
        seal_again = ImageStore.seal_again

        async def fails(*_: Any, **__: Any) -> bool:
            raise ServiceUnavailable("The store is down.")

        monkeypatch.setattr(ImageStore, "seal_again", fails)
        advance(deployment)
        assert older_values(deployment, tenant) == 0
        monkeypatch.setattr(ImageStore, "seal_again", seal_again)
    with composed(tmp_path) as (deployment, gallery):
        deployment.clock.now = lambda: 1e12  # type: ignore[method-assign]
        advance(deployment)
        assert numbers(deployment, tenant.id) == [1, 2]  # a pass that found values may have missed others
        advance(deployment)
        assert numbers(deployment, tenant.id) == [2]

        async def look() -> list[bytes | None]:
            tenant = deployment.tenants.by_name("tenant")
            entries = await gallery.service.list(tenant, after_key=0, limit=9)
            return [await gallery.images.get(tenant.id, each.image_id or "", tenant.cipher) for each in entries]

        assert asyncio.run(look()) == [picture(person) for person in range(3)]


def test_values_from_before_keys_had_numbers_are_sealed_again(tmp_path: Path) -> None:
    key = new_data_key()
    with composed(tmp_path) as (deployment, _):
        tenant = deployment.tenants.create("tenant")
        row = {"number": BARE, "sealed_key": deployment.keys.wrap(key, tenant.id)}
        deployment.database.write_now(lambda c: c.execute(update(data_keys).values(row)))
        bare = bytes(12) + AESGCM(key).encrypt(bytes(12), b"{}", f"{tenant.id}\0webhook target\0{tenant.id}".encode())
        webhook = {"tenant_id": tenant.id, "sealed_target": bare, "changed_at": 0}
        webhooks = metadata.tables["webhooks"]
        deployment.database.write_now(lambda c: c.execute(webhooks.insert().values(webhook)))
    with composed(tmp_path) as (deployment, _):
        assert deployment.tenants.rotate_data_key(tenant.id) == 1
        deployment.clock.now = lambda: 1e12  # type: ignore[method-assign]
        finish(deployment, tenant.id)
        assert numbers(deployment, tenant.id) == [1]
        sealed = deployment.database.read_now(lambda c: c.execute(select(webhooks.c.sealed_target)).scalar_one())
        cipher = deployment.tenants.by_name("tenant").cipher
        assert cipher.open(sealed, "webhook target", tenant.id) == b"{}"
        with pytest.raises(SetupError):
            cipher.open(bare, "webhook target", tenant.id)


def test_a_photo_that_is_erased_meanwhile_does_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with composed(tmp_path) as (deployment, gallery):
        tenant = deployment.tenants.create("tenant")
        ids = asyncio.run(enrol(gallery, tenant))
        deployment.tenants.rotate_data_key(tenant.id)
        deployment.tenants.all()
        seal_again = ImageStore.seal_again

        async def erased_meanwhile(self: ImageStore, *values: Any, **named: Any) -> bool:
            done = await seal_again(self, *values, **named)
            with suppress(Exception):
                await gallery.service.erase(tenant, ids[0])
            if done and not named:  # the erasure came first, and the writing last
                await self._objects.replace(tenant.id, values[1], b"written last")
            return done

        monkeypatch.setattr(ImageStore, "seal_again", erased_meanwhile)
        advance(deployment)
        there = list((tmp_path / "images" / tenant.id).iterdir())
        assert len(there) == 2


def test_a_value_that_a_caller_replaces_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with composed(tmp_path) as (deployment, gallery):
        tenant = deployment.tenants.create("tenant")
        asyncio.run(enrol(gallery, tenant))
        deployment.tenants.rotate_data_key(tenant.id)
        deployment.tenants.all()
        replace, newer = SealedColumn.replace, tenant.cipher.seal(b"newer", "template", "x")

        def late(self: SealedColumn, connection: Any, changes: Any) -> None:
            if self.column is gallery_templates.c.sealed_template:
                mine = gallery_templates.c.entry_key == changes[0]["its_entry_key"]
                connection.execute(update(gallery_templates).where(mine).values(sealed_template=newer))
                connection.execute(
                    delete(gallery_templates).where(gallery_templates.c.entry_key == changes[1]["its_entry_key"])
                )
            replace(self, connection, changes)

        monkeypatch.setattr(SealedColumn, "replace", late)
        advance(deployment)
        values = deployment.database.read_now(
            lambda c: c.execute(select(gallery_templates.c.sealed_template)).scalars().all()
        )
        assert newer in values
        assert len(values) == 2


def test_a_rotation_of_the_master_key_that_stops_half_way_is_finished(tmp_path: Path) -> None:
    settings = test_settings(tmp_path)
    with composed(tmp_path) as (deployment, _):
        tenant = deployment.tenants.create("tenant")
        deployment.signing_keys.signer()
        path = settings.master_key_file
        master_key.prepare_next_key(deployment)
        wrap_anew(deployment, FileKeyProvider.read(path), FileKeyProvider.read(next_key_file(path)))
        added = deployment.tenants.create("made meanwhile")
    with composed(tmp_path) as (deployment, _):
        assert {each.id for each in deployment.tenants.all()} == {tenant.id, added.id}
        old = path.read_bytes()
        rotate_master_key(deployment)
        assert path.read_bytes() != old
        assert not next_key_file(path).exists()
    with composed(tmp_path) as (deployment, _):
        assert {each.id for each in deployment.tenants.all()} == {tenant.id, added.id}
    path.write_bytes(old)
    with pytest.raises(SetupError, match="wrong master key"):
        open_deployment(settings)
