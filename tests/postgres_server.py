"""A real PostgreSQL server in a temporary folder, until the end of a block."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def find_programs() -> Path | None:
    """Give the folder of PostgreSQL's server programs: those on the path, else those of the newest version."""
    on_path = shutil.which("initdb")
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = [Path(on_path).resolve()] if on_path else packaged[-1:]
    return found[0].parent if found else None


@contextmanager
def running_server(programs: Path, options: str = "") -> Iterator[str]:
    """Run a server on a socket in its own folder. Give the connection string of its first database."""
    # The server refuses to run as root.
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    folder = Path(tempfile.mkdtemp(prefix="likeness-postgres-"))
    data = folder / "data"

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [programs / program, "-D", data, *arguments],
            user=user if os.geteuid() == 0 else None,
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    try:
        shutil.chown(folder, user)
        run("initdb", "--auth=trust", "--username=test", "--no-sync", "--encoding=UTF8")
        run("pg_ctl", "start", "--wait", "--log", str(folder / "log"), "-o", f"-h '' -k {folder} -F {options}")
        try:
            yield f"postgresql+psycopg://test@/postgres?host={folder}"
        finally:
            run("pg_ctl", "stop", "--mode=immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
