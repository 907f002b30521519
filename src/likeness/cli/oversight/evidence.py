"""``likeness evidence``."""

import platform
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from likeness import __version__
from likeness.audit.signing import EVIDENCE
from likeness.cli.opening import open_deployment
from likeness.deployment import Deployment
from likeness.engine.base import Engine
from likeness.engine.packs.catalogue import Catalogue
from likeness.engine.packs.identity import PackId
from likeness.errors import SetupError
from likeness.evaluation.evidence import Reports, bundle, digests, find, read_report
from likeness.gallery.served_pack import load_pack, served_pack
from likeness.settings import Settings

SIGNATURE = "evidence.jws"
_SETTINGS = ("engine", "provider", "jpeg2000", "max_image_bytes", "audit_days", "gallery", "token_ttl_seconds")
"""The settings that an auditor asks for. None is a secret."""


def evidence(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The new folder to write the bundle into.")],
    *,
    evaluation: Annotated[
        Path | None, typer.Option(help="The report of `likeness evaluate --json`.", show_default=False)
    ] = None,
    liveness: Annotated[
        Path | None, typer.Option(help="The report of `likeness evaluate-liveness --json`.", show_default=False)
    ] = None,
    fpir: Annotated[
        Path | None, typer.Option(help="The report of `likeness gallery fpir --json`.", show_default=False)
    ] = None,
) -> None:
    """Write signed evidence for an auditor: what was measured, and what standards ask for.

    The bundle has evidence.json and the same as a page, with the pack,
    the hashes and licences of its weights, its thresholds and settings.
    It has a copy of each report that you name. Each requirement is met,
    not met, or not measured, with the number and its interval.
    evidence.jws signs the SHA-256 of every file. The public key of
    `likeness audit key` verifies it.

    Example: likeness evidence bundle/ --evaluation report.json --fpir fpir.json
    """
    if folder.exists():
        raise SetupError(f"{folder} exists already; name a new folder.")
    named = {
        "evaluation.json": (evaluation, "levelsInForce", "evaluate"),
        "liveness.json": (liveness, "simulatedSessions", "evaluate-liveness"),
        "fpir.json": (fpir, "pairsSetApart", "gallery fpir"),
    }
    attached = {name: _content(file) for name, (file, _, _) in named.items() if file}
    read = {name: read_report(content, *named[name][1:]) for name, content in attached.items()}
    findings = find(Reports(read.get("evaluation.json"), read.get("liveness.json"), read.get("fpir.json")))
    settings = Settings()
    with closing(open_deployment(settings)) as deployment:
        engine = load_pack(deployment, served_pack(deployment))
        now = deployment.clock.now()
        files = bundle(_document(deployment, engine, now), findings, attached)
        claims = {"iss": settings.origin, "iat": int(now), "sub": "evidence", "files": digests(files)}
        files[SIGNATURE] = deployment.seals.signer.sign(EVIDENCE, claims).encode()
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    console = Console(markup=False, highlight=False, soft_wrap=True)
    for finding in findings:
        console.print(f"{finding.verdict:<13} {finding.standard}: {finding.requirement}")
    console.print(f"Evidence  {folder}")


def _document(deployment: Deployment, engine: Engine, now: float) -> dict[str, Any]:
    settings, calibration = deployment.settings, engine.calibration
    return {
        "product": f"likeness {__version__}",
        "issuer": settings.origin,
        "createdAt": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("onnxruntime", "numpy")}},
        "pack": {
            "identity": engine.pack.identity,
            "weights": _weights(settings, engine.pack.id),
            "calibration": {
                "thresholds": calibration.thresholds,
                "measuredFmr": calibration.measured_fmr,
                "dataSet": calibration.data_set,
                "genuinePairs": calibration.genuine_pairs,
                "impostorPairs": calibration.impostor_pairs,
            },
        },
        "settings": {name: getattr(settings, name) for name in _SETTINGS},
    }


def _weights(settings: Settings, pack: PackId) -> list[dict[str, str]]:
    """Give the files of a pack. The fake pack has none."""
    found = [manifest for manifest in Catalogue(settings.models_dir).readable() if manifest.id == pack]
    return [
        {"name": file.name, "sha256": file.sha256, "licence": file.licences.weights, "trainingData": file.training_data}
        for manifest in found
        for file in manifest.weights
    ]


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror}") from error
