"""The analysis of photos by actors of a Ray cluster, each with a core or a GPU of its own.

All servers of a deployment share the actors, and find them by their names. An actor gets a photo's bytes and gives a
face. It holds no key and no data: it takes the folder of the models and the provider from the settings of its machine.
It loads each pack that it is asked for. A template is bound to its pack's version, so an actor with another version
refuses.

When an actor ends, Ray starts it again, and its photo is tried once more on another.
"""

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

import ray
from ray.exceptions import RayError

from likeness import __version__
from likeness.engine.analysts.base import Analyst, EngineHere
from likeness.engine.analysts.messages import answer, face_of, question, template_of
from likeness.engine.base import Engine, Face, Template, Use
from likeness.engine.packs.identity import PackIdentity, id_of
from likeness.engine.policy import FacePolicy
from likeness.errors import ServiceUnavailable, SetupError
from likeness.kit.cluster.connection import connect, disconnect, end_actors, names_in
from likeness.kit.memory import give_large_blocks_back, harden_process
from likeness.settings import Settings

log = logging.getLogger("likeness.engine")
START_SECONDS: Final = 120.0
PHOTO_SECONDS: Final = 30.0
"""Longest time for a photo with both tries. An actor that says nothing is given half of it."""
TRIES: Final = 2
PHOTOS_AT_ONCE_ON_A_GPU: Final = 4
"""Photos of one actor with a GPU. While the GPU has one, cores decode the next ones."""
LOOK_SECONDS: Final = 0.1
"""Time between two looks whether an actor works."""
STATUS_SECONDS: Final = 10.0


class PhotoActor:
    """Engines in a process of its own. It loads a pack when a photo asks for it."""

    def __init__(self) -> None:
        import cv2  # noqa: PLC0415  the server's side does not need it

        give_large_blocks_back()
        harden_process()
        cv2.setNumThreads(1)
        self._settings = Settings()
        self._analysts: dict[PackIdentity, Analyst] = {}
        self._loading = threading.Lock()

    def load(self, pack: PackIdentity) -> None:
        """Load a pack, if it is not loaded. Raises SetupError when it is not installed in this version."""
        from likeness.engine.packs.loading import load_engine_by  # noqa: PLC0415  as above

        with self._loading:
            if pack in self._analysts:
                return
            engine = load_engine_by(self._settings, id_of(pack))
            if engine.pack.identity != pack:
                raise SetupError(f"a photo actor has {engine.pack.identity} in the place of {pack}")
            self._analysts[pack] = EngineHere(engine)

    def answer(self, pack: PackIdentity, asked: bytes, photo: bytes) -> bytes:
        """Answer a question of ``likeness.engine.analysts.messages``."""
        self.load(pack)
        return answer(self._analysts[pack], asked, photo)

    def status(self) -> list[PackIdentity]:
        """Give the packs that are loaded."""
        return list(self._analysts)


@dataclass(slots=True, eq=False)
class _Actor:
    handle: Any
    under_way: int = 0
    """Photos of this process."""
    awaited: Any = None
    """Reference of the call whose answer says that the actor works. None: it works."""

    def works(self, pack: PackIdentity) -> bool:
        """Whether the actor works, as far as is known. Once it has failed, it is asked again until it has a pack."""
        if self.awaited is None:
            return True
        if not ray.wait([self.awaited], timeout=0)[0]:
            return False
        try:
            ray.get(self.awaited)
        except RayError:
            self.ask(pack)
            return False
        self.awaited = None
        return True

    def ask(self, pack: PackIdentity) -> None:
        """Ask the actor to load a pack."""
        self.awaited = self.handle.load.remote(pack)


