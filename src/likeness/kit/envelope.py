"""Encryption at rest: AES-256-GCM under a data key per tenant, wrapped by a key provider.

A sealed value is ``nonce (12 bytes) || ciphertext || tag (16 bytes)``. The associated data binds it to its tenant, its
purpose and its record. So a row that is copied to another place does not open. Without the master key nothing opens,
and no backup either.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from likeness.errors import SetupError
from likeness.kit.files import create_whole

KEY_BYTES = 32
NONCE_BYTES = 12


class KeyProvider(Protocol):
    """Wraps data keys under a master key that never leaves the provider."""

    def wrap(self, data_key: bytes, context: str) -> bytes: ...

    def unwrap(self, wrapped: bytes, context: str) -> bytes: ...


class Cipher:
    """Seals and opens values under one key. Thread-safe."""

    __slots__ = ("_aead", "_mac_key", "_scope")

    def __init__(self, key: bytes, scope: str) -> None:
        self._aead = AESGCM(key)
        self._scope = scope.encode()
        self._mac_key = hmac.digest(key, b"message authentication", hashlib.sha256)

    def seal(self, plaintext: bytes, purpose: str, record: str) -> bytes:
        """Encrypt a value, and bind it to its purpose and its record."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plaintext, self._context(purpose, record))

    def open(self, sealed: bytes, purpose: str, record: str) -> bytes:
        """Give the plaintext. Raises SetupError if the key, purpose, record or bytes are not those of ``seal``."""
        return self.open_many([sealed], purpose, [record])[0]

    def open_many(self, sealed: Iterable[bytes], purpose: str, records: Iterable[str]) -> list[bytes]:
        """Give many plaintexts of one purpose, each bound to its record. Raises SetupError."""
        decrypt, context = self._aead.decrypt, self._context(purpose, "")
        try:
            return [
                decrypt(each[:NONCE_BYTES], each[NONCE_BYTES:], context + record.encode())
                for each, record in zip(sealed, records, strict=True)
            ]
        except (InvalidTag, ValueError) as error:
            raise SetupError(f"a stored {purpose} does not open: wrong master key, or the data was altered") from error

    def mac(self, content: bytes, purpose: str) -> bytes:
        """Give a digest of 32 bytes that needs the key. Equal content of one purpose has the same digest."""
        return hmac.digest(self._mac_key, self._context(purpose, "") + content, hashlib.sha256)

    def _context(self, purpose: str, record: str) -> bytes:
        return b"\0".join((self._scope, purpose.encode(), record.encode()))


class FileKeyProvider:
    """A master key in a file that only its owner can read."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._cipher = Cipher(key, "master")

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
        return cls(key)

    def save(self, path: Path) -> None:
        """Write the key to a new file. Raises FileExistsError: an existing file is never replaced."""
        create_whole(path, self._key)

    def wrap(self, data_key: bytes, context: str) -> bytes:
        return self._cipher.seal(data_key, "data key", context)

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        return self._cipher.open(wrapped, "data key", context)


def new_data_key() -> bytes:
    """Make a random data key of 32 bytes."""
    return secrets.token_bytes(KEY_BYTES)
