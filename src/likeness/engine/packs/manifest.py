"""A pack's manifest: a JSON file that is read into frozen data classes. docs/packs.md describes every field."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import ConfigDict, Field, FiniteFloat, StringConstraints, TypeAdapter, ValidationError, with_config

from likeness.engine.alignment import ChipView
from likeness.engine.levels import Calibration
from likeness.engine.packs.identity import ModelPack, PackId
from likeness.errors import SetupError
from likeness.kit.files import PUBLIC, replacing

T = TypeVar("T")

_ID = StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Terms = Annotated[str, StringConstraints(pattern=r"^(stated|unstated|unclear): .+")]
"""The state of a licence, then its name, or the facts that are known instead."""
Https = Annotated[str, StringConstraints(pattern=r"^https://")]
Five = tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]
Pixels = Annotated[int, Field(ge=16, le=1024)]
PerChannel = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
PositivePerChannel = tuple[
    Annotated[FiniteFloat, Field(gt=0)], Annotated[FiniteFloat, Field(gt=0)], Annotated[FiniteFloat, Field(gt=0)]
]

_as_written = with_config(ConfigDict(extra="forbid", strict=False))


@_as_written
@dataclass(frozen=True, slots=True, kw_only=True)
class Licences:
    """The terms of the code, the weights and the training data of a file. Each has its own terms."""

    code: Terms
    """The terms of the network's code and of the program that trained it."""
    weights: Terms
    training_data: Terms


@_as_written
@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A zip archive that contains a file of weights with the name ``member``.

    The archive is used only if its SHA-256 is the pinned one.
    """

    url: Https
    sha256: Sha256
    bytes: Annotated[int, Field(gt=0)]
    member: str


@_as_written
@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """One file of weights and its sources. It is used only if its SHA-256 is the pinned one."""

    name: FileName
    sha256: Sha256
    bytes: Annotated[int, Field(gt=0)]
    licences: Licences
    training_data: str
    origin: str
    commercial_use: bool = True
    """Whether the licences of code and weights allow commercial use."""
    urls: tuple[Https, ...] = ()
    archive: Archive | None = None
    package: str | None = None
    """The installed Python package that contains the file at ``package_path``. It is read and never imported."""
    package_path: str | None = None

    @property
    def free(self) -> bool:
        """Whether code and weights clearly allow commercial use. Otherwise an operator must accept the file by name."""
        terms = (self.licences.code, self.licences.weights)
        return self.commercial_use and not any(each.startswith("unclear") for each in terms)


@_as_written
@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorRecipe:
    """The kind of a detector, and its files by role.

    The roles of yunet are ``network``, and ``output`` for the landmarks.
    """

    kind: Literal["yunet"]
    files: Mapping[str, FileName]


@_as_written
@dataclass(frozen=True, slots=True, kw_only=True)
class RecogniserRecipe:
    """One recognition network, its input, and its share of the pack's template."""

    file: FileName
    format: Literal["onnx", "sface", "retail-0095"] = "onnx"
    side: Pixels
    reference: Annotated[tuple[tuple[FiniteFloat, FiniteFloat], ...], Field(min_length=5, max_length=5)]
    """Places (x, y) of the five landmarks on the chip, in pixels."""
    template_size: Annotated[int, Field(gt=0, le=4096)]
    weight: Annotated[FiniteFloat, Field(gt=0)] = 1.0
    usual_length: Annotated[FiniteFloat, Field(gt=0)] | None = None
    """The median length of the output for good photos. It gives the measure Recognisability."""
    channels: Literal["RGB", "BGR"] = "RGB"
    mean: PerChannel = (0.0, 0.0, 0.0)
    deviation: PositivePerChannel = (1.0, 1.0, 1.0)
    views: Annotated[tuple[ChipView, ...], Field(min_length=1, max_length=32)] = (ChipView(), ChipView(mirrored=True))


