"""Photos in a folder and in an object store."""

import asyncio
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.errors import ServiceUnavailable, SetupError
from likeness.kit.envelope import Cipher, new_data_key
from likeness.store.folder import PART, FolderStore
from likeness.store.images import ImageStore
from likeness.store.remote import RemoteObjects
from s3_server import new_photos_url

CIPHER = Cipher({1: new_data_key()}, "tenant")
PHOTO = b"\xff\xd8\xff a photo of somebody" * 100


@pytest.fixture(params=["folder", "s3"])
def images(request: pytest.FixtureRequest, tmp_path: Path) -> ImageStore:
    if request.param == "folder":
        return ImageStore((tmp_path / "images with space").as_uri())
    request.getfixturevalue("s3")
    return ImageStore(new_photos_url())


def listed(images: ImageStore, tenant_id: str) -> set[str]:
    async def collect() -> set[str]:
        return {name async for batch in images.ids(tenant_id) for name in batch}

    return asyncio.run(collect())


def test_a_photo_comes_back_until_it_is_deleted(images: ImageStore) -> None:
    async def main() -> None:
        assert await images.get("t", "1", CIPHER) is None
        await images.put("t", "1", PHOTO, CIPHER)
        await images.put("t", "2", b"", CIPHER)
        assert await images.get("t", "1", CIPHER) == PHOTO
        assert await images.get("t", "2", CIPHER) == b""
        assert await images.get("u", "1", CIPHER) is None
        for _ in range(2):
            await images.delete("t", "1")
        assert await images.get("t", "1", CIPHER) is None

    asyncio.run(main())
    assert listed(images, "t") == {"2"}
    assert listed(images, "u") == set()
    images.close()


def test_a_photo_opens_for_its_tenant_alone(images: ImageStore) -> None:
    async def main() -> None:
        await images.put("t", "1", PHOTO, CIPHER)
        with pytest.raises(SetupError):
            await images.get("t", "1", Cipher({1: new_data_key()}, "tenant"))

    asyncio.run(main())
    images.close()


def test_nothing_lies_in_the_open_and_only_the_owner_reads(tmp_path: Path) -> None:
    images = ImageStore(tmp_path.joinpath("images").as_uri())
    asyncio.run(images.put("t", "1", PHOTO, CIPHER))
    images.close()
    file = tmp_path / "images" / "t" / "1"
    assert PHOTO[:20] not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in file.parents[:2]] == [0o700, 0o700]


def test_many_batches_are_listed(tmp_path: Path) -> None:
    folder = FolderStore(tmp_path)
    names = {str(number) for number in range(25)}
    for name in names:
        folder.put("t", name, b"x")
    batches = list(folder.batches("t", size=10))
    assert [len(batch) for batch in batches] == [10, 10, 5]
    assert {name for batch in batches for name in batch} == names


def test_the_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = FolderStore(tmp_path)
    steps: list[str] = []

    def fsync(descriptor: int) -> None:
        steps.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().relative_to(tmp_path)}")

    real_replace, real_unlink = Path.replace, Path.unlink

    def replace(self: Path, target: Path) -> Path:
        steps.append(f"rename {self.name} to {target.name}")
        return real_replace(self, target)

    def unlink(self: Path) -> None:
        steps.append(f"unlink {self.name}")
        real_unlink(self)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(Path, "unlink", unlink)
    folder.put("t", "1", b"x")
    assert steps == ["sync .", f"sync t/1{PART}", f"rename 1{PART} to 1", "sync t"]
    steps.clear()
    folder.put("t", "2", b"x")
    assert steps == [f"sync t/2{PART}", f"rename 2{PART} to 2", "sync t"]
    steps.clear()
    folder.delete("t", "2")
    assert steps == ["unlink 2", "sync t"]


def raise_full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("failing", ["fsync", "open"])
def test_a_full_disk_is_reported_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, failing: str
) -> None:
    images = ImageStore(tmp_path.joinpath("images").as_uri())
    asyncio.run(images.put("t", "1", PHOTO, CIPHER))
    with monkeypatch.context() as patched:
        patched.setattr(os, failing, raise_full)
        for _ in range(2):
            with pytest.raises(ServiceUnavailable, match="cannot take this now"):
                asyncio.run(images.put("t", "2", PHOTO, CIPHER))
    (logged,) = caplog.messages  # once, not for each caller
    assert logged.startswith("the image store cannot take photos: ")
    assert "No space left on device" in logged
    assert listed(images, "t") == {"1"}
    asyncio.run(images.put("t", "2", PHOTO, CIPHER))
    assert caplog.messages[1:] == ["the image store can take photos again"]
    assert listed(images, "t") == {"1", "2"}
    images.close()


def test_a_name_that_cannot_be_made_durable_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = FolderStore(tmp_path)
    folder.put("t", "1", b"x")
    calls = iter(range(9))
    real: Callable[[int], None] = os.fsync

    def second_fails(descriptor: int) -> None:
        if next(calls) == 1:
            raise_full()
        real(descriptor)

    monkeypatch.setattr(os, "fsync", second_fails)
    with pytest.raises(OSError, match="No space"):
        folder.put("t", "2", b"x")
    assert folder.get("t", "2") is None
    assert list(folder.batches("t")) == [["1"]]


def test_a_store_that_fails_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = ImageStore(tmp_path.joinpath("images").as_uri())
    asyncio.run(images.put("t", "1", PHOTO, CIPHER))
    for name in ("unlink", "read_bytes"):
        monkeypatch.setattr(Path, name, raise_full)
    monkeypatch.setattr(os, "scandir", raise_full)
    with pytest.raises(ServiceUnavailable, match="cannot be read"):
        asyncio.run(images.get("t", "1", CIPHER))
    with pytest.raises(ServiceUnavailable, match="will be tried again"):
        asyncio.run(images.delete("t", "1"))
    with pytest.raises(ServiceUnavailable, match="cannot be read"):
        listed(images, "t")
    images.close()


def test_a_disk_that_fails_is_reported_once_with_its_cause_and_once_more_when_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    images = ImageStore((tmp_path / "images").as_uri())
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails)
        for name in ("1", "2"):
            with pytest.raises(ServiceUnavailable):
                asyncio.run(images.put("t", name, PHOTO, CIPHER))
    asyncio.run(images.put("t", "3", PHOTO, CIPHER))
    assert [record.getMessage() for record in caplog.records] == [
        "the image store cannot take photos: Input/output error",
        "the image store can take photos again",
    ]
    images.close()


def test_many_photos_at_once(images: ImageStore) -> None:
    async def main() -> None:
        await asyncio.gather(*(images.put("t", str(number), b"%d" % number, CIPHER) for number in range(100)))
        found = await asyncio.gather(*(images.get("t", str(number), CIPHER) for number in range(100)))
        assert found == [b"%d" % number for number in range(100)]

    asyncio.run(main())
    images.close()


def test_a_store_is_chosen_by_its_address(tmp_path: Path) -> None:
    assert isinstance(ImageStore("gs://photos")._objects, RemoteObjects)
    folder = ImageStore((tmp_path / "ä b").as_uri())
    folder.close()
    assert (tmp_path / "ä b").is_dir()
