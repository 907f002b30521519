"""HTML pages of a package's ``pages`` folder, and the content policy of every page of the server."""

from collections.abc import Callable, Mapping
from typing import Final

import jinja2

_POLICY: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "img-src": "'self' data:",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}


def content_policy(more: Mapping[str, str] | None = None) -> str:
    """Give a Content-Security-Policy: no inline script or style, nothing of other origins, no frame, and ``more``."""
    return "; ".join(f"{directive} {sources}" for directive, sources in (_POLICY | dict(more or {})).items())


def load_pages(package: str, **filters: Callable[..., str]) -> jinja2.Environment:
    """Give the pages of a package as templates. They escape their values, and need all of them.

    ``filters`` are functions by their names in the pages.
    """
    pages = jinja2.Environment(
        loader=jinja2.PackageLoader(package, "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= filters
    return pages


def load_page(package: str, name: str, **filters: Callable[..., str]) -> jinja2.Template:
    """Give one of the pages that :func:`load_pages` gives."""
    return load_pages(package, **filters).get_template(name)
