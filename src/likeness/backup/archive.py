"""The format of a backup: a tar archive that is encrypted to public keys in the age format.

age authenticates each 64 KiB, and the end. But everybody who knows the public key can encrypt another archive. So the
last member is a statement under the deployment's signing key.
"""

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, Protocol, TypeAlias, cast

import pyrage
from pyrage import ssh, x25519

from likeness.errors import InvalidInput, SetupError

HEADER, KEY, DATABASE, PHOTOS, STATEMENT = "backup.json", "master.key", "database.sqlite3", "photos/", "statement.jws"
FORMAT = 1
PIECE_BYTES = 1 << 20
_ALTERED = "the backup was altered or cut: a part of it does not open"
Recipient: TypeAlias = x25519.Recipient | ssh.Recipient
Identity: TypeAlias = x25519.Identity | ssh.Identity


def read_recipient(text: str) -> Recipient:
    """Read a public key: ``age1…``, or a line of an SSH public key. Raises InvalidInput."""
    kind = ssh.Recipient if text.startswith("ssh-") else x25519.Recipient
    try:
        return kind.from_str(text.strip())
    except pyrage.RecipientError as error:
        raise InvalidInput(
            "--recipient takes a public key: age1…, as `likeness backup key` prints it, or ssh-ed25519 …"
        ) from error


