"""Encryption at rest: AES-256-GCM under the data keys of a tenant, wrapped by a key provider.

A sealed value is ``version (1 byte) || key (4 bytes) || nonce (12 bytes) || ciphertext || tag (16 bytes)``. ``key`` is
the number of the key that sealed it, so a key can be replaced while values under the old one still open. The associated
data binds a value to its version, its key, its tenant, its purpose and its record. So a row that is copied to another
place does not open. Without the master key nothing opens, and no backup either.

Values of older versions of Likeness are *bare*: they have neither version nor key. They open under one key of a ring,
and no longer once that key is gone. No value opens both ways, because the associated data of a bare value never begins
with the byte of a version.
"""

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from likeness.errors import SetupError
from likeness.kit.files import create_whole

KEY_BYTES = 32
NONCE_BYTES = 12
BARE = 0
"""Number of a tenant's key from before keys had numbers. Bare values open under it."""
HEAD_BYTES = 5
"""The version and the key's number."""
ASKED_SECONDS = 1.0
_VERSION = b"\x01"
_CONTENT = slice(HEAD_BYTES + NONCE_BYTES, None)
_NONCE = slice(HEAD_BYTES, HEAD_BYTES + NONCE_BYTES)


class KeyProvider(Protocol):
    """Wraps data keys under a master key that never leaves the provider."""

    def wrap(self, data_key: bytes, context: str) -> bytes: ...

    def unwrap(self, wrapped: bytes, context: str) -> bytes: ...


class _Ring(NamedTuple):
    """The keys of a cipher at one moment."""

    head: bytes
    """What values sealed now begin with."""
    aeads: Mapping[bytes, AESGCM]
    """By what the values begin with."""
    bare: AESGCM | None


class Cipher:
    """Seals values under the newest key of a ring, and opens values under any of its keys. Thread-safe.

    ``keys`` has the keys by number, 0 to 2³² - 1; the highest number is the newest. ``bare`` is the number of the key
    that opens bare values. ``mac_keys`` are the keys for ``macs``; by default one that follows from the newest key.
    ``read_again`` gives the ring as it is stored now. It is called for a value under a key that the ring lacks.
    """

    __slots__ = ("__weakref__", "_asked_at", "_lock", "_mac_keys", "_read_again", "_ring", "_scope")

    def __init__(
        self,
        keys: Mapping[int, bytes],
        scope: str,
        *,
        bare: int | None = None,
        mac_keys: Sequence[bytes] = (),
        read_again: Callable[[], Mapping[int, bytes]] | None = None,
    ) -> None:
        self._scope = scope.encode()
        self._mac_keys = tuple(mac_keys) or (mac_key_of(keys[max(keys)]),)
        self._read_again = read_again
        self._asked_at = -ASKED_SECONDS
        self._lock = threading.RLock()
        self._ring = _ring(keys, bare)

    def use(self, keys: Mapping[int, bytes], *, bare: int | None = None) -> None:
        """Replace the ring. One whose newest key is older was read before a rotation, and is left alone.

        Otherwise a thread that was slow to hand it over would let values be sealed with a key that soon ends.
        """
        ring = _ring(keys, bare)
        with self._lock:
            if ring.head >= self._ring.head:
                self._ring = ring

    def seal(self, plaintext: bytes, purpose: str, record: str) -> bytes:
        """Encrypt a value under the newest key, and bind it to its purpose and its record."""
        nonce, ring = secrets.token_bytes(NONCE_BYTES), self._ring
        context = ring.head + self._context(purpose, record)
        return ring.head + nonce + ring.aeads[ring.head].encrypt(nonce, plaintext, context)

    def open(self, sealed: bytes, purpose: str, record: str) -> bytes:
        """Give the plaintext. Raises SetupError if the key, purpose, record or bytes are not those of ``seal``."""
        return self.open_many([sealed], purpose, [record])[0]

    def open_many(self, sealed: Iterable[bytes], purpose: str, records: Iterable[str]) -> list[bytes]:
        """Give many plaintexts of one purpose, each bound to its record. Raises SetupError."""
        ring, context, opened = self._ring, self._context(purpose, ""), []
        head, decrypt, newest = ring.head, ring.aeads[ring.head].decrypt, ring.head + context
        try:
            for each, record in zip(sealed, records, strict=True):
                if each.startswith(head):
                    try:
                        opened.append(decrypt(each[_NONCE], each[_CONTENT], newest + record.encode()))
                    except InvalidTag:
                        if ring.bare is None:
                            raise
                    else:
                        continue
                opened.append(self._open_older(each, context + record.encode()))
        except (InvalidTag, ValueError) as error:
            raise SetupError(f"a stored {purpose} does not open: wrong master key, or the data was altered") from error
        return opened

    def _open_older(self, sealed: bytes, context: bytes) -> bytes:
        """Open a value of any key of the ring, or a bare one. Raises InvalidTag, ValueError."""
        head, ring = sealed[:HEAD_BYTES], self._ring
        if head not in ring.aeads and head[:1] == _VERSION and self._read_again:
            ring = self._ring_for(head, self._read_again)
        aead = ring.aeads.get(head)
        if aead is not None:
            try:
                return aead.decrypt(sealed[_NONCE], sealed[_CONTENT], head + context)
            except InvalidTag:  # a bare value may begin so by chance
                if ring.bare is None:
                    raise
        if ring.bare is None:
            raise InvalidTag
        return ring.bare.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)

    def _ring_for(self, head: bytes, read_again: Callable[[], Mapping[int, bytes]]) -> _Ring:
        """Give the ring, read again if it lacks a key. Threads that need one at once wait for one reading.

        It is read at most once a second, because damaged values can cause it.
        """
        with self._lock:
            now = time.monotonic()
            if head not in self._ring.aeads and now >= self._asked_at + ASKED_SECONDS:
                self._asked_at = now
                if keys := read_again():
                    self.use(keys, bare=BARE)
            return self._ring

    @property
    def head(self) -> bytes:
        """What values sealed now begin with."""
        return self._ring.head

    def is_newest(self, sealed: bytes) -> bool:
        """Whether a value, if it opens, was sealed with the newest key. One bare value in 2⁴⁰ looks so by chance."""
        return sealed.startswith(self._ring.head)

    def mac(self, content: bytes, purpose: str) -> bytes:
        """Give a digest of 32 bytes that needs the key. Equal content of one purpose has the same digest."""
        return self.macs(content, purpose)[0]

    def macs(self, content: bytes, purpose: str) -> list[bytes]:
        """Give the digest under each key that it may have been made with, that of ``mac`` first."""
        named = self._context(purpose, "") + content
        return [hmac.digest(key, named, hashlib.sha256) for key in self._mac_keys]

    def _context(self, purpose: str, record: str) -> bytes:
        return b"\0".join((self._scope, purpose.encode(), record.encode()))


