"""The calibrations and manifests in the models' folder, compared with those that the deployment accepted.

They set the decision thresholds. Each accepted file has an authentication code under the master key. So an attacker who
can write to the folder but lacks the master key cannot make a valid code.
"""

import hashlib
import hmac
import logging

from likeness.deployment import Deployment

log = logging.getLogger("likeness")
FACT = "pack_files"
NAMES = ("calibration.json", "manifest.json")


class PackFiles:
    """The pack files and their authentication codes. The name of a file is ``PACK/FILE``."""

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
        """Name the files changed, added or removed since they were accepted. Empty when none was accepted yet."""
        accepted = self._deployment.fact(FACT)
        return [] if accepted is None else _differences(accepted, self.codes())

    def accept(self, *names: str) -> None:
        """Accept these files as they are now. When no files were accepted yet, accept all."""
        accepted, present = self._deployment.fact(FACT), self.codes()
        if accepted is not None:
            others = {name: code for name, code in accepted.items() if name not in names}
            present = others | {name: code for name, code in present.items() if name in names}
        self._deployment.record(FACT, present)

    def check_at_start(self) -> list[str]:
        """Accept all files as they are at the first start. At a later start, name those that changed since."""
        accepted, present = self._deployment.fact(FACT), self.codes()
        if accepted is not None:
            return _differences(accepted, present)
        if present:
            log.warning("accepted as they are now: %s", ", ".join(present))
        self._deployment.record(FACT, present)
        return []


def _differences(accepted: dict[str, str], present: dict[str, str]) -> list[str]:
    return sorted(name for name in accepted.keys() | present if accepted.get(name) != present.get(name))