def read_identities(content: bytes) -> list[Identity]:
    """Read a file of private keys: lines ``AGE-SECRET-KEY-1…``, or one SSH private key. Raises InvalidInput."""
    try:
        if content.startswith(b"-----BEGIN"):
            return [ssh.Identity.from_buffer(content)]
        lines = [line.strip() for line in content.decode("ascii").splitlines()]
        found: list[Identity] = [x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except (pyrage.IdentityError, ValueError) as error:
        raise InvalidInput("the identity file holds no private key, such as `likeness backup key` writes") from error
    if not found:
        raise InvalidInput("the identity file holds no private key, such as `likeness backup key` writes")
    return found


class Readable(Protocol):
    """What can be read."""

    def read(self, size: int = -1, /) -> bytes: ...


class Counted(io.RawIOBase):
    """Reads another stream, and tells how many MiB were read."""

    def __init__(self, stream: Readable, advance: Callable[[int], None]) -> None:
        self._stream = stream
        self._advance = advance
        self._rest = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        whole, self._rest = divmod(self._rest + len(piece), PIECE_BYTES)
        self._advance(whole)
        return len(piece)


class ArchiveWriter:
    """Writes members. ``digest`` is over all of them so far. One thread at a time uses it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=stream, mode="w|", bufsize=PIECE_BYTES)  # noqa: SIM115  closed in `close`
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The SHA-256 of the members so far, in hexadecimal: of each, a line of name and length, then its bytes."""
        return self._digest.hexdigest()

    def add(self, name: str, content: "Readable", size: int) -> None:
        """Add a member of ``size`` bytes. Raises OSError."""
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        self._digest.update(_line(name, size))
        self._tar.addfile(member, _Hashing(content, self._digest))
        _forget(self._tar)

    def add_bytes(self, name: str, content: bytes) -> None:
        self.add(name, io.BytesIO(content), len(content))

    def close(self) -> None:
        self._tar.close()


class Member:
    """A member while it is read: its name, its length and its bytes, once and in order."""

    def __init__(self, name: str, size: int, stream: IO[bytes], digest: "hashlib._Hash") -> None:
        self.name = name
        self.size = size
        self._stream = _Hashing(stream, digest)

    def pieces(self) -> Iterator[bytes]:
        """Give the bytes in pieces of at most 1 MiB."""
        while piece := self._stream.read(PIECE_BYTES):
            yield piece

    def content(self, *, largest: int) -> bytes:
        """Give all bytes. Raises SetupError if there are more than ``largest``."""
        if self.size > largest:
            raise SetupError(f"{self.name} of the backup is larger than it can be")
        return b"".join(self.pieces())


class ArchiveReader:
    """Gives the members. ``digest`` is over all of them that were read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """As ``ArchiveWriter.digest``."""
        return self._digest.hexdigest()

    def members(self) -> Iterator[Member]:
        """Give the members. Each must be read to its end before the next. Raises SetupError for another file."""
        try:
            with tarfile.open(fileobj=self._stream, mode="r|", bufsize=PIECE_BYTES) as tar:
                while each := tar.next():
                    content = tar.extractfile(each)
                    if content is None or not each.isfile():
                        raise SetupError("this is not a backup of Likeness")
                    if each.name != STATEMENT:
                        self._digest.update(_line(each.name, each.size))
                    kept = hashlib.sha256() if each.name == STATEMENT else self._digest
                    yield Member(each.name, each.size, content, kept)
                    _forget(tar)
        except tarfile.TarError as error:
            raise SetupError(_ALTERED) from error


class _Hashing(io.RawIOBase):
    def __init__(self, stream: "Readable", digest: "hashlib._Hash") -> None:
        self._stream = stream
        self._digest = digest

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        self._digest.update(piece)
        return piece


def _forget(tar: tarfile.TarFile) -> None:
    """Forget the members so far. Otherwise the archive would remember every photo."""
    vars(tar)["members"].clear()


def _line(name: str, size: int) -> bytes:
    return f"{name} {size}\n".encode()


@contextmanager
def encrypting(target: IO[bytes], recipients: Sequence[Recipient]) -> Iterator[IO[bytes]]:
    """Give a stream. What the block writes to it arrives in ``target``, encrypted. Raises OSError of ``target``."""

    def encrypt() -> None:
        arriving = _Target(target)
        with os.fdopen(read_end, "rb") as source:
            try:
                pyrage.encrypt_io(source, _as_buffered(arriving), list(recipients))
            except pyrage.EncryptError as error:
                raise arriving.fault or SetupError(f"the backup cannot be encrypted: {error}") from error

    read_end, write_end = os.pipe()
    with ThreadPoolExecutor(1, "backup") as pool, os.fdopen(write_end, "wb") as stream:
        done = pool.submit(encrypt)
        try:
            yield stream
            stream.close()
        except BrokenPipeError:  # the other end has the cause
            done.result()
            raise
        done.result()


class _Target:
    """Keeps the error of a stream, of which pyrage tells no more than the text."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.fault: OSError | None = None
        self.flush = stream.flush
        self._stream = stream

    def write(self, content: bytes) -> int:
        try:
            return self._stream.write(content)
        except OSError as error:
            self.fault = error
            raise


@contextmanager
def decrypting(source: IO[bytes], identities: Sequence[Identity]) -> Iterator[IO[bytes]]:
    """Give the decrypted stream. Raises SetupError if the backup does not open, was altered or was cut."""
    read_end, write_end = os.pipe()
    with ThreadPoolExecutor(1, "backup") as pool, os.fdopen(read_end, "rb") as stream:
        done = pool.submit(_decrypt, source, write_end, identities)
        try:
            yield stream
            while stream.read(PIECE_BYTES):
                pass  # only the end of the stream shows that nothing was cut off
        except BaseException as error:
            stream.close()  # ends the thread
            _raise_fault(done, error)
            raise
        done.result()


def _decrypt(source: IO[bytes], write_end: int, identities: Sequence[Identity]) -> None:
    with os.fdopen(write_end, "wb", buffering=0) as target:
        try:
            pyrage.decrypt_io(_as_buffered(source), _as_buffered(target), list(identities))
        except pyrage.DecryptError as error:
            raise SetupError(f"the backup does not open with this key: {error}") from error
        except BrokenPipeError:  # nobody reads any more
            pass
        except OSError as error:
            if error.errno is not None:
                raise
            raise SetupError(_ALTERED) from error


def _as_buffered(stream: object) -> io.BufferedIOBase:
    """Give a stream the type that pyrage asks for. It only calls ``read``, or ``write`` and ``flush``."""
    return cast("io.BufferedIOBase", stream)


def _raise_fault(done: "Future[None]", error: BaseException) -> None:
    """Raise the decryption's fault if there is one: it explains what the reader met."""
    fault = done.exception()
    if isinstance(fault, SetupError | OSError):
        raise fault from error
