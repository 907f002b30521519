"""The catalogue of packs: those that ship with the product, and a deployment's own."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from likeness.engine.packs.identity import PackId
from likeness.engine.packs.manifest import (
    Manifest,
    StoredCalibration,
    read_calibration,
    read_manifest,
    write_calibration,
)
from likeness.errors import SetupError

SHIPPED = Path(__file__).parent / "manifests"
BEST_FIRST = (PackId("best"), PackId("builtin"))
"""The packs that ``auto`` tries, in this order. The last is always available."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The packs of one deployment: shipped manifests, and ``models_dir/packs/NAME/manifest.json``.

    A deployment's own calibration, ``models_dir/packs/NAME/calibration.json``, replaces the manifest's.
    """

    models_dir: Path

    def ids(self) -> list[PackId]:
        """Return all pack ids, shipped packs first."""
        shipped = sorted(PackId(file.stem) for file in SHIPPED.glob("*.json"))
        own = sorted(PackId(file.parent.name) for file in self.models_dir.glob("packs/*/manifest.json"))
        return shipped + [name for name in own if name not in shipped]

    def get(self, pack_id: PackId) -> Manifest:
        """Read one pack's manifest, with the calibration in force.

        Raises SetupError for an unknown id or a bad manifest.
        """
        if pack_id not in self.ids():
            raise SetupError(f"There is no model pack named {pack_id!r}. The packs are: {', '.join(self.ids())}.")
        shipped = SHIPPED / f"{pack_id}.json"
        manifest = read_manifest(shipped if shipped.exists() else self.folder(pack_id) / "manifest.json")
        if manifest.id != pack_id:
            raise SetupError(f"The manifest of pack {pack_id!r} has the id {manifest.id!r}.")
        own = self.folder(pack_id) / "calibration.json"
        stored = read_calibration(own) if own.exists() else None
        if stored and stored.pack_version != manifest.version:
            _log.warning(
                "%s is not used: it was measured with version %s of the pack, which is now %s; run `likeness "
                "calibrate` again",
                own,
                stored.pack_version,
                manifest.version,
            )
            stored = None
        return replace(manifest, calibration=stored) if stored else manifest

    def readable(self) -> Iterator[Manifest]:
        """Read every pack's manifest. A broken one is logged and skipped, so that it stops no other pack."""
        for pack_id in self.ids():
            try:
                yield self.get(pack_id)
            except SetupError as error:
                _log.warning("the pack %s is skipped: %s", pack_id, error)

    def calibrate(self, pack_id: PackId, stored: StoredCalibration) -> Path:
        """Write a deployment's own calibration for the pack's present version, and return its path.

        The next load of the pack uses it. Raises SetupError for an unknown pack, and OSError if the file cannot be
        written.
        """
        path = self.folder(pack_id) / "calibration.json"
        write_calibration(path, replace(stored, pack_version=self.get(pack_id).version))
        return path

    def folder(self, pack_id: PackId) -> Path:
        """Return the folder of one pack's files in this deployment. It may not exist."""
        return self.models_dir / "packs" / pack_id
