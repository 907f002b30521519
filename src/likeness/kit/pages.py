"""HTML pages from a package's templates."""

from collections.abc import Callable

import jinja2


def page_template(package: str, name: str, **filters: Callable[..., str]) -> jinja2.Template:
    """Give a template of a package, whose values are escaped and must all be there; ``filters`` by the names it calls them."""
    pages = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= filters
    return pages.get_template(name)
