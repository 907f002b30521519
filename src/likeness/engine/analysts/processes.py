"""The analysis of photos in separate processes, one for each worker.

Threads share one interpreter, which slows them down on many cores (``benchmarks/cores.py``). A process receives a
photo's bytes and returns a face; no pixels are sent. If a process dies or takes too long, only its photo fails. A new
process then replaces it.

``python -m likeness.engine.analysts.processes FD`` is such a process. It loads the pack that the first message names.
It then answers each photo, and ends when its socket closes. So it never runs longer than the server.
"""

import json
import logging
import queue
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, Self

from likeness.engine.analysts.base import Analyst, EngineHere
from likeness.engine.analysts.messages import FAILED, answer, face_of, question, template_of
from likeness.engine.base import Engine, Face, Template, Use
from likeness.engine.packs.identity import PackId
from likeness.engine.policy import FacePolicy
from likeness.engine.runtime import Provider
from likeness.errors import SetupError, UnexpectedError
from likeness.kit.memory import give_large_blocks_back, harden_process
from likeness.kit.sandbox.filters import confine

log = logging.getLogger("likeness.engine")

START_SECONDS: Final = 120
PHOTO_SECONDS: Final = 30
"""The longest time for a photo, far more than any photo takes. Then the process is ended."""
LARGEST_REPLY: Final = 1 << 20
COMMAND: Final[Sequence[str]] = (sys.executable, "-P", "-m", __name__)


@dataclass(frozen=True, slots=True)
class Recipe:
    """The arguments of ``likeness.engine.packs.loading.load_engine``."""

    pack: PackId
    models_dir: Path
    mirror: Path | None = None
    provider: Provider = "cpu"
    jpeg_2000: bool = False
    downloads: bool = True


class PhotoProcesses:
    """A pool of processes, one for each photo that is analysed at a time. Thread-safe."""

    def __init__(self, recipe: Recipe, count: int, *, command: Sequence[str] = COMMAND) -> None:
        """Start all processes at the same time, and wait for them. Raises SetupError if one cannot load the pack."""
        self._pack = recipe.pack
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        self._all = [_Process(recipe, command) for _ in range(count)]
        try:
            for process in self._all:
                process.wait_until_ready()
                self._idle.put(process)
        except BaseException:
            self.close()
            raise

    def analyse(self, photo: bytes, *, use: Use, policy: FacePolicy) -> Face:
        """Analyse a photo as :meth:`Engine.analyse` does, and raise the same errors.

        Raises UnexpectedError if the process dies, fails, or does not answer within ``PHOTO_SECONDS``.
        """
        return face_of(self._ask(question(use, policy), photo))

    def embed(self, photo: bytes, *, policy: FacePolicy) -> Template:
        """Embed a photo as ``Analyst.embed``."""
        return template_of(self._ask(question(None, policy), photo))

    def of(self, engine: Engine) -> Analyst:
        """Give who analyses photos with an engine's pack. The processes have one pack; the others stay here."""
        return self if engine.pack.id == self._pack else EngineHere(engine)

    def _ask(self, asked: bytes, photo: bytes) -> bytes:
        process = self._idle.get()
        try:
            return process.ask(asked, photo)
        finally:
            self._idle.put(process)

    def ids(self) -> list[int]:
        """Return the system's ids of the processes."""
        return [process.id for process in self._all]

    def close(self) -> None:
        """End every process. Call this only while no photo is analysed."""
        for process in self._all:
            process.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Process:
    """One process. If it ends, a new one replaces it."""

    def __init__(self, recipe: Recipe, command: Sequence[str]) -> None:
        self._recipe = recipe
        self._command = command
        self._start()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._connection = Connection(ours.detach())
            self._child = subprocess.Popen(  # noqa: S603  our own module
                [*self._command, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._ready = False
        self._connection.send_bytes(json.dumps(asdict(self._recipe), default=str).encode())

    def wait_until_ready(self) -> None:
        """Wait until the pack is loaded. Raises SetupError."""
        if self._ready:
            return
        try:
            fault = self._receive(START_SECONDS).decode()
        except (EOFError, OSError) as error:
            raise SetupError(f"a photo process ended while it loaded the pack ({self.end()})") from error
        if fault:
            raise SetupError(fault)
        self._ready = True

    def ask(self, asked: bytes, photo: bytes) -> bytes:
        """Give the reply to a question about a photo. Raises UnexpectedError."""
        try:
            self.wait_until_ready()
            self._connection.send_bytes(asked)
            self._connection.send_bytes(photo)
            return self._receive(PHOTO_SECONDS)
        except (EOFError, OSError, SetupError) as error:
            fault = f"a photo process ended ({self.end()}), and a new one replaces it: {error or 'no answer'}"
            log.error("%s", fault)  # noqa: TRY400  the cause is in the other process
            self._start()
            raise UnexpectedError(FAILED) from error

    @property
    def id(self) -> int:
        return self._child.pid

    def end(self) -> str:
        """Close the socket, which ends the process, and wait for it. Return its signal or exit status."""
        self._connection.close()
        try:
            code = self._child.wait(1)
        except subprocess.TimeoutExpired:
            self._child.kill()
            code = self._child.wait()
        return f"signal {-code}" if code < 0 else f"status {code}"

    def _receive(self, seconds: float) -> bytes:
        if not self._connection.poll(seconds):
            raise TimeoutError(f"no answer within {seconds} s")
        return self._connection.recv_bytes(LARGEST_REPLY)


# --- The process


def answer_photos(connection: Connection, load: Callable[[Recipe], Engine]) -> None:
    """Load the pack, then answer photos until the socket closes."""
    said = json.loads(connection.recv_bytes())
    mirror = said["mirror"] and Path(said["mirror"])
    try:
        engine = load(Recipe(**{**said, "models_dir": Path(said["models_dir"]), "mirror": mirror}))
    except SetupError as error:
        connection.send_bytes(str(error).encode())
        return
    connection.send_bytes(b"")
    analyst = EngineHere(engine)
    while True:
        asked, photo = connection.recv_bytes(), connection.recv_bytes()
        connection.send_bytes(answer(analyst, asked, photo))


def _load(recipe: Recipe) -> Engine:
    import cv2  # noqa: PLC0415  the server's side needs neither import

    from likeness.engine.packs.loading import load_engine  # noqa: PLC0415

    cv2.setNumThreads(1)
    return load_engine(**asdict(recipe))


def main(load: Callable[[Recipe], Engine] = _load) -> None:
    """Run a photo process on the socket that the command line names."""
    # Only the server ends this process. A signal to the whole group ends the server.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    give_large_blocks_back()
    harden_process()
    with (
        suppress(EOFError, BrokenPipeError, ConnectionResetError),  # the server has ended
        Connection(int(sys.argv[-1])) as connection,
    ):
        answer_photos(connection, lambda recipe: _confined(load(recipe)))


def _confined(engine: Engine) -> Engine:
    """Take from this process, once it has its engine, what no photo needs: the network, and other programs."""
    if fault := confine():
        log.warning("photo processes are not confined: %s", fault)
    return engine


if __name__ == "__main__":
    main()
