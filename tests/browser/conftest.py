"""A Chromium, a server with a real model pack whose liveness check goes by the scene's clock, and people to put before the camera."""

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from browser.album import Album
from browser.people import People
from browser.scene_clock import SceneClock
from lacking import needed_chromium
from likeness.cli.demo.photos import load_photos
from likeness.engine.base import Engine
from likeness.engine.packs.identity import PackId
from likeness.engine.packs.loading import load_engine
from likeness.evaluation.liveness.injection_suite.chromium import FLAGS
from likeness.liveness.attempt.check import Check
from likeness.liveness.attempt.script import draw_script
from likeness.liveness.base import LivenessCheck
from likeness.sessions.capture.services import CheckRequest
from servers import Api, Server, calling, serving, test_settings


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(400))


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    """Give the browser of this machine; the tests are skipped where there is none, but not in the project's check."""
    return needed_chromium()


# Of one module: while it lives, Playwright keeps an event loop running in this thread, where other tests want their own.
@pytest.fixture(scope="module")
def chromium(chromium_path: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return load_engine(PackId("builtin"), models_dir=tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def people(engine: Engine) -> People:
    return People(engine, load_photos())


@pytest.fixture(scope="session")
def scene_clock() -> SceneClock:
    return SceneClock()


def repeatable_check(engine: Engine, request: CheckRequest) -> LivenessCheck:
    """Make the check that the server makes, but with the same challenge in every run."""
    return Check(engine, draw_script(request.mode, flash=request.flash, chance=random.Random(1)), request.camera)


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory, engine: Engine, scene_clock: SceneClock) -> Iterator[Server]:
    with serving(test_settings(tmp_path_factory.mktemp("browser")), engine) as running:
        captures = running.components.captures
        captures.services = dataclasses.replace(captures.services, monotonic=scene_clock, new_check=repeatable_check)
        yield running


@pytest.fixture(scope="session")
def caller(real_server: Server) -> Iterator[Api]:
    with calling(real_server) as api:
        yield api


@pytest.fixture
def faults() -> list[str]:
    """Give what pages complained of so far; a test that provokes complaints takes them out."""
    return []


@pytest.fixture
def context(chromium: Browser, faults: list[str]) -> Iterator[BrowserContext]:
    """Give a fresh context; a page's console errors and faults fail the test."""
    made = chromium.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    made.on("weberror", lambda error: faults.append(str(error.error)))
    made.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    made.set_default_timeout(30_000)
    yield made
    made.close()
    assert faults == []


@pytest.fixture
def album(request: pytest.FixtureRequest) -> Album:
    return Album(request.node.name.removeprefix("test_").replace("[", "-").replace("]", ""))
