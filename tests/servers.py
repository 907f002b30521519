"""A real server on a real port, and a caller of its API."""

import base64
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from likeness.access.scopes import Scope
from likeness.app import Components, create_app
from likeness.deployment import Deployment, initialise, is_initialised, open_deployment
from likeness.engine.base import Engine
from likeness.engine.fake import FakeEngine
from likeness.gallery.memory.galleries import LoadedGalleries
from likeness.kit.clock import MovableClock
from likeness.server.running import make_server
from likeness.settings import Settings
from likeness.tenants.schemas import TenantSettings
from likeness.tenants.service import Tenant
from likeness.web.components import components_of


@dataclass(frozen=True)
class Server:
    url: str
    app: FastAPI
    deployment: Deployment
    clock: MovableClock

    @property
    def metrics_url(self) -> str:
        return str(self.deployment.settings.metrics_address)

    @property
    def components(self) -> Components:
        return components_of(self.app, Components)

    @property
    def galleries(self) -> LoadedGalleries:
        held = self.components.held
        assert isinstance(held, LoadedGalleries)
        return held


PATIENCE_SECONDS = 60.0
"""How long a request may wait for a worker. A busy machine then refuses no request of a test about something else."""


def test_settings(folder: Path, **changes: Any) -> Settings:
    usual = {"pack": "fake", "workers": 2, "queue_seconds": PATIENCE_SECONDS, "attempts_per_photo": 0}
    return Settings(data_dir=folder, **{**usual, **changes})


test_settings.__test__ = False  # type: ignore[attr-defined]  # pytest takes the name for a test


@contextlib.contextmanager
def serving(settings: Settings, engine: Engine | None = None) -> Iterator[Server]:
    """Run the application on a loopback port, free or as set, with a clock that the test can move."""
    port = settings.port if "port" in settings.model_fields_set else 0
    listener, metrics_listener = (socket.create_server(("127.0.0.1", each)) for each in (port, 0))
    settings = settings.model_copy(
        update={"port": listener.getsockname()[1], "metrics_port": metrics_listener.getsockname()[1]}
    )
    if not is_initialised(settings):
        initialise(settings)
    clock = MovableClock(time.time())
    deployment = open_deployment(settings, clock)
    app = create_app(deployment, engine or FakeEngine())
    server = make_server(app, settings, begin_stop=components_of(app, Components).begin_stop)
    app.state.server = server
    thread = threading.Thread(target=server.run, args=([listener, metrics_listener],), daemon=True)
    thread.start()
    try:
        wait_until_ready(settings.own_address, seconds=180 if settings.shares_galleries else 60)
        yield Server(settings.own_address, app, deployment, clock)
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        metrics_listener.close()
        deployment.close()


@contextlib.contextmanager
def serving_two(folder: Path, database_url: str, **changes: Any) -> Iterator[list[Server]]:
    """Run two servers of one deployment on one PostgreSQL, behind one public address: that of the first.

    Two things are simulated. Both run in this process, and each holds galleries in its own memory. So the calls on a
    gallery are not for these servers. Their clocks move apart. ``clusters.shared_servers`` runs real processes.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = test_settings(folder, database_url=database_url, base_url=f"http://127.0.0.1:{port}", **changes)
    with serving(settings.model_copy(update={"port": port})) as first, serving(settings) as second:
        yield [first, second]


def wait_until_ready(url: str, *, seconds: float = 60, runs: Callable[[], bool] = lambda: True) -> None:
    """Wait for a server. ``runs`` gives whether its process still runs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and runs():
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        time.sleep(0.02)
    raise AssertionError(f"{url} was not ready within {seconds} s" if runs() else f"the server of {url} ended")


def wait_until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)


@dataclass
class Api:
    """A caller with a token of one tenant."""

    server: Server
    tenant: Tenant
    client_id: str
    client_secret: str
    http: httpx.Client
    headers: dict[str, str] = field(default_factory=dict)

    def token(self, *scopes: Scope) -> str:
        form = {"grant_type": "client_credentials", "client_id": self.client_id, "client_secret": self.client_secret}
        if scopes:
            form["scope"] = " ".join(scopes)
        reply = self.http.post("/api/oauth/token", data=form)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["access_token"])

    def with_scopes(self, *scopes: Scope) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(*scopes)}"}

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        if body is not None:
            options["json"] = body
        headers = {**self.headers, **options.pop("headers", {})}
        return self.http.request(method, path, headers=headers, **options)

    def match(self, source: bytes, target: bytes, /, **fields: Any) -> httpx.Response:
        body = {"sourceImage": b64(source), "targetImage": b64(target), **fields}
        return self.call("POST", "/api/v1/face/match", body)

    def search(self, photo: bytes, **fields: Any) -> httpx.Response:
        return self.call("POST", "/api/v1/face/one-to-n/search", {"idPhoto": b64(photo), **fields})

    def insert(self, photo: bytes, *, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        body = {"idPhoto": b64(photo), **fields}
        return self.call("POST", "/api/v1/face/one-to-n/insert", body, headers=headers or {})

    def open_session(self, photo: bytes, **fields: Any) -> httpx.Response:
        return self.call("POST", "/api/v1/face", {"idPhoto": b64(photo), **fields})


def b64(photo: bytes) -> str:
    return base64.b64encode(photo).decode()


_names = iter(range(1 << 30))


@contextlib.contextmanager
def calling(
    server: Server, *, settings: TenantSettings | None = None, scopes: frozenset[Scope] = frozenset(Scope)
) -> Iterator[Api]:
    """Give a caller in a new tenant."""
    tenant = server.deployment.tenants.create(f"tenant {next(_names):04}", settings)  # none begins like another
    credentials = server.deployment.clients.create(tenant.id, "test", scopes)
    with httpx.Client(base_url=server.url, timeout=60) as http:
        api = Api(server, tenant, credentials.client_id, credentials.client_secret, http)
        api.headers = {"Authorization": f"Bearer {api.token()}"}
        yield api
