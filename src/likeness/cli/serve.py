"""``likeness serve``."""

import asyncio
import logging
import socket
from contextlib import closing

import cv2

from likeness.deployment import Deployment, open_deployment
from likeness.engine.base import Engine
from likeness.engine.levels import LEVELS
from likeness.errors import ServiceUnavailable
from likeness.gallery.served_pack import load_served_engine
from likeness.kit.logs import configure_logging
from likeness.server.memory import give_large_blocks_back
from likeness.server.running import bind, ended_by_signals, make_server
from likeness.settings import Settings
from likeness.store.images import ImageStore
from likeness.web.components import components_of

log = logging.getLogger("likeness")


def serve() -> None:
    """Run the server; the data folder must have been made by `likeness init`.

    Every setting is read from the environment (LIKENESS_HOST, LIKENESS_PORT, LIKENESS_PACK, ...). Behind a reverse
    proxy, set LIKENESS_BASE_URL to the public address.
    """
    settings = Settings()
    configure_logging(settings.log_level)
    for doubt in settings.doubts():
        log.warning("%s", doubt)
    give_large_blocks_back()
    with ended_by_signals(), closing(open_deployment(settings)) as deployment:
        run_server(deployment)


def run_server(deployment: Deployment) -> None:
    """Load the pack, say loudly which it is and how good, and serve until stopped. Raises SetupError."""
    with deployment.owned():
        probe_images(deployment.settings)
        listeners = bind(deployment.settings)
        _serve(deployment, load_served_engine(deployment), listeners)


def probe_images(settings: Settings) -> None:
    """See whether the image store takes photos.

    Raises SetupError where it refuses us; one that is down is told, and may come back.
    """
    with closing(ImageStore(settings.images_address)) as images:
        try:
            asyncio.run(images.probe())
        except ServiceUnavailable:
            log.error("nobody can be enrolled until the image store answers; searches and matches go on")  # noqa: TRY400  the store logged the cause


def _serve(deployment: Deployment, engine: Engine, listeners: list[socket.socket]) -> None:
    from likeness.app import Components, create_app  # noqa: PLC0415  it takes a second to import, which every other command is spared

    # Frames of several sessions are judged side by side, one thread each: threads within one would only wait for each
    # other.
    cv2.setNumThreads(1)
    calibration = engine.calibration
    log.info("model pack %s, calibrated on %s", engine.pack, calibration.data_set)
    promises = ", ".join(f"{level}: {calibration.false_match_rate(level):.0e}" for level in LEVELS)
    log.info("false match rates of the levels: %s", promises)
    app = create_app(deployment, engine)
    log.info("listening on %s", deployment.settings.own_address)
    refuse_waiting = components_of(app, Components).refuse_waiting
    make_server(app, deployment.settings, refuse_waiting=refuse_waiting).run(listeners)
    log.info("stopped")
