"""How a page of the console is made: its template, its texts in the visitor's language, and its headers."""

import json
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote

import jinja2
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute

from likeness.console.charts import bars, score_chart
from likeness.console.requires import SAFE, SignedOut, Visitor
from likeness.errors import LikenessError
from likeness.web.http import note_refusal, wrong_parameters
from likeness.web.pages import content_policy, load_pages

LANGUAGES: Final = {"en": "English", "ar": "العربية"}
FIRST_PAGE: Final = "/console/try"
LANGUAGE_COOKIE: Final = "__Host-language"
HEADERS: Final = {
    "Content-Security-Policy": content_policy(
        {"form-action": "'self'", "img-src": "'self' blob: data:", "media-src": "'self' blob:"}
    ),
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
Texts = Mapping[str, str]


@cache
def texts(language: str) -> Texts:
    """Give all texts of the console in a language."""
    found: dict[str, str] = json.loads(
        (files("likeness.console") / "texts" / f"{language}.json").read_text(encoding="utf-8")
    )
    return found


def language_of(request: Request) -> str:
    """Give the language that the visitor chose, else the first one of the browser's that there is, else English."""
    wanted = request.headers.get("accept-language", "")[:256].lower().split(",")
    asked = [request.cookies.get(LANGUAGE_COOKIE, ""), *(each.partition(";")[0].strip()[:2] for each in wanted)]
    return next((each for each in asked if each in LANGUAGES), "en")


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


@cache
def _templates() -> jinja2.Environment:
    environment = load_pages("likeness.console", moment=_moment)
    environment.globals |= {"languages": LANGUAGES, "score_chart": score_chart, "bars": bars}
    return environment


def page(
    request: Request, name: str, *, visitor: Visitor | None = None, status: int = 200, **values: Any
) -> HTMLResponse:
    """Give a page. Its template gets ``t`` (the texts), ``visitor`` and the values."""
    language = language_of(request)
    common = {"t": texts(language), "language": language, "visitor": visitor, "path": _page_of(request)}
    return HTMLResponse(_templates().get_template(name).render(common | values), status, headers=dict(HEADERS))


def _page_of(request: Request) -> str:
    """Give the path of the page that a visitor can come back to. The address of a change has none."""
    return request.url.path if request.method in SAFE else FIRST_PAGE


def see_other(path: str) -> RedirectResponse:
    """Lead the browser to another page after a change. ``path`` is our own."""
    return RedirectResponse(path, 303, headers={"Cache-Control": "no-store"})


class PageRoute(APIRoute):
    """A route whose refusals are pages. Without a visit it leads to the sign-in."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_as_page(request: Request) -> Response:
            try:
                return await handle(request)
            except SignedOut as error:
                request.state.error = error.code
                query = f"?{request.url.query}" if request.url.query and request.method in SAFE else ""
                return see_other(f"/console/sign-in?next={quote(_page_of(request) + query, safe='')}")
            except RequestValidationError as error:
                return _refused(request, wrong_parameters(error))
            except LikenessError as error:
                return _refused(request, error)

        return handle_as_page


def _refused(request: Request, error: LikenessError) -> HTMLResponse:
    note_refusal(request, error)
    refused = page(request, "refused.html", status=error.status, error=error, request_id=request.state.request_id)
    refused.headers.update(error.headers)
    return refused
