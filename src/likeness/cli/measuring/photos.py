"""Parts of the measuring commands: their options, the pack, the templates of a folder of people, and reports."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from likeness import __version__
from likeness.cli.opening import open_deployment
from likeness.cli.progress import progress_bar
from likeness.deployment import is_initialised
from likeness.engine.analysts.base import Analyst
from likeness.engine.analysts.choice import photo_analysts
from likeness.engine.base import Engine, Use
from likeness.engine.levels import Calibration
from likeness.engine.packs.catalogue import Catalogue
from likeness.engine.packs.identity import PackId
from likeness.engine.policy import FacePolicy
from likeness.engine.quality import measures as quality
from likeness.errors import SetupError
from likeness.evaluation.data_set import DataSet
from likeness.evaluation.recognition.extraction import Extraction, extract
from likeness.evaluation.recognition.template_cache import TemplateCache
from likeness.gallery.served_pack import served_pack
from likeness.kit.files import replacing
from likeness.settings import Settings

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="A folder that has a folder of JPEG or PNG photos for each person.")
]
Pack = Annotated[
    str | None, typer.Option(help="The model pack. By default the deployment's (LIKENESS_PACK).", show_default=False)
]
Workers = Annotated[
    int,
    typer.Option(
        min=1,
        help="Photos analysed at once, one core for each. With LIKENESS_ENGINE=ray LIKENESS_PHOTO_ACTORS counts.",
        show_default="the cores of this machine",
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Keep the templates in this folder. The next run on the same photos then takes seconds. Templates are "
        "biometric data: delete the folder at the end.",
        show_default=False,
    ),
]
Groups = Annotated[
    Path | None,
    typer.Option(
        help="CSV file of the people's groups. The column `photo` has PERSON/PHOTO or PERSON. Each further column is a "
        "label.",
        show_default=False,
    ),
]
CORES = os.cpu_count() or 1


def load_pack(pack: str | None) -> Engine:
    """Load a pack by its id, or the pack that the deployment serves. Raises SetupError."""
    from likeness.engine.packs.loading import load_engine_by  # noqa: PLC0415  the import of ONNX Runtime takes a second

    settings = Settings()
    chosen = PackId(pack or settings.pack)
    if pack is None and is_initialised(settings):
        with closing(open_deployment(settings)) as deployment:
            chosen = served_pack(deployment)
    return load_engine_by(settings, chosen)


def calibration_of(engine: Engine) -> Calibration | None:
    """Return the pack's calibration, or None if it has none: measuring does not need one."""
    try:
        return engine.calibration
    except SetupError:
        return None


def check_outputs(*files: Path | None) -> None:
    """Check before the work that each output can be written, to a file of its own. Raises SetupError."""
    named = [file for file in files if file]
    for file in named:
        if not file.parent.is_dir():
            raise SetupError(f"There is no folder {file.parent} to write {file.name} to.")
        if file.is_dir():
            raise SetupError(f"{file} is a folder; name a file to write.")
    if len({file.resolve() for file in named}) < len(named):
        raise SetupError("Two of the files to write are the same.")


def write_report(file: Path, text: str) -> None:
    """Write a report, and replace an earlier one. If the writing fails, the earlier report stays."""
    if file.exists() and not file.is_file():  # a pipe, or /dev/stdout
        file.write_text(text, encoding="utf-8")
        return
    with replacing(file.resolve()) as whole:
        whole.write(text.encode())


def extract_templates(
    engine: Engine,
    data_set: DataSet,
    *,
    use: Use = Use.PROBE,
    policy: FacePolicy = FacePolicy.LARGEST,
    workers: int,
    cache: Path | None,
) -> Extraction:
    """Analyse all photos, with a progress bar on the error stream. Raises SetupError."""
    known = open_cache(engine, cache, use, policy)
    with analysing(engine, workers) as (analyst, at_once), progress_bar() as bar:
        task = bar.add_task(f"photos, {engine.pack}", total=len(data_set.photos))
        return extract(
            analyst,
            data_set,
            use=use,
            policy=policy,
            workers=at_once,
            cache=known,
            progress=lambda done, _total: bar.update(task, completed=done),
        )


@contextlib.contextmanager
def analysing(engine: Engine, workers: int) -> Iterator[tuple[Analyst, int]]:
    """Give who analyses photos by LIKENESS_ENGINE, and how many photos at once. Raises SetupError."""
    settings = Settings().model_copy(update={"workers": workers})
    with photo_analysts(settings, engine, partial(_namespace, settings)) as analysts:
        yield analysts.of(engine), settings.photos_at_once


def _namespace(settings: Settings) -> str:
    if not is_initialised(settings):
        raise SetupError("LIKENESS_ENGINE=ray needs the deployment whose actors these are: see `likeness init`")
    with closing(open_deployment(settings)) as deployment:
        return deployment.cluster_namespace


def open_cache(engine: Engine, folder: Path | None, use: Use, policy: FacePolicy) -> TemplateCache | None:
    """Open the templates that a folder keeps, or give None without a folder. Raises SetupError."""
    return (
        TemplateCache.open(folder, pack=engine.pack.identity, binding=_binding(engine, use, policy)) if folder else None
    )


def _binding(engine: Engine, use: Use, policy: FacePolicy) -> str:
    """Name all that a photo's outcome depends on, except the pack's name and version."""
    settings, recipe = Settings(), ""
    with contextlib.suppress(SetupError):  # the fake pack has no manifest
        recipe = repr(replace(Catalogue(settings.models_dir).get(engine.pack.id), calibration=None))
    formats = f"JPEG 2000: {settings.jpeg2000}"
    return "\n".join((__version__, recipe, repr(quality.RULES), use, policy, formats))
