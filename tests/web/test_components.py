"""Endpoints reach the application's components by the dataclass that their package declares of them."""

import asyncio
from dataclasses import FrozenInstanceError, dataclass

import pytest
from fastapi import FastAPI, Request

from likeness.web.components import Component, components_of
from servers import Server


@dataclass(frozen=True, kw_only=True)
class Names:
    name: str


@dataclass(frozen=True, kw_only=True)
class Numbers:
    number: int


@dataclass(frozen=True, kw_only=True)
class Both(Names, Numbers):
    """What an application holds."""


@dataclass(frozen=True, kw_only=True)
class Others:
    name: str


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    app.state.components = Both(name="a", number=1)
    return app


def test_each_package_reads_its_own_fields(app: FastAPI) -> None:
    request = Request({"type": "http", "app": app})
    asked = Component(Names, lambda names: names.name), Component(Numbers, lambda numbers: numbers.number)
    assert [asyncio.run(ask(request)) for ask in asked] == ["a", 1]


def test_what_the_application_does_not_hold_is_no_component(app: FastAPI) -> None:
    with pytest.raises(AssertionError):
        components_of(app, Others)


def test_the_servers_components_cannot_be_changed(server: Server) -> None:
    with pytest.raises(FrozenInstanceError):
        server.components.matcher = server.components.matcher  # type: ignore[misc]
