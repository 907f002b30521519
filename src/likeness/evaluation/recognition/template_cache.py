"""A cache of templates on disk, for several evaluations of the same photos.

The key of an entry is the SHA-256 of the photo's bytes. The file belongs to one pack, one use and one policy, which
determine its name. Templates are biometric data, so only the file's owner can read it (mode 0600). A cache is written
only on request.
"""

import hashlib
import threading
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from likeness.engine.base import Box
from likeness.errors import SetupError
from likeness.evaluation.recognition.outcomes import ExtractedFace, ExtractionOutcome, FailureToAcquire
from likeness.kit.files import replacing

_REASON_SEPARATOR = " "


@dataclass(slots=True)
class TemplateCache:
    """The outcomes of photos that were analysed before. Thread-safe."""

    path: Path
    _known: dict[str, ExtractionOutcome] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _changed: bool = False

    @classmethod
    def open(cls, folder: Path, *, pack: str, binding: str) -> "TemplateCache":
        """Open the file in ``folder`` for a pack. ``binding`` names all else that a template depends on.

        Raises SetupError if the file is damaged.
        """
        digest = hashlib.sha256(f"{pack}\n{binding}".encode()).hexdigest()[:16]
        path = folder / f"templates-{pack.partition('@')[0]}-{digest}.npz"
        return cls(path, _load(path) if path.exists() else {})

    def __len__(self) -> int:
        return len(self._known)

    def get(self, photo: bytes) -> ExtractionOutcome | None:
        with self._lock:
            return self._known.get(_key(photo))

    def put(self, photo: bytes, outcome: ExtractionOutcome) -> None:
        with self._lock:
            self._known[_key(photo)] = outcome
            self._changed = True

    def save(self) -> None:
        """Write new outcomes to the disk, so that a reader never sees a part of them."""
        with self._lock:
            if not self._changed:
                return
            samples = {key: known for key, known in self._known.items() if isinstance(known, ExtractedFace)}
            failures = {key: known for key, known in self._known.items() if isinstance(known, FailureToAcquire)}
            with replacing(self.path) as file:
                np.savez(
                    file,
                    sample_keys=np.array(list(samples), "U64"),
                    templates=np.array([sample.template for sample in samples.values()], np.float32),
                    qualities=np.array([sample.quality for sample in samples.values()], np.int64),
                    boxes=np.array([_corners(sample.box) for sample in samples.values()], np.float64),
                    failure_keys=np.array(list(failures), "U64"),
                    codes=np.array([failure.code for failure in failures.values()], str),
                    reasons=np.array([_REASON_SEPARATOR.join(each.reasons) for each in failures.values()], str),
                )
            self._changed = False


def _load(path: Path) -> dict[str, ExtractionOutcome]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            known: dict[str, ExtractionOutcome] = {
                str(key): ExtractedFace(template, int(quality), Box(*map(float, corners)))
                for key, template, quality, corners in zip(
                    *(stored[name] for name in ("sample_keys", "templates", "qualities", "boxes")), strict=True
                )
            }
            for key, code, reasons in zip(
                *(stored[name] for name in ("failure_keys", "codes", "reasons")), strict=True
            ):
                known[str(key)] = FailureToAcquire(str(code), tuple(str(reasons).split()))
            return known
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise SetupError(f"The template cache {path} is damaged ({error}). Delete it.") from error


def _key(photo: bytes) -> str:
    return hashlib.sha256(photo).hexdigest()


def _corners(box: Box) -> tuple[float, float, float, float]:
    return box.x, box.y, box.width, box.height
