"""The server in its own process, as an operator runs it. Tests can kill it and read its memory."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from likeness.access.clients import ClientCredentials
from likeness.access.scopes import API_SCOPES
from likeness.deployment import initialise, is_initialised, open_deployment
from likeness.settings import Settings
from servers import PATIENCE_SECONDS, wait_until_ready


@dataclass
class ServerProcess:
    """A data folder, and a ``likeness serve`` on it while that is started."""

    settings: Settings
    credentials: ClientCredentials
    environment: dict[str, str]
    command: tuple[str, ...] = (sys.executable, "-m", "likeness", "serve")
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    @property
    def url(self) -> str:
        return self.settings.origin

    def start(self, *, wrap: tuple[str, ...] = ()) -> None:
        self.launch(wrap=wrap)
        self.wait()

    def launch(self, *, wrap: tuple[str, ...] = ()) -> "subprocess.Popen[bytes]":
        """Start the server without waiting for it."""
        self.process = subprocess.Popen([*wrap, *self.command], env=self.environment)
        return self.process

    def wait(self) -> None:
        """Wait until the server is ready."""
        process = self.process
        assert process is not None
        wait_until_ready(self.url, seconds=180, runs=lambda: process.poll() is None)

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the server's process within the block, so that its files do not change."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def peak_resident_bytes(self) -> int:
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def client(self, timeout: float = 120) -> httpx.Client:
        form = {"grant_type": "client_credentials", "client_id": self.credentials.client_id}
        form |= {"client_secret": self.credentials.client_secret}
        token = httpx.post(f"{self.url}/api/oauth/token", data=form, timeout=timeout).raise_for_status().json()
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        return httpx.Client(base_url=self.url, timeout=timeout, headers=headers)


@contextlib.contextmanager
def server_process(folder: Path, *, start: bool = True, **settings: Any) -> Iterator[ServerProcess]:
    """Make a data folder with a tenant, and run the server on it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    made = Settings(data_dir=folder, port=port, **{"queue_seconds": PATIENCE_SECONDS, **settings})
    if not is_initialised(made):
        initialise(made)
    deployment = open_deployment(made)
    tenant = deployment.tenants.create(f"tenant {port}")
    credentials = deployment.clients.create(tenant.id, "test", API_SCOPES)
    deployment.close()
    chosen = made.model_dump(exclude_unset=True)
    environment = os.environ | {"LIKENESS_LOG_LEVEL": "warning"}
    environment |= {f"LIKENESS_{name.upper()}": str(value) for name, value in chosen.items() if value is not None}
    running = ServerProcess(made, credentials, environment)
    if start:
        running.start()
    try:
        yield running
    finally:
        running.stop()
