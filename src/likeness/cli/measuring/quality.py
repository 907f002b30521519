"""``likeness quality``."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Column, Table

from likeness.cli.measuring.photos import Pack, check_outputs, load_pack, write_report
from likeness.cli.tables import id_column
from likeness.engine.base import QualityMeasure, Use
from likeness.engine.policy import FacePolicy
from likeness.engine.quality.published_measures import NOT_MEASURED
from likeness.errors import BadRequest, FaceRefused, SetupError, UnsupportedMediaType
from likeness.settings import Settings

if TYPE_CHECKING:
    from likeness.engine.quality.examination import Examination


def quality(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="JPEG or PNG files.", show_default=False)],
    *,
    pack: Pack = None,
    use: Annotated[
        Use, typer.Option(help="The use whose thresholds decide whether a photo would be refused.")
    ] = Use.PROBE,
    policy: Annotated[FacePolicy, typer.Option(help="What to do with several faces in a photo.")] = FacePolicy.LARGEST,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all numbers to this file.", show_default=False)
    ] = None,
) -> None:
    """Measure the quality of photos: each measure of ISO/IEC 29794-5, its raw value, and its scalar of 0 to 100.

    Stores nothing. If the pack face-landmarks is installed (`likeness
    packs install face-landmarks`), it also measures eyes, mouth and pose
    by the landmarks of the whole face. No photo is refused for these.
    Ends with status 1 if a photo has no face to measure.

    Example: likeness quality portrait.jpg --use enrol
    """
    from likeness.engine.packs.loading import load_landmarks  # noqa: PLC0415
    from likeness.engine.quality.examination import examine  # noqa: PLC0415  the import of ONNX Runtime takes a second

    check_outputs(json_file)
    settings = Settings()
    engine = load_pack(pack)
    estimator = load_landmarks(settings.models_dir, provider=settings.provider)
    console = Console(markup=False, highlight=False, soft_wrap=True)
    findings: list[dict[str, object]] = []
    for photo in photos:
        try:
            examined = examine(engine, estimator, _read(photo), use=use, policy=policy)
        except (BadRequest, FaceRefused, UnsupportedMediaType) as error:
            console.print(f"{photo}: {error.code}: {error}\n")
            findings.append({"photo": str(photo), "error": error.code, "message": str(error)})
            continue
        found, by_landmarks = examined.quality, examined.landmark_measures
        verdict = f"refused as {use}: {', '.join(found.reasons)}" if found.reasons else f"good enough as {use}"
        console.print(f"{photo}: quality {found.score}, {verdict}")
        console.print(_table(_by_name(_all_measures(examined)), _by_name(by_landmarks)))
        if examined.presence is not None and not by_landmarks:
            console.print("The landmark model finds no face in this photo.\n")
        findings.append({"photo": str(photo), **_finding(examined)})
    console.print(f"not measured, because they need networks of OFIQ: {', '.join(NOT_MEASURED)}")
    if json_file:
        report = {
            "pack": engine.pack.identity,
            "use": use,
            "policy": policy,
            "photos": findings,
            "notMeasured": NOT_MEASURED,
        }
        write_report(json_file, json.dumps(report, indent=2) + "\n")
    if any("error" in one for one in findings):
        raise typer.Exit(1)


def _all_measures(examined: "Examination") -> Sequence[QualityMeasure]:
    return (*examined.quality.measures, *examined.published_measures)


def _finding(examined: "Examination") -> dict[str, object]:
    return {
        "score": examined.quality.score,
        "reasons": list(examined.quality.reasons),
        "measures": _to_json(_all_measures(examined)),
        "landmarkMeasures": _to_json(examined.landmark_measures),
        "facePresence": examined.presence,
    }


def _read(photo: Path) -> bytes:
    try:
        return photo.read_bytes()
    except OSError as error:
        raise SetupError(f"{photo} cannot be read: {error.strerror}") from error


def _table(measures: Mapping[str, QualityMeasure], by_landmarks: Mapping[str, QualityMeasure]) -> Table:
    headings = ["raw", "scalar", *(["raw by landmarks", "scalar by landmarks"] if by_landmarks else [])]
    table = Table(id_column("measure"), *(Column(name, justify="right") for name in headings), box=box.SIMPLE_HEAD)
    for name in {**measures, **by_landmarks}:
        table.add_row(name, *_cells(measures.get(name)), *(_cells(by_landmarks.get(name)) if by_landmarks else ()))
    return table


def _cells(measure: QualityMeasure | None) -> list[str]:
    return [f"{measure.raw:.3f}", str(measure.scalar)] if measure else ["", ""]


def _by_name(measures: Sequence[QualityMeasure]) -> dict[str, QualityMeasure]:
    return {measure.name: measure for measure in measures}


def _to_json(measures: Sequence[QualityMeasure]) -> dict[str, dict[str, float]]:
    return {measure.name: {"raw": measure.raw, "scalar": measure.scalar} for measure in measures}
