"""A real S3 server for the test run, and the environment of its clients."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from moto.server import ThreadedMotoServer

_numbers = itertools.count()


@contextmanager
def s3_server() -> Iterator[str]:
    """Run a server that has the bucket ``photos``. Give its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    httpx.put(f"{address}/photos").raise_for_status()
    yield address
    server.stop()


def use_s3(patch: pytest.MonkeyPatch, address: str) -> None:
    """Set the environment so that clients call a server, with credentials."""
    for name, value in s3_environment(address).items():
        patch.setenv(name, value)


def s3_environment(address: str) -> dict[str, str]:
    """Give the variables of a client."""
    return {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "never-to-be-logged",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ENDPOINT_URL": address,
    }


def new_photos_url() -> str:
    """Give the address of a prefix that no other test uses."""
    return f"s3://photos/test-{next(_numbers)}"
