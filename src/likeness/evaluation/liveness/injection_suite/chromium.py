"""The Chromium that the attacks go through."""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from likeness.errors import SetupError

if TYPE_CHECKING:  # Playwright is not a part of the product
    from playwright.sync_api import Browser

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    # A page without an address counts as one of the internet, which may not call this machine.
    "--disable-features=LocalNetworkAccessChecks",
)

Launch: TypeAlias = Callable[[Sequence[str]], contextlib.AbstractContextManager["Browser"]]
"""Starts a Chromium with these arguments, and ends it with the block."""


def find_chromium(named: Path | None = None) -> Path:
    """Give the named browser, or else the one of this machine. Raises SetupError if it is missing."""
    if named is not None:
        if not named.is_file():
            raise SetupError(f"There is no browser {named}.")
        return named
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        raise SetupError("No Chromium is installed: apt-get install chromium, or name it with --chromium.")
    return Path(found)


@contextlib.contextmanager
def chromiums(path: Path) -> Iterator[Launch]:
    """Give what starts the browser. Raises SetupError if Playwright is missing."""
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415  not a part of the product
    except ImportError as error:
        raise SetupError("The attacks need the package playwright: pip install playwright.") from error

    with sync_playwright() as playwright:

        @contextlib.contextmanager
        def launch(arguments: Sequence[str]) -> Iterator["Browser"]:
            browser = playwright.chromium.launch(executable_path=path, args=list(arguments))
            try:
                yield browser
            finally:
                browser.close()

        yield launch
