"""The download of one file over HTTPS. The file appears at its place only whole and verified."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import httpx

from likeness.errors import SetupError

DownloadProgress = Callable[[str, int, int], None]
"""Takes (file name, bytes so far, bytes in all) during a download."""

_TIMEOUT = httpx.Timeout(30, connect=5)
_CHUNK_BYTES = 1 << 18
_PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE = 206, 416


def download(
    url: str,
    target: Path,
    *,
    sha256: str,
    size: int,
    progress: DownloadProgress | None = None,
    transport: httpx.BaseTransport | None = None,
) -> None:
    """Download a file to ``target``, and continue an earlier attempt that was interrupted. Raises SetupError.

    The bytes are written to ``target.part``. It is renamed if its length and SHA-256 are the pinned ones. Otherwise it
    is deleted.
    """
    part = target.with_name(target.name + ".part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with httpx.Client(timeout=_TIMEOUT, follow_redirects=True, transport=transport) as client:
            _append(client, url, part, size, lambda done: progress(target.name, done, size) if progress else None)
    except (httpx.HTTPError, OSError) as error:
        raise SetupError(f"{url} could not be downloaded: {error or type(error).__name__}") from error
    if part.stat().st_size != size or file_sha256(part) != sha256:
        part.unlink()
        raise SetupError(f"{url} did not give the pinned file (SHA-256 {sha256}). The download was deleted.")
    part.replace(target)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _append(client: httpx.Client, url: str, part: Path, size: int, progress: Callable[[int], None]) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have > size:
        part.unlink()
        have = 0
    if have == size:
        return
    with client.stream("GET", url, headers={"Range": f"bytes={have}-"} if have else {}) as answer:
        if answer.status_code == _RANGE_NOT_SATISFIABLE:
            part.unlink()
            raise SetupError(f"{url} is shorter than the pinned file.")
        answer.raise_for_status()
        resumed = answer.status_code == _PARTIAL_CONTENT
        done = have if resumed else 0
        with part.open("ab" if resumed else "wb") as file:
            for chunk in answer.iter_bytes(_CHUNK_BYTES):
                done += len(chunk)
                if done > size:
                    break  # the check of the hash refuses such a file, so the rest need not be stored
                file.write(chunk)
                progress(done)
