"""``likeness serve``."""

import logging
from contextlib import closing

import cv2
import uvicorn
from rich.console import Console
from rich.markup import escape

from likeness.deployment import Deployment, open_deployment
from likeness.engine.base import Engine
from likeness.engine.levels import LEVELS
from likeness.settings import Settings

FRAME_HEADER_ROOM = 4096


def serve() -> None:
    """Run the server; the data folder must have been made by `likeness init`.

    Every setting is read from the environment (LIKENESS_HOST, LIKENESS_PORT, LIKENESS_PACK, ...). Behind a reverse proxy, set
    LIKENESS_BASE_URL to the public address.
    """
    with closing(open_deployment(Settings())) as deployment:
        run_server(deployment)


def run_server(deployment: Deployment) -> None:
    """Load the pack, say loudly which it is and how good, and serve until stopped. Raises SetupError."""
    with deployment.owned():
        _serve(deployment, deployment.load_engine())


def _serve(deployment: Deployment, engine: Engine) -> None:
    from likeness.app import create_app  # noqa: PLC0415  it takes a second to import, which every other command is spared

    settings = deployment.settings
    # Frames of several sessions are judged side by side, one thread each: threads within one would only wait for each other.
    cv2.setNumThreads(1)
    # uvicorn configures its own loggers alone.
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("likeness").setLevel(settings.log_level.upper())
    calibration = engine.calibration
    console = Console(stderr=True)
    console.print(
        f"Model pack [bold]{engine.pack}[/], calibrated on {escape(calibration.data_set)}",
        highlight=False,
        soft_wrap=True,
    )
    promises = ", ".join(f"{level}: FMR {calibration.false_match_rate(level):.0e}" for level in LEVELS)
    console.print(f"Levels     {promises}", highlight=False)
    uvicorn.run(
        create_app(deployment, engine),
        host=settings.host,
        port=settings.port,
        log_level=settings.log_level,
        server_header=False,
        timeout_graceful_shutdown=10,
        # Camera frames are JPEGs: what is larger is none, and compressing them again is work for nothing.
        ws_max_size=settings.max_frame_bytes + FRAME_HEADER_ROOM,
        ws_per_message_deflate=False,
    )
