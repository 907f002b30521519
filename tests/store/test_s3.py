"""An S3 server that takes photos, refuses them, or never answers."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from composition import composed, picture
from likeness.cli.serve import probe_images, run_server
from likeness.deployment import initialise, open_deployment
from likeness.errors import ServiceUnavailable, SetupError
from likeness.kit.envelope import Cipher, new_data_key
from likeness.store import remote
from likeness.store.images import ImageStore
from s3_server import use_s3
from servers import test_settings

CIPHER = Cipher({1: new_data_key()}, "tenant")
PHOTO = b"\xff\xd8\xff a photo of somebody" * 100


@contextlib.contextmanager
def mute() -> Iterator[str]:
    """Accept connections, and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(listener.accept()[0])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for each in held:
            each.close()


def test_a_photo_comes_goes_aside_comes_back_and_is_deleted(s3: str) -> None:
    async def main() -> None:
        await images.probe()
        await images.put("t", "1", PHOTO, CIPHER)
        await images.set_aside("t", "1")
        assert [name async for batch in images.aside("t") for name, _ in batch] == ["1"]
        assert [name async for batch in images.ids("t") for name in batch] == []
        assert await images.get("t", "1", CIPHER) == PHOTO
        await images.put_back("t", "1")
        assert [name async for batch in images.ids("t") for name in batch] == ["1"]
        for _ in range(2):
            await images.delete("t", "1")
        assert await images.get("t", "1", CIPHER) is None

    images = ImageStore("s3://photos/prefix")
    asyncio.run(main())
    assert "probe" not in httpx.get(f"{s3}/photos?list-type=2").text


@pytest.fixture
def guarded(s3: str) -> Iterator[str]:
    """Make the server check credentials. It knows none, so all are wrong."""
    httpx.post(f"{s3}/moto-api/reset-auth", content=b"0").raise_for_status()
    yield s3
    httpx.post(f"{s3}/moto-api/reset-auth", content=b"inf").raise_for_status()


def refused_at_start(folder: Path, caplog: pytest.LogCaptureFixture, *, bucket: str, cause: str) -> None:
    settings = test_settings(folder, images_url=f"s3://{bucket}/prefix")
    initialise(settings)
    with pytest.raises(SetupError, match=f"{cause}.*LIKENESS_IMAGES_URL"):
        run_server(open_deployment(settings))
    assert f"the image store cannot take photos: {cause}" in caplog.text


def test_a_server_does_not_start_on_a_bucket_that_is_not_there(
    s3: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refused_at_start(tmp_path, caplog, bucket="phtos", cause="NoSuchBucket")


def test_a_server_does_not_start_with_wrong_credentials(
    guarded: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refused_at_start(tmp_path, caplog, bucket="photos", cause="InvalidAccessKeyId")


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the client give up after a moment, not after ten seconds."""
    moment = timedelta(milliseconds=200)
    monkeypatch.setattr(remote, "_SLOW", {"connect_timeout": moment, "timeout": moment})
    monkeypatch.setattr(remote, "_PATIENCE", {**remote._PATIENCE, "max_retries": 1, "retry_timeout": moment})


def test_a_server_starts_though_its_store_never_answers_and_says_so(
    monkeypatch: pytest.MonkeyPatch, hurried: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with mute() as address:
        use_s3(monkeypatch, address)
        probe_images(test_settings(tmp_path, images_url="s3://photos"))
    assert "the image store cannot take photos: " in caplog.text
    assert "searches and matches work" in caplog.text


def test_a_store_that_cannot_be_reached_is_reported_the_same_each_time(
    monkeypatch: pytest.MonkeyPatch, hurried: None, caplog: pytest.LogCaptureFixture
) -> None:
    use_s3(monkeypatch, "http://127.0.0.1:1")
    images = ImageStore("s3://photos")
    for _ in range(2):
        with pytest.raises(ServiceUnavailable):
            asyncio.run(images.put("t", "1", PHOTO, CIPHER))
    (messages,) = [record.getMessage() for record in caplog.records]
    assert messages.endswith("it cannot be reached (Connection refused)")


def test_an_insert_is_refused_once_the_store_is_given_up_and_the_cause_is_reported_once(
    s3: str, monkeypatch: pytest.MonkeyPatch, hurried: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def insert_twice_and_search() -> None:
        gallery.galleries.rebuild(deployment.database, [tenant])
        for _ in range(2):
            with pytest.raises(ServiceUnavailable, match="cannot take this now"):
                await gallery.service.insert(tenant, picture(1))
        assert not (await gallery.service.search(tenant, picture(1))).found

    async def insert() -> None:
        await again.service.insert(tenant, picture(1))

    with mute() as address:
        use_s3(monkeypatch, address)
        with composed(tmp_path, images_url="s3://photos/here") as (deployment, gallery):
            tenant = deployment.tenants.create("tenant")
            asyncio.run(insert_twice_and_search())
    messages = [record.getMessage() for record in caplog.records if "cannot take photos" in record.getMessage()]
    assert len(messages) == 1
    assert messages[0].endswith("it does not answer in time")
    use_s3(monkeypatch, s3)
    with composed(tmp_path, images_url="s3://photos/here") as (deployment, again):
        again.galleries.rebuild(deployment.database, [tenant])
        asyncio.run(insert())
    assert f"here/{tenant.id}/" in httpx.get(f"{s3}/photos?list-type=2").text
