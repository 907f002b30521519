import os
import stat
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.errors import SetupError
from likeness.kit.envelope import BARE, HEAD_BYTES, KEY_BYTES, NONCE_BYTES, Cipher, FileKeyProvider, new_data_key

KEY = bytes(range(KEY_BYTES))
CIPHER = Cipher({1: bytes(range(KEY_BYTES))}, "tenant")
TAG_BYTES = 16
words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@given(st.binary(max_size=200), words, words)
def test_what_is_sealed_opens_under_its_purpose_and_record(plaintext: bytes, purpose: str, record: str) -> None:
    sealed = CIPHER.seal(plaintext, purpose, record)
    assert len(sealed) == HEAD_BYTES + NONCE_BYTES + len(plaintext) + TAG_BYTES
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


@given(st.integers(0, HEAD_BYTES + NONCE_BYTES + len(b"a template") + TAG_BYTES - 1))
def test_any_shortening_is_noticed(length: int) -> None:
    with pytest.raises(SetupError):
        CIPHER.open(CIPHER.seal(b"a template", "template", "1")[:length], "template", "1")


@pytest.mark.parametrize(
    ("cipher", "purpose", "record"),
    [
        (CIPHER, "image", "1"),
        (CIPHER, "template", "2"),
        (CIPHER, "template\x001", ""),
        (Cipher({1: bytes(range(KEY_BYTES))}, "other tenant"), "template", "1"),
        (Cipher({1: new_data_key()}, "tenant"), "template", "1"),
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


def sealed_bare(key: bytes, plaintext: bytes, purpose: str, record: str, nonce: bytes = bytes(NONCE_BYTES)) -> bytes:
    """Seal as the first versions of Likeness did: without a version and a key's number."""
    context = b"\0".join((b"tenant", purpose.encode(), record.encode()))
    return nonce + AESGCM(key).encrypt(nonce, plaintext, context)


def test_a_ring_seals_with_its_newest_key_and_opens_with_all() -> None:
    one, two = new_data_key(), new_data_key()
    before, after = Cipher({1: one}, "tenant"), Cipher({1: one, 2: two}, "tenant")
    old, new = before.seal(b"old", "p", "r"), after.seal(b"new", "p", "r")
    assert after.open_many([old, new], "p", ["r", "r"]) == [b"old", b"new"]
    assert (after.is_newest(old), after.is_newest(new)) == (False, True)
    with pytest.raises(SetupError):
        before.open(new, "p", "r")
    with pytest.raises(SetupError):
        Cipher({2: two}, "tenant").open(old, "p", "r")


def test_a_value_does_not_open_under_the_number_of_another_key() -> None:
    cipher = Cipher({1: KEY, 2: KEY}, "tenant")
    sealed = Cipher({1: KEY}, "tenant").seal(b"x", "p", "r")
    with pytest.raises(SetupError):
        cipher.open(bytes([*sealed[:4], 2]) + sealed[HEAD_BYTES:], "p", "r")


@given(st.binary(max_size=50), st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES))
def test_values_of_older_versions_open_while_their_key_is_there(plaintext: bytes, nonce: bytes) -> None:
    sealed = sealed_bare(KEY, plaintext, "p", "r", nonce)
    other = new_data_key()
    for keys in ({BARE: KEY}, {BARE: KEY, 1: other}):
        assert Cipher(keys, "tenant", bare=BARE).open(sealed, "p", "r") == plaintext
    with pytest.raises(SetupError):
        Cipher({1: KEY}, "tenant", bare=BARE).open(sealed, "p", "r")
    with pytest.raises(SetupError):
        Cipher({BARE: KEY}, "tenant", bare=BARE).open(sealed, "p", "other")


def test_a_value_of_an_older_version_may_begin_like_a_new_one() -> None:
    nonce = Cipher({BARE: KEY}, "tenant").seal(b"", "p", "r")[:HEAD_BYTES] + bytes(NONCE_BYTES - HEAD_BYTES)
    sealed = sealed_bare(KEY, b"x", "p", "r", nonce)
    assert Cipher({BARE: KEY}, "tenant", bare=BARE).open(sealed, "p", "r") == b"x"
    assert Cipher({BARE: KEY, 1: new_data_key()}, "tenant", bare=BARE).open(sealed, "p", "r") == b"x"


def test_a_ring_is_read_again_for_a_value_under_a_newer_key() -> None:
    stored, asked = {1: new_data_key()}, []

    def read_again() -> dict[int, bytes]:
        asked.append(1)
        return stored

    cipher = Cipher(dict(stored), "tenant", read_again=read_again)
    stored[2] = new_data_key()
    sealed = Cipher(stored, "tenant").seal(b"x", "p", "r")
    assert cipher.open(sealed, "p", "r") == b"x"
    assert cipher.is_newest(cipher.seal(b"y", "p", "r"))
    assert cipher.seal(b"y", "p", "r").startswith(sealed[:HEAD_BYTES])
    unknown = Cipher({3: new_data_key()}, "tenant").seal(b"x", "p", "r")
    for _ in range(100):  # damaged values must not cause a query each
        with pytest.raises(SetupError):
            cipher.open(unknown, "p", "r")
    assert len(asked) == 1


def test_threads_that_need_a_newer_key_at_once_wait_for_one_reading() -> None:
    stored, opened, others = {1: new_data_key(), 2: new_data_key()}, [], []

    def read_again() -> dict[int, bytes]:
        others.append(threading.Thread(target=lambda: opened.append(cipher.open(sealed, "p", "r"))))
        others[-1].start()
        others[-1].join(0.1)  # it opens the value after this reading
        return stored

    cipher = Cipher({1: stored[1]}, "tenant", read_again=read_again)
    sealed = Cipher(stored, "tenant").seal(b"x", "p", "r")
    assert cipher.open(sealed, "p", "r") == b"x"
    for other in others:
        other.join()
    assert opened == [b"x"]


def test_a_ring_from_before_a_rotation_is_not_taken() -> None:
    old, new = new_data_key(), new_data_key()
    cipher = Cipher({1: old}, "tenant")
    cipher.use({1: old, 2: new})
    cipher.use({1: old})
    assert cipher.is_newest(Cipher({2: new}, "tenant").seal(b"", "p", "r"))
    cipher.use({2: new})
    with pytest.raises(SetupError):
        cipher.open(Cipher({1: old}, "tenant").seal(b"", "p", "r"), "p", "r")


def test_a_digest_outlives_the_keys_that_seal() -> None:
    stable = new_data_key()
    before, after = (Cipher({n: new_data_key()}, "tenant", mac_keys=[stable]) for n in (1, 2))
    assert before.mac(b"x", "p") == after.mac(b"x", "p")
    assert before.mac(b"x", "p") not in (before.mac(b"x", "q"), before.mac(b"y", "p"))
    assert Cipher({1: KEY}, "tenant", mac_keys=[KEY, stable]).macs(b"x", "p")[1] == before.mac(b"x", "p")


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
