"""The choice of who analyses photos, by ``LIKENESS_ENGINE``."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from likeness.engine.analysts.base import Analysts, EnginesHere
from likeness.engine.analysts.processes import PhotoProcesses, Recipe
from likeness.engine.base import Engine
from likeness.errors import SetupError
from likeness.settings import Settings

log = logging.getLogger("likeness")
MOST_THREADS = 4
"""Threads that one interpreter keeps busy (``benchmarks/cores.py``)."""


@contextmanager
def photo_analysts(settings: Settings, engine: Engine, namespace: Callable[[], str]) -> Iterator[Analysts]:
    """Start or find who analyses photos, ready for the engine's pack.

    ``namespace`` gives the deployment's on a Ray cluster. Raises SetupError.
    """
    if settings.engine == "ray":
        with _actors(settings, engine, namespace()) as actors:
            yield actors
    elif settings.engine == "processes":
        recipe = Recipe(
            engine.pack.id,
            settings.models_dir,
            settings.models_mirror,
            settings.provider,
            settings.jpeg2000,
            downloads=settings.egress == "all",
        )
        with PhotoProcesses(recipe, settings.workers) as processes:
            log.info("photos are analysed in %d processes", settings.workers)
            yield processes
    else:
        if settings.workers > MOST_THREADS:
            log.info(
                "%d workers are threads, which use some %d cores; with LIKENESS_ENGINE=processes they use all",
                settings.workers,
                MOST_THREADS,
            )
        yield EnginesHere()


@contextmanager
def _actors(settings: Settings, engine: Engine, namespace: str) -> Iterator[Analysts]:
    try:
        from likeness.engine.analysts.photo_actors import PhotoActors  # noqa: PLC0415  Ray is optional
    except ModuleNotFoundError as error:
        raise SetupError("LIKENESS_ENGINE=ray needs Ray: install likeness-server[ray]") from error
    actors = PhotoActors(settings, namespace)
    try:
        actors.wait_for(engine.pack.identity)
        log.info("photos are analysed by %d actors of the Ray cluster", actors.count)
        yield actors
    finally:
        actors.close()
