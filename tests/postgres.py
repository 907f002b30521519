"""A real PostgreSQL server for the test run, in a temporary folder."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from lacking import skip_here
from postgres_server import find_programs, running_server

_numbers = itertools.count()


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a server. Give the connection string of its first database."""
    with running_server(needed_programs()) as server:
        yield server.url


def needed_programs() -> Path:
    """Give the folder of PostgreSQL's server programs. Skip where it is not installed."""
    programs = find_programs()
    if programs is None:
        skip_here("PostgreSQL's server is not installed (Debian: the package postgresql)")
    return programs


def new_database(server_url: str) -> str:
    """Make an empty database. Give its connection string."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server_url.replace("/postgres?", f"/{name}?")