class PhotoActors:
    """The photo actors of a deployment, as one process uses them. Thread-safe."""

    def __init__(self, settings: Settings, namespace: str) -> None:
        """Connect to the cluster, and find the actors or start them. Raises SetupError."""
        connect(settings.ray_address, namespace)
        self.count = settings.photo_actors
        self._lock = threading.Lock()
        actor: Any = ray.remote(PhotoActor)
        on_gpu = settings.provider == "cuda"
        options = {
            "namespace": actors_namespace(namespace),
            "get_if_exists": True,
            "lifetime": "detached",
            "num_cpus": 1,
            "num_gpus": int(on_gpu),
            "max_restarts": -1,
            "max_concurrency": PHOTOS_AT_ONCE_ON_A_GPU if on_gpu else 1,
            "scheduling_strategy": "SPREAD",
        }
        self._actors = [_Actor(actor.options(name=name, **options).remote()) for name in names(self.count)]

    def of(self, engine: Engine) -> Analyst:
        return _PackActors(self, engine.pack.identity)

    def ids(self) -> list[int]:
        return []

    def wait_for(self, pack: PackIdentity) -> None:
        """Let every actor load a pack, and wait until one has. Raises SetupError."""
        with self._lock:
            for actor in self._actors:
                actor.ask(pack)
            asked = [actor.awaited for actor in self._actors]
        end = time.monotonic() + START_SECONDS
        while asked:
            ready, asked = ray.wait(asked, timeout=max(0.0, end - time.monotonic()))
            if not ready:
                break
            try:
                ray.get(ready)
            except RayError as error:
                log.error("a photo actor could not load %s: %s", pack, _cause(error))  # noqa: TRY400  its log has more
            else:
                return
        raise SetupError(
            f"none of {self.count} photo actors has loaded {pack}: see the log. Each needs a free CPU of the Ray "
            "cluster, with LIKENESS_PROVIDER=cuda also a GPU (`ray status`), and the files of the pack"
        )

    def ask(self, pack: PackIdentity, asked: bytes, photo: bytes) -> bytes:
        """Give an actor's reply. While no actor works, wait for one.

        Raises ServiceUnavailable when two actors end, or none replies in time.
        """
        end = time.monotonic() + PHOTO_SECONDS
        for tries_left in range(TRIES, 0, -1):
            actor = self._taken(pack, end)
            if actor is None:
                break
            try:
                reply: bytes = ray.get(
                    actor.handle.answer.remote(pack, asked, photo), timeout=(end - time.monotonic()) / tries_left
                )
            except RayError as error:
                log.warning("a photo actor did not answer: %s", _cause(error))
                with self._lock:
                    if actor.awaited is None:
                        actor.ask(pack)
            else:
                return reply
            finally:
                with self._lock:
                    actor.under_way -= 1
        raise ServiceUnavailable("The photo could not be analysed in time; try again shortly.")

    def _taken(self, pack: PackIdentity, end: float) -> _Actor | None:
        """Take an actor that works, with the fewest photos of this process. None when there is none until the end."""
        while time.monotonic() < end:
            with self._lock:
                working = [each for each in self._actors if each.works(pack)]
                if working:
                    actor = min(working, key=lambda each: each.under_way)
                    actor.under_way += 1
                    return actor
            time.sleep(LOOK_SECONDS)
        return None

    def close(self) -> None:
        """Leave the cluster. The actors go on."""
        disconnect()


@dataclass(frozen=True, slots=True)
class _PackActors:
    """An ``Analyst`` of one pack."""

    actors: PhotoActors
    pack: PackIdentity

    def analyse(self, photo: bytes, *, use: Use, policy: FacePolicy) -> Face:
        return face_of(self.actors.ask(self.pack, question(use, policy), photo))

    def embed(self, photo: bytes, *, policy: FacePolicy) -> Template:
        return template_of(self.actors.ask(self.pack, question(None, policy), photo))


def actors_namespace(namespace: str) -> str:
    """Give the namespace of a deployment's photo actors, by that of the deployment."""
    return f"{namespace}, photos"


def statuses(namespace: str) -> dict[str, list[PackIdentity] | None]:
    """Give the packs that each photo actor of a deployment has loaded, or None for one that does not answer."""
    there = actors_namespace(namespace)
    asked: dict[str, Any] = {name: ray.get_actor(name, there).status.remote() for name in names_in(there)}
    if asked:
        ray.wait(list(asked.values()), num_returns=len(asked), timeout=STATUS_SECONDS)
    return {name: _status(reference) for name, reference in asked.items()}


def end_surplus(namespace: str, used: int) -> int:
    """End the photo actors beyond the first ones that are used, and those of other versions. Give how many ended."""
    used_names = names(used)
    return len(end_actors(actors_namespace(namespace), lambda name: name not in used_names))


def names(count: int) -> list[str]:
    """Name the first photo actors. Those of two versions of Likeness have no name in common."""
    return [f"photo actor {number}, likeness {__version__}" for number in range(count)]


def _status(reference: Any) -> list[PackIdentity] | None:
    try:
        packs: list[PackIdentity] = ray.get(reference, timeout=0)
    except RayError:
        return None
    return packs


def _cause(error: RayError) -> str:
    """Give an actor's own error, or the kind of Ray's: its text has addresses and lines of the log."""
    cause = getattr(error, "cause", None)
    return str(cause) if isinstance(cause, SetupError) else type(error).__name__
