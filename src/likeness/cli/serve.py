"""``likeness serve``."""

import asyncio
import logging
import socket
from contextlib import closing

import cv2

from likeness.audit.actor import ACTOR, SERVER
from likeness.cli.opening import open_deployment
from likeness.deployment import Deployment
from likeness.engine.analysts.choice import photo_analysts
from likeness.engine.base import Engine
from likeness.engine.levels import LEVELS
from likeness.errors import ServiceUnavailable
from likeness.gallery.served_pack import load_served_engine
from likeness.kit.logs import configure_logging, logging_on_a_thread
from likeness.kit.memory import give_large_blocks_back, harden_process
from likeness.server.egress import close_egress
from likeness.server.running import bind, ended_by_signals, make_server
from likeness.settings import Settings
from likeness.store.images import ImageStore
from likeness.web.components import components_of

log = logging.getLogger("likeness")


def serve() -> None:
    """Run the server on the data folder that `likeness init` made.

    The server reads its settings from the environment (LIKENESS_HOST,
    LIKENESS_PORT, LIKENESS_PACK, ...). Behind a reverse proxy, set
    LIKENESS_BASE_URL to the public address.

    Example: LIKENESS_PORT=8080 likeness serve
    """
    settings = Settings()
    configure_logging(settings.log_level, settings.log_format)
    for doubt in settings.doubts():
        log.warning("%s", doubt)
    give_large_blocks_back()
    with (
        logging_on_a_thread(settings.log_format),
        ended_by_signals(),
        closing(open_deployment(settings)) as deployment,
    ):
        harden_process()
        run_server(deployment)


def run_server(deployment: Deployment) -> None:
    """Load the pack, log its name and its false match rates, and serve until a signal. Raises SetupError."""
    ACTOR.set(SERVER)
    with deployment.owned():
        probe_images(deployment.settings)
        listeners = bind(deployment.settings)
        close_egress(deployment.settings)
        _serve(deployment, load_served_engine(deployment), listeners)


def probe_images(settings: Settings) -> None:
    """Check whether the image store takes photos.

    Only logs an error if the store is down, because it may come back. Raises SetupError if the store refuses the
    server.
    """
    with closing(ImageStore(settings.images_address)) as images:
        try:
            asyncio.run(images.probe())
        except ServiceUnavailable:
            log.error("enrolments are refused until the image store answers; searches and matches work")  # noqa: TRY400  the store logged the cause


def _serve(deployment: Deployment, engine: Engine, listeners: list[socket.socket]) -> None:
    from likeness.app import Components, create_app  # noqa: PLC0415  the import takes a second, and no other command needs it

    # Frames of several sessions are judged at once, one thread for each frame. More threads in a frame would only wait
    # for each other.
    cv2.setNumThreads(1)
    calibration = engine.calibration
    log.info("model pack %s, calibrated on %s", engine.pack, calibration.data_set)
    promises = ", ".join(f"{level}: {calibration.false_match_rate(level):.0e}" for level in LEVELS)
    log.info("false match rates of the levels: %s", promises)
    with photo_analysts(deployment.settings, engine, lambda: deployment.cluster_namespace) as analysts:
        app = create_app(deployment, engine, analysts)
        log.info("listening on %s", deployment.settings.own_address)
        if deployment.settings.metrics_address:
            log.info("metrics are at %s", deployment.settings.metrics_address)
        begin_stop = components_of(app, Components).begin_stop
        make_server(app, deployment.settings, begin_stop=begin_stop).run(listeners)
    log.info("stopped")
