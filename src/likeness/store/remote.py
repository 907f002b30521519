"""Objects in S3, GCS or Azure. Such a store answers a ``put`` when the object is durable.

A slow store counts as down after a few seconds, because a caller waits.
"""

import os
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import obstore
from obstore.exceptions import BaseError as ObjectStoreError
from obstore.store import ObjectStore, from_url

from likeness.errors import SetupError

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
        options = _client_options(url.partition(":")[0])
        try:
            return cls(from_url(url, client_options=options, retry_config=_PATIENCE))
        except (ObjectStoreError, ValueError) as error:  # the message must not name the address: it may hold a secret
            raise SetupError(
                "LIKENESS_IMAGES_URL is not the address of an object store, such as s3://bucket/prefix, gs://bucket or "
                "az://container"
            ) from error

    async def put(self, space: str, name: str, content: bytes) -> None:
        await obstore.put_async(self._store, _path(space, name), content)

    async def replace(self, space: str, name: str, content: bytes) -> None:
        await self.put(space, name, content)

    async def get(self, space: str, name: str) -> bytes | None:
        try:
            found = await obstore.get_async(self._store, _path(space, name))
            return bytes(await found.bytes_async())
        except FileNotFoundError as error:
            _demand_bucket(error)
            return None

    async def delete(self, space: str, name: str) -> None:
        try:
            await obstore.delete_async(self._store, _path(space, name))
        except FileNotFoundError as error:
            _demand_bucket(error)

    async def move(self, name: str, space: str, target: str) -> None:
        """Move an object to another space. A missing object is no error."""
        try:
            await obstore.copy_async(self._store, _path(space, name), _path(target, name))
        except FileNotFoundError as error:
            _demand_bucket(error)
        else:
            await self.delete(space, name)

    async def batches(self, space: str) -> AsyncIterator[list[str]]:
        async for batch in self.dated(space):
            yield [name for name, _ in batch]

    async def dated(self, space: str) -> AsyncIterator[list[tuple[str, float]]]:
        async for batch in obstore.list(self._store, prefix=space):
            yield [(item["path"].rsplit("/", 1)[-1], item["last_modified"].timestamp()) for item in batch]

    def close(self) -> None:
        """Do nothing: no connection is kept open."""


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
