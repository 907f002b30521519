"""``likeness demo``: sets up a data folder and a tenant, starts the server, tests it, and stays up."""

import contextlib
import errno
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import httpx
import typer
import uvicorn
from rich.console import Console
from rich.text import Text

from likeness.access.clients import ClientCredentials
from likeness.access.scopes import API_SCOPES
from likeness.cli.demo.backend import Backend
from likeness.cli.demo.photos import DemoPhotos, load_photos
from likeness.cli.demo.proof import Proof, Row
from likeness.cli.opening import open_deployment
from likeness.deployment import initialise, is_initialised
from likeness.errors import NotFound, SetupError
from likeness.settings import Settings

TENANT = "demo"
START_SECONDS = 120
LINE = "{:<31} {:<42} {:<44} {:>5}"
HEADER = LINE.format("call", "request", "answer", "ms")


def demo(
    *,
    once: Annotated[
        bool, typer.Option(help="End after the table, with status 1 if an answer is not as promised.")
    ] = False,
) -> None:
    """Start a server, make every call of the API with real photos, print the answers, and stay up.

    Makes the data folder and the tenant `demo` if they are missing.
    Restarts the server once in between. At the end it prints the address
    of a page that opens a face session with your camera. Ctrl-C stops it.

    Example: likeness demo --once
    """
    signal.signal(signal.SIGTERM, _end)
    settings = Settings()
    console = Console()
    photos = load_photos()
    credentials = _prepare(settings, console)
    proof = Proof(settings.own_address, credentials, photos)
    console.print(HEADER, style="bold", highlight=False, soft_wrap=True)
    with _server(settings):
        rows = _show(proof.before_restart(), console)
    with _server(settings):
        console.print("the server was restarted", style="dim")
        rows += _show(proof.after_restart(), console)
        held = sum(row.ok for row in rows)
        console.print(f"\n{held} of {len(rows)} as promised", style="bold green" if held == len(rows) else "bold red")
        if once:
            raise typer.Exit(0 if held == len(rows) else 1)
        _stay(console, settings, credentials, photos)


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    """End on SIGTERM as on Ctrl-C, so that the server does not outlive the command."""
    raise SystemExit(0)


def _stay(console: Console, settings: Settings, credentials: ClientCredentials, photos: DemoPhotos) -> None:
    """Print what to try next, and run the example backend until a signal."""
    with _listen_beside(settings.port) as door:
        address = f"http://localhost:{door.getsockname()[1]}"
        backend = Backend(settings.origin, address, credentials)
        _invite(console, settings, credentials, try_at=address, photos=_keep(photos, settings.data_dir / "demo"))
        config = uvicorn.Config(backend.app(), log_level="warning", access_log=False, timeout_graceful_shutdown=1)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run([door])


def _listen_beside(port: int) -> socket.socket:
    """Listen for this machine only, on the port after the server's or on any free port. Raises SetupError."""
    for candidate in (port + 1, 0):
        try:
            return socket.create_server(("127.0.0.1", candidate))
        except OSError:
            continue
    raise SetupError("no port is free for the page that tries a face session")


def _keep(photos: DemoPhotos, folder: Path) -> tuple[Path, Path]:
    """Write the two photos that the printed call compares. They are public, so they are not encrypted."""
    folder.mkdir(exist_ok=True)
    source, target = folder / "astronaut.jpg", folder / "astronaut-relit.jpg"
    source.write_bytes(photos.astronaut)
    target.write_bytes(photos.astronaut_again["relit"])
    return source, target


def _prepare(settings: Settings, console: Console) -> ClientCredentials:
    """Make the data folder and the demo tenant if they are missing. Give new credentials. Raises SetupError."""
    try:
        family, *_, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        obstacle = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be listened on ({error.strerror})"
        raise SetupError(
            f"{settings.own_address} {obstacle}; stop the program that uses it, or set LIKENESS_HOST and LIKENESS_PORT"
        ) from error
    if not is_initialised(settings):
        initialise(settings)
        console.print(f"made the data folder {settings.data_dir.resolve()}", markup=False)
    with closing(open_deployment(settings)) as deployment:
        try:
            tenant = deployment.tenants.by_name(TENANT)
        except NotFound:
            tenant = deployment.tenants.create(TENANT)
        clients = [row for row in deployment.clients.of_tenant(tenant.id) if row.name == TENANT and not row.disabled]
        if clients:
            return deployment.clients.rotate_secret(clients[0].id)
        return deployment.clients.create(tenant.id, TENANT, API_SCOPES)


@contextlib.contextmanager
def _server(settings: Settings) -> Iterator[None]:
    """Run ``likeness serve`` in its own process until the block ends. Raises SetupError."""
    environment = os.environ | {"LIKENESS_LOG_LEVEL": "warning"}
    process = subprocess.Popen([sys.executable, "-m", "likeness", "serve"], env=environment)
    try:
        _wait_until_ready(settings, process)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(settings: Settings, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SetupError("the server did not start; its error is above")
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{settings.own_address}/readyz", timeout=5, trust_env=False).status_code == 200:
                return
        time.sleep(0.1)
    raise SetupError(f"the server was not ready within {START_SECONDS} s")


def _show(made: Iterator[Row], console: Console) -> list[Row]:
    """Print each row as soon as it is there."""
    rows = []
    for row in made:
        mark = Text("✓", "green") if row.ok else Text("✗", "red")
        line = LINE.format(row.call, row.asked, row.answered, f"{row.milliseconds:.0f}")
        console.print(line, mark, highlight=False, markup=False, soft_wrap=True)
        rows.append(row)
    return rows


def _invite(
    console: Console, settings: Settings, credentials: ClientCredentials, *, try_at: str, photos: tuple[Path, Path]
) -> None:
    url = settings.origin
    source, target = (os.path.relpath(photo) for photo in photos)
    console.print(f"\n[bold]Likeness is up at {url}[/]   API: {url}/docs   Ctrl-C stops it\n", soft_wrap=True)
    console.print(f"[bold]Try a face session with your own camera: {try_at}[/]\n", highlight=False, soft_wrap=True)
    console.print("Or match two photos (these two show one person):\n", highlight=False)
    console.print(
        f"TOKEN=$(curl -sS {url}/api/oauth/token -d grant_type=client_credentials \\\n"
        f"  -d client_id={credentials.client_id} \\\n"
        f"  -d client_secret={credentials.client_secret} \\\n"
        "  | python3 -c 'import json,sys; print(json.load(sys.stdin)[\"access_token\"])')\n"
        f'curl -sS {url}/api/v1/face/match -H "Authorization: Bearer $TOKEN" \\\n'
        f"  -F sourceImage=@{shlex.quote(source)} -F targetImage=@{shlex.quote(target)}\n",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
