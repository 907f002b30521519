"""The pages at the server's address: the start page, and the reference of the API, which can send calls."""

import json
from functools import cache
from importlib.resources import files

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from likeness.web.pages import content_policy, load_page


def router(app: FastAPI, origin: str) -> APIRouter:
    """Give the routes of ``/``, ``/docs`` and ``/openapi.json``. Each answer is made once."""
    routes = APIRouter(include_in_schema=False)
    headers = {
        "Content-Security-Policy": content_policy(),
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-cache",
    }
    start = load_page("likeness", "start.html").render(version=app.version, origin=origin)
    reference = (files("likeness") / "static" / "documentation" / "page.html").read_text(encoding="utf-8")

    @cache
    def description() -> bytes:
        return json.dumps(app.openapi(), ensure_ascii=False, separators=(",", ":")).encode()

    @routes.get("/")
    async def get_start() -> HTMLResponse:
        return HTMLResponse(start, headers=headers)

    @routes.get("/docs")
    async def get_reference() -> HTMLResponse:
        return HTMLResponse(reference, headers=headers)

    @routes.get("/openapi.json")
    async def get_description() -> Response:  # no thread: it would cost more than the answer
        return Response(description(), media_type="application/json")

    return routes
