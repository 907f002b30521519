"""A direct route answers as FastAPI would, and runs the same dependencies."""

import asyncio
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.routing import APIRoute

from likeness.errors import Forbidden, LikenessError
from likeness.web.http import handle_likeness_error
from likeness.web.route import DirectRoute, OfRequest
from likeness.web.wire import WireModel
from servers import Server


class Reply(WireModel):
    said_by: str
    of_none: None = None
    rate: float = 1e-06


class Caller(OfRequest):
    async def __call__(self, request: Request) -> str:
        request.state.request_id = "an id"
        asked.append("caller")
        name = request.headers.get("x-name", "")
        if not name:
            raise Forbidden("Who are you?")
        return name


class Last(OfRequest):
    async def __call__(self, request: Request) -> str:
        asked.append("last")
        return request.url.path


asked: list[str] = []


def application(route_class: type[APIRoute]) -> FastAPI:
    router = APIRouter(route_class=route_class)

    @router.post("/direct", status_code=201)
    async def direct(
        request: Request, caller: Annotated[str, Depends(Caller())], last: Annotated[str, Depends(Last())]
    ) -> Reply:
        return Reply(said_by=f"{caller} {last} {request.method} ä")

    @router.post("/general")
    async def general(caller: Annotated[str, Depends(Caller())], number: Annotated[int, Query(ge=1)]) -> Reply:
        return Reply(said_by=f"{caller} {number}")

    @router.delete("/nothing", status_code=204)
    async def nothing(caller: Annotated[str, Depends(Caller())]) -> None:
        asked.append(caller)

    app = FastAPI(exception_handlers={LikenessError: handle_likeness_error})
    app.include_router(router)
    return app


def answer(route_class: type[APIRoute], method: str, address: str, **headers: str) -> tuple[Any, ...]:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(application(route_class))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as http:
            return await http.request(method, address, headers=headers)

    asked.clear()
    reply = asyncio.run(call())
    return reply.status_code, reply.content, sorted(reply.headers.items()), tuple(asked)


@pytest.mark.parametrize("headers", [{"x-name": "A"}, {}])
@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("POST", "/direct"),
        ("POST", "/general?number=3"),
        ("POST", "/general?number=0"),
        ("POST", "/general"),
        ("DELETE", "/nothing"),
        ("GET", "/direct"),
    ],
)
def test_it_answers_as_fastapi_does(method: str, address: str, headers: dict[str, str]) -> None:
    assert answer(DirectRoute, method, address, **headers) == answer(APIRoute, method, address, **headers)


def test_who_calls_is_asked_first_and_a_refusal_is_the_end() -> None:
    status, *_, order = answer(DirectRoute, "POST", "/direct")
    assert (status, order) == (403, ("caller",))
    status, *_, order = answer(DirectRoute, "POST", "/direct", **{"x-name": "A"})
    assert (status, order) == (201, ("caller", "last"))


def test_no_dependency_of_the_application_or_of_a_router_would_be_left_out(server: Server) -> None:
    waiting: list[Any] = [server.app.router]
    routers = 0
    while waiting:
        router = waiting.pop()
        assert not router.dependencies
        for route in router.routes:
            if included := getattr(route, "original_router", None):
                assert not route.include_context.dependencies
                waiting.append(included)
                routers += 1
    assert routers >= 5
