"""A real PostgreSQL server in a temporary folder, until the end of a block."""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


def find_programs() -> Path | None:
    """Give the folder of PostgreSQL's server programs: those on the path, else those of the newest version."""
    on_path = shutil.which("initdb")
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = [Path(on_path).resolve()] if on_path else packaged[-1:]
    return found[0].parent if found else None


@dataclass
class PostgresServer:
    """A server on a socket in its own folder, which can be killed and started again."""

    programs: Path
    folder: Path
    user: str | None
    options: list[str]
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """The connection string of its first database."""
        return f"postgresql+psycopg://test@/postgres?host={self.folder}"

    def initialise(self, *arguments: str) -> None:
        if self._start("initdb", "--auth=trust", "--username=test", "--encoding=UTF8", *arguments).wait():
            raise RuntimeError((self.folder / "log").read_text())

    def start(self) -> None:
        """Start, and wait for the end of a recovery."""
        process = self.process = self._start("postgres", "-h", "", "-k", str(self.folder), *self.options)
        while not self._is_ready(process.pid):
            if process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop at once, if it runs."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()

    def kill(self) -> None:
        """End all of its processes by SIGKILL, and wait until they are gone."""
        while pids := self._pids():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if self.process is not None:
                self.process.wait()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _is_ready(self, pid: int) -> bool:
        """Whether the server has written so into its file, as ``pg_ctl start`` reads it."""
        with suppress(FileNotFoundError):
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            return lines[:1] == [str(pid)] and [line.strip() for line in lines[7:8]] == ["ready"]
        return False

    def _pids(self) -> list[int]:
        """Give its processes, the first of which starts the others. They all work in the folder of the data."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (process / "cwd").readlink() == self._data:
                    found.append(int(process.name))
        return sorted(found)

    def _start(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self.folder / "log").open("ab") as log:
            command = [str(self.programs / program), "-D", str(self._data), *arguments]
            return subprocess.Popen(command, user=self.user, cwd=self.folder, stdout=log, stderr=log)


@contextmanager
def running_server(programs: Path, options: str = "", *, durable: bool = False) -> Iterator[PostgresServer]:
    """Run a server. Without ``durable`` it waits for no disk, so that tests are quick."""
    # The server refuses to run as root.
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="likeness-postgres-"))
    server = PostgresServer(programs, folder, user, [*shlex.split(options), *([] if durable else ["-F"])])
    try:
        if user:
            shutil.chown(folder, user)
        server.initialise(*([] if durable else ["--no-sync"]))
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
