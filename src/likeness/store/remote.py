"""Objects in S3, GCS or Azure. Such a store answers a ``put`` when the object is durable.

A slow store counts as down after a few seconds, because a caller waits. The store is not trusted: its answers have a
largest size, and the seal of a photo shows whether they are the bytes that were stored.
"""

import asyncio
import errno
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import obstore
from obstore.exceptions import BaseError as ObjectStoreError
from obstore.store import ObjectStore, from_url

from likeness.errors import SetupError
from likeness.settings import LARGEST_PHOTO_BYTES, MEBIBYTE

SCHEMES = ("s3", "gs", "az")
LARGEST_BYTES = LARGEST_PHOTO_BYTES + MEBIBYTE
"""Size of the largest answer that is read: that of any photo with its seal."""
LISTED_AT_ONCE = 1000
CALL_SECONDS = 15
"""Longest time of a call with all its tries."""
_CHUNK_BYTES = 64 * 1024
CONNECT_SECONDS = 2
REQUEST_SECONDS = 5
RETRY_SECONDS = 5
"""No try begins later than this. So the last one ends within ten seconds."""
_SLOW: Any = {"connect_timeout": timedelta(seconds=CONNECT_SECONDS), "timeout": timedelta(seconds=REQUEST_SECONDS)}
_PATIENCE: Any = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=RETRY_SECONDS),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=1), "base": 2},
}
_SWITCHES, _PROXY = (
    ("allow_http", "allow_invalid_certificates"),
    ("proxy_url", "proxy_ca_certificate", "proxy_excludes"),
)
_CODE = re.compile(r"<Code>(\w{1,64})</Code>|\"code\": ?\"(\w{1,64})\"")
_CONNECTION = re.compile(r"HttpError \{\s*kind: (\w+)")
_INMOST = re.compile(r'(?:message|error): "([^"]{1,100})"')
_KINDS = {"Timeout": "it does not answer in time", "Connect": "it cannot be reached"}
_ADDRESS = re.compile(r"\w+://[^\s\"')]+")
_LONGEST_CAUSE = 200


class RemoteObjects:
    """Objects named ``space/name`` of one object store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    def at(cls, url: str) -> "RemoteObjects":
        """Open the store at an address. Raises SetupError for an invalid address."""
        # The message must not name the address: it may hold a secret.
        invalid = SetupError(
            "LIKENESS_IMAGES_URL is not the address of an object store, such as s3://bucket/prefix, gs://bucket or "
            "az://container"
        )
        scheme = url.partition(":")[0]
        if scheme not in SCHEMES:
            raise invalid
        try:
            return cls(from_url(url, client_options=_client_options(scheme), retry_config=_PATIENCE))
        except (ObjectStoreError, ValueError) as error:
            raise invalid from error

    async def put(self, space: str, name: str, content: bytes) -> None:
        async with _bounded():
            await obstore.put_async(self._store, _path(space, name), content)

    async def replace(self, space: str, name: str, content: bytes) -> None:
        await self.put(space, name, content)

    async def get(self, space: str, name: str) -> bytes | None:
        """Give an object's bytes, or None. Raises OSError for an answer that is too long or takes too long."""
        content = bytearray()
        try:
            async with _bounded():
                found = await obstore.get_async(self._store, _path(space, name))
                async for chunk in found.stream(_CHUNK_BYTES):
                    content += chunk
                    if len(content) > LARGEST_BYTES:
                        raise OSError(errno.EFBIG, "its answer is longer than any photo")
        except FileNotFoundError as error:
            _demand_bucket(error)
            return None
        return bytes(content)

    async def delete(self, space: str, name: str) -> None:
        try:
            async with _bounded():
                await obstore.delete_async(self._store, _path(space, name))
        except FileNotFoundError as error:
            _demand_bucket(error)

    async def move(self, name: str, space: str, target: str) -> None:
        """Move an object to another space. A missing object is no error."""
        try:
            async with _bounded():
                await obstore.copy_async(self._store, _path(space, name), _path(target, name))
        except FileNotFoundError as error:
            _demand_bucket(error)
        else:
            await self.delete(space, name)

    async def batches(self, space: str) -> AsyncIterator[list[str]]:
        async for batch in self.dated(space):
            yield [name for name, _ in batch]

    async def dated(self, space: str) -> AsyncIterator[list[tuple[str, float]]]:
        listing = aiter(obstore.list(self._store, prefix=space or None, chunk_size=LISTED_AT_ONCE))
        while True:
            async with _bounded():
                batch = await anext(listing, None)
            if not batch:
                return
            yield [(item["path"].rsplit("/", 1)[-1], item["last_modified"].timestamp()) for item in batch]

    def close(self) -> None:
        """Do nothing: no connection is kept open."""


@asynccontextmanager
async def _bounded() -> AsyncIterator[None]:
    """Give a call a longest time. Raises TimeoutError with a cause."""
    try:
        async with asyncio.timeout(CALL_SECONDS):
            yield
    except TimeoutError as error:
        raise TimeoutError(errno.ETIMEDOUT, _KINDS["Timeout"]) from error


def _client_options(scheme: str) -> Any:
    """Give the time limits, and the options of the environment.

    The library reads the environment only if it gets no options.
    """
    prefix = {"s3": "AWS", "gs": "GOOGLE"}.get(scheme, "AZURE")
    variables = {name: os.environ.get(f"{prefix}_{name.upper()}") for name in (*_SWITCHES, *_PROXY)}
    switches = {name: True for name in _SWITCHES if (variables[name] or "").lower() in {"true", "1", "yes", "on"}}
    return {**_SLOW, **switches, **{name: variables[name] for name in _PROXY if variables[name]}}


def cause_of_store_error(error: Exception) -> str:
    """Give the cause of a store's refusal in a few words.

    It is the service's own code if there is one. It never has an address, which may hold a secret.
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    message = str(error)
    code = _CODE.search(message)
    if code:
        return str(code[1] or code[2])
    kind = _CONNECTION.search(message)
    if kind:
        inmost = _INMOST.search(message)
        return f"{_KINDS.get(kind[1], kind[1])}{f' ({inmost[1]})' if inmost else ''}"
    # Rust's errors begin with the outermost one. The innermost one says most.
    words = " ".join(_ADDRESS.sub("…", message.partition("Debug source:")[0]).split())
    return words if len(words) <= _LONGEST_CAUSE else f"{words[:60]} … {words[60 - _LONGEST_CAUSE :]}"


class NoBucket(Exception):
    """The bucket itself does not exist, not only one object."""


def _demand_bucket(error: FileNotFoundError) -> None:
    """Raise NoBucket if the whole bucket is missing, not only the object."""
    code = _CODE.search(str(error))
    if code and (code[1] or code[2]) in {"NoSuchBucket", "ContainerNotFound"}:
        raise NoBucket(f"<Code>{code[1] or code[2]}</Code>") from error


def _path(space: str, name: str) -> str:
    return f"{space}/{name}" if space else name
