"""Write the bill of materials (CycloneDX 1.5) and the licence list: write_sbom.py FOLDER.

uv knows the locked packages and their hashes. Their licences come from the packages installed here, with all extras.
The weights and their licences come from the manifests of the packs. The script ends with status 1 if a package states
no licence, or one that would bind the whole product.
"""

import hashlib
import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from likeness.engine.packs.catalogue import Catalogue
from likeness.engine.packs.manifest import Weights

REPOSITORY = Path(__file__).resolve().parents[1]
EXPORT = ("sh", "scripts/uv", "export", "--locked", "--all-extras", "--format", "cyclonedx1.5", "--quiet")
OWN_MODEL = REPOSITORY / "src" / "likeness" / "engine" / "quality" / "defects.onnx"
STATED_ELSEWHERE = {"insightface": "MIT", "pyrage": "MIT"}
"""Packages whose metadata states no licence, but whose description does. Of insightface only photos are used."""
UNSTATED = "unstated"
BINDING = re.compile(r"(?<!L)GPL|(?<!Lesser )General Public License", re.IGNORECASE)
"""Licences that this product may not be combined with. The LGPL of psycopg is not among them."""


def licence_of(package: str) -> dict[str, Any] | None:
    """Give what an installed package states, as CycloneDX writes it. None if it is not for this platform."""
    try:
        told = importlib.metadata.metadata(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    if expressions := told.get_all("License-Expression"):
        return {"expression": expressions[0]}
    classifiers = [each for each in told.get_all("Classifier") or [] if each.startswith("License :: OSI Approved ::")]
    if classifiers:
        return named(" OR ".join(each.rpartition(" :: ")[2] for each in classifiers))
    text = "".join(told.get_all("License") or []).partition("\n")[0]
    return named(STATED_ELSEWHERE.get(package) or text or UNSTATED)


def named(licence: str) -> dict[str, Any]:
    return {"license": {"name": licence}}


def bill(folder: Path) -> dict[str, Any]:
    """Give uv's bill of materials with the licences, and with the weights."""
    exported = subprocess.run(EXPORT, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    made: dict[str, Any] = json.loads(exported.stdout)
    for component in made["components"]:
        if licence := licence_of(component["name"]):
            component["licenses"] = [licence]
    root = made["metadata"]["component"]
    root["licenses"] = [{"license": {"id": "Apache-2.0"}}]
    models = [*weights_of_packs(folder), own_model()]
    made["components"] += models
    depends = next(each for each in made["dependencies"] if each["ref"] == root["bom-ref"])
    depends["dependsOn"] = [*depends.get("dependsOn", ()), *(model["bom-ref"] for model in models)]
    return made


def weights_of_packs(folder: Path) -> Iterator[dict[str, Any]]:
    """Give a component for each file of weights that a pack of this version names."""
    seen: dict[str, tuple[Weights, str]] = {}
    for manifest in Catalogue(folder).readable():
        for weights in manifest.weights:
            seen.setdefault(weights.sha256, (weights, str(manifest.version)))
    for sha256, (weights, version) in seen.items():
        licences = weights.licences
        facts = {"code": licences.code, "weights": licences.weights, "training data": licences.training_data}
        yield model(weights.name, version, sha256, licences.weights) | {
            "properties": [{"name": f"licence of {name}", "value": terms} for name, terms in facts.items()]
            + [{"name": "training data", "value": weights.training_data}, {"name": "origin", "value": weights.origin}],
            "externalReferences": [{"type": "distribution", "url": url} for url in weights.urls],
        }


def own_model() -> dict[str, Any]:
    sha256 = hashlib.sha256(OWN_MODEL.read_bytes()).hexdigest()
    return model(OWN_MODEL.name, importlib.metadata.version("likeness-server"), sha256, "Apache-2.0")


def model(name: str, version: str, sha256: str, licence: str) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{sha256}",
        "name": name,
        "version": version,
        "hashes": [{"alg": "SHA-256", "content": sha256}],
        "licenses": [named(licence)],
    }


def faults(made: dict[str, Any]) -> Iterator[str]:
    """Name the packages whose licence is missing or may not be used."""
    for component in made["components"]:
        licence = stated(component) or ""
        if component["type"] == "library" and (licence == UNSTATED or BINDING.search(licence)):
            yield f"{component['name']}: {licence}"


def stated(component: dict[str, Any]) -> str | None:
    for licence in component.get("licenses", ()):
        return str(licence.get("expression") or licence["license"]["name"])
    return None


def table(made: dict[str, Any]) -> Iterator[str]:
    """Give the licence list as a table of Markdown."""
    yield "| what | version | licence |"
    yield "| --- | --- | --- |"
    for component in sorted(made["components"], key=lambda each: (each["type"], each["name"].lower())):
        facts = {each["name"]: each["value"] for each in component.get("properties", ())}
        terms = [
            f"{name.removeprefix('licence of ')}: {facts[name]}" for name in facts if name.startswith("licence of")
        ]
        licence = ("; ".join(terms) or stated(component) or "not for this platform").replace("|", "/")
        yield f"| {component['name']} | {component['version']} | {licence} |"


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    made = bill(folder)
    (folder / "sbom.json").write_text(json.dumps(made, indent=2) + "\n")
    (folder / "licences.md").write_text("\n".join(table(made)) + "\n")
    if found := list(faults(made)):
        sys.exit("; ".join(found))


if __name__ == "__main__":
    main()
