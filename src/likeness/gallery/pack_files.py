"""The calibrations and manifests in the models' folder, held against what the deployment accepted.

They set the thresholds that decide. Who can write to that folder but lacks the master key can make no code of them.
"""

import hashlib
import hmac
import logging

from likeness.deployment import Deployment

log = logging.getLogger("likeness")
FACT = "pack_files"
NAMES = ("calibration.json", "manifest.json")


class PackFiles:
    """Each file is named ``PACK/FILE``."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.folder = deployment.settings.models_dir / "packs"

    def codes(self) -> dict[str, str]:
        """Give the authentication code of each file, by its name."""
        key = self._deployment.derived_key("pack files")
        files = sorted(file for name in NAMES for file in self.folder.glob(f"*/{name}"))
        contents = {str(file.relative_to(self.folder)): file.read_bytes() for file in files}
        return {
            name: hmac.digest(key, f"{name}\0".encode() + content, hashlib.sha256).hex()
            for name, content in contents.items()
        }

    def changed(self) -> list[str]:
        """Name the files that were changed, added or removed since they were accepted; none before the first were."""
        accepted, present = self._deployment.fact(FACT), self.codes()
        if accepted is None:
            return []
        return sorted(name for name in accepted.keys() | present if accepted.get(name) != present.get(name))

    def accept(self, *names: str) -> None:
        """Go by these files as they are now."""
        accepted, present = self._deployment.fact(FACT), self.codes()
        if accepted is not None:
            others = {name: code for name, code in accepted.items() if name not in names}
            present = others | {name: code for name, code in present.items() if name in names}
        self._deployment.record(FACT, present)

    def accept_first(self) -> None:
        """Go by all files as they are where none were accepted yet, as the first start does."""
        if self._deployment.fact(FACT) is None:
            if present := self.codes():
                log.warning("taken as they are from now on: %s", ", ".join(present))
            self.accept()