@_as_written
@dataclass(frozen=True, slots=True, kw_only=True)
class PadRecipe:
    """One passive presentation attack detection network."""

    file: FileName
    model: Annotated[str, _ID]
    side: Pixels
    crop: Annotated[FiniteFloat, Field(gt=0)]
    """Side of the square that is cut out, as a multiple of the longer side of the face's box."""
    live_output: Annotated[int, Field(ge=0)]
    channels: Literal["RGB", "BGR"] = "RGB"
    mean: PerChannel = (0.0, 0.0, 0.0)
    deviation: PositivePerChannel = (1.0, 1.0, 1.0)


@_as_written
@dataclass(frozen=True, slots=True, kw_only=True)
class LandmarksRecipe:
    """The network for the landmarks of the whole face: MediaPipe's, in TensorFlow Lite format."""

    file: FileName


@_as_written
@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCalibration:
    """The thresholds of levels 1..5, and the measurement that they are from."""

    data_set: str
    thresholds: Five
    measured_fmr: Five
    genuine_pairs: Annotated[int, Field(ge=0)]
    impostor_pairs: Annotated[int, Field(ge=0)]
    measured_at: str = ""
    pack_version: str | None = None
    """The version of the measured pack. In a manifest it is not set, because the manifest's version applies."""
    notes: str = ""

    @property
    def calibration(self) -> Calibration:
        return Calibration(self.thresholds, self.measured_fmr, self.data_set, self.genuine_pairs, self.impostor_pairs)


@_as_written
@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A pack: a detector and recognisers, or an extension of other packs.

    An extension has PAD models, or landmarks of the whole face.
    """

    id: Annotated[PackId, _ID]
    version: Annotated[str, StringConstraints(min_length=1)]
    title: str
    summary: str = ""
    weights: Annotated[tuple[Weights, ...], Field(min_length=1)]
    detector: DetectorRecipe | None = None
    recognisers: tuple[RecogniserRecipe, ...] = ()
    pad: tuple[PadRecipe, ...] = ()
    landmarks: LandmarksRecipe | None = None
    calibration: StoredCalibration | None = None

    @property
    def pack(self) -> ModelPack:
        return ModelPack(self.id, self.version, sum(recogniser.template_size for recogniser in self.recognisers))

    @property
    def to_accept(self) -> tuple[Weights, ...]:
        """The files that an operator must accept by name."""
        return tuple(file for file in self.weights if not file.free)

    def file(self, name: str) -> Weights:
        return next(file for file in self.weights if file.name == name)


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest. Raises SetupError with the field's name if it is not valid."""
    manifest = _read(Manifest, path)
    used = {recogniser.file for recogniser in manifest.recognisers} | {model.file for model in manifest.pad}
    if manifest.landmarks:
        used.add(manifest.landmarks.file)
    if manifest.detector:
        if set(manifest.detector.files) != {"network", "output"}:
            raise SetupError(f"{path}: detector.files must name network, output.")
        used |= set(manifest.detector.files.values())
    listed = {file.name for file in manifest.weights}
    if used != listed:
        raise SetupError(
            f"{path}: files used but not in weights, or in weights but not used: {', '.join(sorted(used ^ listed))}."
        )
    if bool(manifest.detector) != bool(manifest.recognisers):
        raise SetupError(f"{path}: a detector needs recognisers, and recognisers need a detector.")
    if manifest.calibration:
        _check_ascending(manifest.calibration, path)
    return manifest


def read_calibration(path: Path) -> StoredCalibration:
    """Read a deployment's own calibration. It applies only to the pack version in it. Raises SetupError."""
    stored = _read(StoredCalibration, path)
    _check_ascending(stored, path)
    return stored


def write_calibration(path: Path, stored: StoredCalibration) -> None:
    """Write a calibration in the place of an earlier one. Raises OSError, and then the earlier one stays."""
    with replacing(path, mode=PUBLIC) as file:
        file.write(json.dumps(asdict(stored), indent=2).encode() + b"\n")


def _read(kind: type[T], path: Path) -> T:
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}" for fault in error.errors()
        )
        raise SetupError(f"{path}: {faults}") from None


def _check_ascending(stored: StoredCalibration, path: Path) -> None:
    if list(stored.thresholds) != sorted(stored.thresholds):
        raise SetupError(f"{path}: the thresholds must ascend from level 1 to 5.")