def _ring(keys: Mapping[int, bytes], bare: int | None) -> _Ring:
    aeads = {_head(number): AESGCM(key) for number, key in keys.items()}
    return _Ring(_head(max(keys)), aeads, None if bare is None else aeads.get(_head(bare)))


def _head(number: int) -> bytes:
    """Give what a value begins with that the key of this number seals."""
    return _VERSION + number.to_bytes(4, "big")


def mac_key_of(key: bytes) -> bytes:
    """Give the key for digests that follows from a data key."""
    return hmac.digest(key, b"message authentication", hashlib.sha256)


class LocalKey:
    """A master key in this process's memory."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        number = int.from_bytes(hashlib.sha256(b"number of a master key" + key).digest()[:4], "big")
        self._cipher = Cipher({number: key}, "master", bare=number)

    def wrap(self, data_key: bytes, context: str) -> bytes:
        return self._cipher.seal(data_key, "data key", context)

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        return self._cipher.open(wrapped, "data key", context)


class FileKeyProvider:
    """A master key in a file that only its owner can read.

    While the key is rotated, the next one lies beside it (``next_key_file``). Then this provider wraps with the next
    key and unwraps with both. It reads the files again when it needs to, so a running server follows a rotation.
    """

    def __init__(self, key: bytes, path: Path | None = None) -> None:
        self._local = LocalKey(key)
        self._path = path

    @classmethod
    def new(cls) -> "FileKeyProvider":
        """Make a random key, which is in no file yet."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def read(cls, path: Path) -> "FileKeyProvider":
        """Read a deployment's key from its file. Raises SetupError."""
        try:
            key = path.read_bytes()
        except FileNotFoundError as error:
            raise SetupError(
                f"no master key at {path}: run `likeness init`, or restore the key file of this data"
            ) from error
        if len(key) != KEY_BYTES:
            raise SetupError(f"the master key at {path} is damaged: {len(key)} bytes instead of {KEY_BYTES}")
        return cls(key, path)

    def save(self, path: Path) -> None:
        """Write the key to a new file. Raises FileExistsError: an existing file is never replaced."""
        create_whole(path, self._local.key)

    def wrap(self, data_key: bytes, context: str) -> bytes:
        return (self._in_files() or [self._local])[0].wrap(data_key, context)

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        try:
            return self._local.unwrap(wrapped, context)
        except SetupError:
            for each in self._in_files():
                with suppress(SetupError):
                    return each.unwrap(wrapped, context)
            raise

    def _in_files(self) -> list[LocalKey]:
        """Give the keys as the files have them now: the next one first, if there is one."""
        files = (next_key_file(self._path), self._path) if self._path else ()
        keys = [file.read_bytes() for file in files if file.exists()]
        return [LocalKey(key) for key in keys if len(key) == KEY_BYTES]


def next_key_file(path: Path) -> Path:
    """Give the file of the key that replaces a master key, while it is rotated."""
    return path.with_name(f"{path.name}.next")


def new_data_key() -> bytes:
    """Make a random data key of 32 bytes."""
    return secrets.token_bytes(KEY_BYTES)
