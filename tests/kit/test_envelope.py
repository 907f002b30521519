import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.errors import SetupError
from likeness.kit.envelope import KEY_BYTES, NONCE_BYTES, Cipher, FileKeyProvider, new_data_key

CIPHER = Cipher(bytes(range(KEY_BYTES)), "tenant")
TAG_BYTES = 16
words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@given(st.binary(max_size=200), words, words)
def test_what_is_sealed_opens_under_its_purpose_and_record(plaintext: bytes, purpose: str, record: str) -> None:
    sealed = CIPHER.seal(plaintext, purpose, record)
    assert len(sealed) == NONCE_BYTES + len(plaintext) + TAG_BYTES
    assert CIPHER.open(sealed, purpose, record) == plaintext


def test_sealing_twice_gives_nothing_to_compare() -> None:
    assert CIPHER.seal(b"same", "p", "r") != CIPHER.seal(b"same", "p", "r")


@given(st.data())
def test_any_changed_bit_is_noticed(data: st.DataObject) -> None:
    sealed = bytearray(CIPHER.seal(b"a template", "template", "1"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SetupError, match="does not open"):
        CIPHER.open(bytes(sealed), "template", "1")


@given(st.integers(0, NONCE_BYTES + len(b"a template") + TAG_BYTES - 1))
def test_any_shortening_is_noticed(length: int) -> None:
    with pytest.raises(SetupError):
        CIPHER.open(CIPHER.seal(b"a template", "template", "1")[:length], "template", "1")


@pytest.mark.parametrize(
    ("cipher", "purpose", "record"),
    [
        (CIPHER, "image", "1"),
        (CIPHER, "template", "2"),
        (CIPHER, "template\x001", ""),
        (Cipher(bytes(range(KEY_BYTES)), "other tenant"), "template", "1"),
        (Cipher(new_data_key(), "tenant"), "template", "1"),
    ],
)
def test_what_was_moved_elsewhere_does_not_open(cipher: Cipher, purpose: str, record: str) -> None:
    sealed = CIPHER.seal(b"a template", "template", "1")
    with pytest.raises(SetupError, match="wrong master key, or the data was altered"):
        cipher.open(sealed, purpose, record)


@given(st.lists(st.tuples(words, st.binary(max_size=50))))
def test_many_open_at_once_as_they_do_one_by_one(values: list[tuple[str, bytes]]) -> None:
    sealed = [CIPHER.seal(plaintext, "p", record) for record, plaintext in values]
    assert CIPHER.open_many(sealed, "p", [record for record, _ in values]) == [plaintext for _, plaintext in values]


def test_many_do_not_open_with_too_few_records() -> None:
    with pytest.raises(SetupError):
        CIPHER.open_many([CIPHER.seal(b"", "p", "1")], "p", [])


def test_a_key_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "new" / "master.key"
    FileKeyProvider.new().save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) == KEY_BYTES
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        FileKeyProvider.new().save(path)
    assert path.read_bytes() == before


def test_a_key_is_on_the_disk_before_anything_is_sealed_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").readlink()))
    FileKeyProvider.new().save(tmp_path / "master.key")
    assert [path.parent for path in synced] == [
        tmp_path,
        tmp_path.parent,
    ]  # the key's temporary file, then its folder
    assert synced[-1] == tmp_path


@settings(max_examples=20)
@given(words)
def test_a_data_key_is_wrapped_for_its_tenant(tmp_path_factory: pytest.TempPathFactory, context: str) -> None:
    path = tmp_path_factory.mktemp("keys") / "master.key"
    FileKeyProvider.new().save(path)
    keys, data_key = FileKeyProvider.read(path), new_data_key()
    wrapped = keys.wrap(data_key, context)
    assert data_key not in wrapped
    assert FileKeyProvider.read(path).unwrap(wrapped, context) == data_key
    with pytest.raises(SetupError):
        keys.unwrap(wrapped, context + "x")


def test_a_key_file_that_is_missing_or_damaged_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="likeness init"):
        FileKeyProvider.read(tmp_path / "none")
    (tmp_path / "short").write_bytes(bytes(31))
    with pytest.raises(SetupError, match="31 bytes instead of 32"):
        FileKeyProvider.read(tmp_path / "short")
