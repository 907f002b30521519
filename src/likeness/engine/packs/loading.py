"""The loading of an engine by its pack's name."""

import logging
from collections.abc import Iterator
from pathlib import Path

from likeness.engine.base import Engine
from likeness.engine.detection.search import FaceSearch
from likeness.engine.fake import FAKES
from likeness.engine.landmarks import LandmarkEstimator
from likeness.engine.packs.assembly import (
    LoadNetwork,
    assemble_detector,
    assemble_landmarks,
    assemble_pad,
    assemble_recogniser,
)
from likeness.engine.packs.catalogue import BEST_FIRST, Catalogue
from likeness.engine.packs.identity import PackId
from likeness.engine.packs.manifest import Manifest
from likeness.engine.packs.store import WeightStore
from likeness.engine.pad import PadModel
from likeness.engine.pipeline import PackEngine
from likeness.engine.quality.defects import DefectFinder
from likeness.engine.runtime import Network, Provider, multiplies_bytes_fast
from likeness.errors import SetupError
from likeness.settings import Settings

log = logging.getLogger("likeness.engine")


def load_engine(
    pack: PackId,
    *,
    models_dir: Path,
    mirror: Path | None = None,
    threads: int = 1,
    provider: Provider = "cpu",
    jpeg_2000: bool = False,
    downloads: bool = True,
) -> Engine:
    """Load a pack.

    Its name is ``auto`` (the best pack with available weights), ``builtin``, ``best``, ``fast``, one of your own, or
    ``fake``. Missing weights come from installed packages, the ``mirror`` folder or the pack's pinned addresses. They
    are verified and stored in ``models_dir``. ``threads`` is the number of threads for one call. ``jpeg_2000``
    accepts photos in this format, too. Without ``downloads`` nothing comes from an address. Raises SetupError, which
    says how the operator can correct the cause.
    """
    if pack in FAKES:
        return FAKES[pack]()
    catalogue, store = Catalogue(models_dir), WeightStore(models_dir, mirror, downloads=downloads)
    manifest = _best(catalogue, store) if pack == "auto" else catalogue.get(pack)
    store.install(manifest)

    def load(model: bytes) -> Network:
        return Network(model, threads=threads, provider=provider)

    eight_bits = provider == "cpu" and multiplies_bytes_fast()
    if manifest.detector is None:
        raise SetupError(f"The pack {manifest.id!r} has no detector and no recogniser. It only extends another pack.")
    return PackEngine(
        pack=manifest.pack,
        search=FaceSearch(assemble_detector(manifest, manifest.detector, store, load)),
        defects=DefectFinder.load(load),
        recognisers=tuple(
            assemble_recogniser(manifest, recipe, store, load, eight_bits=eight_bits) for recipe in manifest.recognisers
        ),
        pad_models=tuple(_pad_models(catalogue, load)),
        stored_calibration=manifest.calibration.calibration if manifest.calibration else None,
        jpeg_2000=jpeg_2000,
    )


def load_engine_by(settings: Settings, pack: PackId) -> Engine:
    """Load a pack as the settings say. Raises SetupError."""
    return load_engine(
        pack,
        models_dir=settings.models_dir,
        mirror=settings.models_mirror,
        provider=settings.provider,
        jpeg_2000=settings.jpeg2000,
        downloads=settings.egress == "all",
    )


def judges_passively(pack: PackId, models_dir: Path) -> bool:
    """Whether an engine on this pack would have a passive PAD model. This loads no model."""
    return FAKES[pack].judges_passively if pack in FAKES else any(True for _ in _installed_pad(Catalogue(models_dir)))


def load_landmarks(models_dir: Path, *, threads: int = 1, provider: Provider = "cpu") -> LandmarkEstimator | None:
    """Load the network for the landmarks of the whole face, or return None if no installed pack has it.

    Raises SetupError.
    """
    catalogue, store = Catalogue(models_dir), WeightStore(models_dir)
    for manifest in catalogue.readable():
        if manifest.landmarks and store.installed(manifest):
            return assemble_landmarks(
                manifest, manifest.landmarks, store, lambda model: Network(model, threads=threads, provider=provider)
            )
    return None


def _best(catalogue: Catalogue, store: WeightStore) -> Manifest:
    """Return the best pack with weights that are on this machine or can be downloaded now.

    If it is not the first of ``BEST_FIRST``, a warning says why. Raises SetupError if no pack is available.
    """
    reasons: list[str] = []
    for name in BEST_FIRST:
        try:
            manifest = catalogue.get(name)
            store.install(manifest)
        except SetupError as error:
            reasons.append(f"{name}: {error}")
            continue
        if reasons:
            log.warning(
                "`auto` takes the pack %s, because no better pack can be installed. %s The data of a deployment stays "
                "with the pack of its first start until `likeness gallery reindex` moves it. Correct this first, then "
                "start with a new data folder.",
                name,
                " ".join(reasons),
            )
        return manifest
    raise SetupError(f"No model pack can be installed: {' '.join(reasons)}")


def _pad_models(catalogue: Catalogue, load: LoadNetwork) -> Iterator[PadModel]:
    """Load the PAD models of every installed pack. Weights that are only in the mirror do not count as installed."""
    store = WeightStore(catalogue.models_dir)
    for manifest in _installed_pad(catalogue):
        yield from (assemble_pad(manifest, recipe, store, load) for recipe in manifest.pad)


def _installed_pad(catalogue: Catalogue) -> Iterator[Manifest]:
    store = WeightStore(catalogue.models_dir)
    return (manifest for manifest in catalogue.readable() if manifest.pad and store.installed(manifest))
