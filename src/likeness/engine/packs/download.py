"""Fetching one file over HTTPS so that it is whole, the right one, and in its place at once; or not at all."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import httpx

from likeness.errors import SetupError

DownloadProgress = Callable[[str, int, int], None]
"""Told (file name, bytes so far, bytes in all) as a download goes on."""

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
    """Download to ``target``, taking up where an earlier attempt broke off. Raises SetupError.

    The bytes gather in ``target.part``, which is renamed only when its length and SHA-256 are the pinned ones, and
    removed when they are not.
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
        raise SetupError(f"{url} did not give the file that was pinned (SHA-256 {sha256}); what came was thrown away.")
    part.replace(target)


def file_sha256(path: Path) -> str:
    """Give the SHA-256 of a file in hexadecimal."""
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
                    break  # the hash will refuse it; the disk need not hold it
                file.write(chunk)
                progress(done)
