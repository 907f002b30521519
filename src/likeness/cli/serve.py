"""``likeness serve``."""

import logging
from contextlib import closing

import cv2
import uvicorn

from likeness.deployment import Deployment, open_deployment
from likeness.engine.base import Engine
from likeness.engine.levels import LEVELS
from likeness.kit.logs import configure_logging
from likeness.settings import Settings

log = logging.getLogger("likeness")
FRAME_HEADER_ROOM = 4096


def serve() -> None:
    """Run the server; the data folder must have been made by `likeness init`.

    Every setting is read from the environment (LIKENESS_HOST, LIKENESS_PORT, LIKENESS_PACK, ...). Behind a reverse proxy, set
    LIKENESS_BASE_URL to the public address.
    """
    settings = Settings()
    configure_logging(settings.log_level)
    with closing(open_deployment(settings)) as deployment:
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
    calibration = engine.calibration
    log.info("model pack %s, calibrated on %s", engine.pack, calibration.data_set)
    promises = ", ".join(f"{level}: {calibration.false_match_rate(level):.0e}" for level in LEVELS)
    log.info("false match rates of the levels: %s", promises)
    uvicorn.run(
        create_app(deployment, engine),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,  # each call's line is written by likeness.kit.request_context
        server_header=False,
        timeout_graceful_shutdown=10,
        # Camera frames are JPEGs: what is larger is none, and compressing them again is work for nothing.
        ws_max_size=settings.max_frame_bytes + FRAME_HEADER_ROOM,
        ws_per_message_deflate=False,
    )
