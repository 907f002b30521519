"""``likeness backup ...`` and ``likeness restore``."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from pyrage import x25519
from rich.console import Console

from likeness.audit.seals import SealPlace
from likeness.backup.archive import Identity, read_identities, read_recipient
from likeness.backup.creation import Creation
from likeness.backup.inspection import faults_in
from likeness.backup.restoration import Restoration, RestoreReport
from likeness.cli.opening import open_deployment
from likeness.cli.progress import progress_bar
from likeness.deployment import open_deployment as open_unrecorded
from likeness.errors import InvalidInput
from likeness.kit.files import create_whole, replacing
from likeness.settings import Settings
from likeness.store.move.moving import BeginStage

backup = typer.Typer(help="Encrypted backups, made while the server runs.", no_args_is_help=True)
FileArgument = Annotated[Path, typer.Argument(help="File of the backup.", show_default=False)]
IdentityOption = Annotated[
    Path, typer.Option("--identity", help="File of the private key that opens the backup.", show_default=False)
]
SealOption = Annotated[
    str | None,
    typer.Option(
        help="The newest seal that you kept: NUMBER:HASH, as `likeness backup create` shows it.", show_default=False
    ),
]


@backup.command()
def key(
    file: Annotated[Path, typer.Argument(help="New file for the private key. Keep it on another machine.")],
) -> None:
    """Make a key pair for backups. Writes the private key to a file, and prints the public key.

    The public key encrypts, and the private key opens. The server needs
    the public key only. The pair has the format of age, so age-keygen
    makes such pairs, too.

    Example: likeness backup key backup.key
    """
    identity = x25519.Identity.generate()
    public = str(identity.to_public())
    create_whole(file, f"# public key: {public}\n{identity}\n".encode())
    typer.echo(public)


@backup.command()
def create(
    file: FileArgument,
    recipient: Annotated[
        list[str],
        typer.Option(help="Public key that the backup is encrypted to: age1… or ssh-… Give it again for more keys."),
    ],
    *,
    with_key: Annotated[
        bool, typer.Option("--with-key", help="Also put the master key in. Then the private key opens everything.")
    ] = False,
) -> None:
    """Write an encrypted backup of the database and the photos. It can run beside a server.

    The database is copied as it is at one moment, then each photo that
    it names. The copy needs room in the data folder until the end. Keep
    the shown seal apart from the backup: `likeness restore --seal` then
    names an older backup.

    Example: likeness backup create monday.age --recipient age1ql3z7hjy54pw3hy…
    """
    settings = Settings()
    if file.exists():
        raise InvalidInput(f"There is a file at {file} already: a backup replaces none.")
    if with_key and not settings.has_key_file:
        raise InvalidInput(f"--with-key: the master key is in no file, but at {settings.key_place}. Leave it out.")
    recipients = [read_recipient(each) for each in recipient]
    console = Console(markup=False, highlight=False, soft_wrap=True)
    with closing(open_deployment(settings)) as deployment, _stages() as stage, replacing(file) as target:
        report = Creation(deployment, recipients, with_key=with_key).run(target, stage)
    console.print(f"backup   {report.id}, {file.stat().st_size:,} bytes")
    console.print(f"entries  {report.entries:,}")
    console.print(f"photos   {report.photos:,}" + (f", and {report.gone:,} erased meanwhile" if report.gone else ""))
    console.print(f"seal     {report.seal if report.seal.number else 'none yet'}")
    if not with_key:
        console.print(f"The master key is not in it: a restore needs {settings.key_place}.")
    if report.missing:
        console.print(f"{report.missing:,} photos are missing in the image store: run `likeness gallery verify`")
        raise typer.Exit(1)


@backup.command()
def verify(file: FileArgument, identity: IdentityOption, seal: SealOption = None) -> None:
    """Restore a backup into a temporary folder, and open everything in it. Ends with status 1 if anything is damaged.

    Checks the signature, the audit trail, every template and every photo.
    The master key comes from the backup, or from the deployment's file.
    With --seal it also says whether the backup is older than that seal.

    Example: likeness backup verify monday.age --identity backup.key
    """
    console = Console(markup=False, highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="likeness-verify-") as folder:
        present = Settings()
        place = {"data_dir": Path(folder), "database_url": None, "images_url": None, "gallery": "memory"}
        keys = {"key_file": present.master_key_file if present.master_key_file.exists() else None}
        target = present.model_copy(update=place | keys)
        report = _restore(Restoration(target, _identities(identity), _place(seal)), file)
        _show(console, report)
        with closing(open_unrecorded(target)) as deployment:
            faults = list(faults_in(deployment, gone=report.gone))
    for fault in faults:
        console.print(fault)
    if faults:
        console.print(f"damaged: {len(faults):,}")
        raise typer.Exit(1)
    console.print("The backup is whole.")


def restore(
    file: FileArgument,
    identity: IdentityOption,
    seal: SealOption = None,
    *,
    older: Annotated[bool, typer.Option("--older", help="Restore a backup that is older than --seal.")] = False,
) -> None:
    """Restore a backup into an empty deployment, which the settings of the environment name.

    The data folder may hold the master key and the models, and nothing
    else. The database may be another one than that of the backup: SQLite
    or PostgreSQL, a folder or an object store. A backup that was altered,
    cut or made by another deployment is refused. Give the newest seal that
    you kept: then an older backup is refused, too.

    Example: likeness restore monday.age --identity backup.key --seal 17:9f86d081884c7d65…
    """
    console = Console(markup=False, highlight=False, soft_wrap=True)
    report = _restore(Restoration(Settings(), _identities(identity), _place(seal), older=older), file)
    _show(console, report)
    console.print(f"Restored. What came after {report.made} is not in it: repeat the erasures since then.")


def _restore(restoration: Restoration, file: Path) -> RestoreReport:
    with file.open("rb") as source, _stages() as stage:
        return restoration.run(source, file.stat().st_size, stage)


def _show(console: Console, report: RestoreReport) -> None:
    console.print(f"backup   {report.id} from {report.made}, made by version {report.program}")
    console.print(f"entries  {report.entries:,}")
    console.print(f"photos   {report.photos:,}" + (f", and {report.gone:,} erased meanwhile" if report.gone else ""))
    console.print(f"audit trail  {report.records:,} records are whole; newest seal {report.seal}")
    if report.outdated:
        console.print("It is older than the seal that you kept.")


def _identities(file: Path) -> list[Identity]:
    return read_identities(file.read_bytes())


def _place(seal: str | None) -> SealPlace | None:
    try:
        return SealPlace.read(seal) if seal else None
    except ValueError as error:
        raise InvalidInput(f"--seal: {error}, as `likeness backup create` shows it.") from error


@contextmanager
def _stages() -> Iterator[BeginStage]:
    with progress_bar(transient=True, rate=True) as bars:

        def begin(name: str, total: int) -> "partial[None]":
            return partial(bars.advance, bars.add_task(name, total=total))

        yield begin
