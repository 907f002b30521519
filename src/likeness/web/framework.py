"""FastAPI as the product uses it."""

from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from likeness import __version__
from likeness.errors import LikenessError
from likeness.web import http

Handler = Callable[[Request, Exception], Coroutine[Any, Any, Response]]


def make_application(
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]], handlers: Mapping[int | type[Exception], Handler]
) -> FastAPI:
    """Make an application without calls. ``handlers`` answer further kinds of errors."""
    return FastAPI(
        title="Likeness",
        version=__version__,
        summary="Face sessions, 1:1 match, 1:N search.",
        lifespan=lifespan,
        # Requests contain faces. So no telemetry goes to a collector that the environment names.
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
        openapi_url=None,  # the pages of likeness.documentation load nothing from the internet
        # A redirect would lead to the host that the caller named, and send a face there.
        redirect_slashes=False,
        exception_handlers={
            LikenessError: http.handle_likeness_error,
            HTTPException: http.handle_http_exception,
            RequestValidationError: http.handle_validation_error,
            **handlers,
        },
    )
