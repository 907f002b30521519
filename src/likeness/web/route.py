"""Routes without FastAPI's solver of dependencies, which takes longer than the dependencies themselves."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

from fastapi import Request, Response
from fastapi.params import Depends
from fastapi.routing import APIRoute
from pydantic import BaseModel

Asked = Callable[[Request], Coroutine[Any, Any, Any]]


SCORES: Final[dict[str, Any]] = {"score": True, "candidates": {"__all__": {"score"}}}
"""The members of answers with the score of a comparison. ``request.state.hides_scores`` leaves them out."""


class OfRequest(ABC):
    """A dependency that needs only the request."""

    @abstractmethod
    async def __call__(self, request: Request) -> Any:
        """Give the value of the endpoint's parameter."""


class DirectRoute(APIRoute):
    """A route whose endpoint takes only the request and :class:`OfRequest` dependencies, and answers with a model.

    The dependencies run in the order of the signature. The API's description is the same as for other routes. FastAPI
    calls an endpoint that also takes a parameter of the path, the query or a header. Dependencies of a whole router or
    application would not run here, and there are none.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        asked = _asked(self.endpoint)
        if asked is None or not (isinstance(self.response_model, type) and issubclass(self.response_model, BaseModel)):
            return super().get_route_handler()
        endpoint, status = self.endpoint, self.status_code or 200

        async def handle(request: Request) -> Response:
            given = {name: await ask(request) for name, ask in asked.items()}
            reply = await endpoint(**given)
            left_out = SCORES if getattr(request.state, "hides_scores", False) else None
            body = reply.model_dump_json(by_alias=True, exclude=left_out)
            return Response(body, status, media_type="application/json")

        return handle


def _asked(endpoint: Callable[..., Any]) -> dict[str, Asked] | None:
    """Give the dependency of each of an endpoint's parameters. Give None if one needs more than the request."""
    hints = get_type_hints(endpoint, include_extras=True)
    asked: dict[str, Asked] = {}
    for name in inspect.signature(endpoint).parameters:
        ask = _asked_for(hints[name])
        if ask is None:
            return None
        asked[name] = ask
    return asked


def _asked_for(hint: Any) -> Asked | None:
    if hint is Request:
        return _itself
    if get_origin(hint) is not Annotated:
        return None
    found = [each.dependency for each in get_args(hint)[1:] if isinstance(each, Depends)]
    return found[0] if len(found) == 1 and isinstance(found[0], OfRequest) else None


async def _itself(request: Request) -> Request:
    return request
