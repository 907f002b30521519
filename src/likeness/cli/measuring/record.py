"""``likeness record``."""

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Annotated

import cv2
import typer
from rich.console import Console

from likeness.access.scopes import API_SCOPES
from likeness.cli.measuring.photos import Pack, load_pack
from likeness.cli.measuring.recordings import RecordingsKey
from likeness.deployment import initialise, open_deployment
from likeness.evaluation.liveness.recordings.recording import BONA_FIDE, Recording, RecordingFolder, default_key_file
from likeness.evaluation.liveness.recordings.station import RecordingStation, labels_of
from likeness.liveness.attempt.script import LivenessMode
from likeness.server.running import bind, ended_by_signals, make_server
from likeness.sessions.schemas import SessionOptions
from likeness.settings import Settings
from likeness.web.components import components_of

TENANT = "recordings"


def record(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of the recordings. It is made if it is missing.")
    ],
    *,
    kind: Annotated[
        str, typer.Option(help="The presentation that the page begins with: bona_fide, or a kind of attack.")
    ] = BONA_FIDE,
    instrument: Annotated[str, typer.Option(help="The attack's instrument, such as `A4 laser print`.")] = "",
    device: Annotated[str, typer.Option(help="The device with the camera.")] = "",
    light: Annotated[str, typer.Option(help="The light, such as `office, 300 lx`.")] = "",
    mode: Annotated[LivenessMode, typer.Option(help="The liveness mode of the attempts.")] = LivenessMode.ACTIVE,
    key: RecordingsKey = None,
    pack: Pack = None,
) -> None:
    """Record liveness attempts of people and of attacks, to measure the liveness check.

    Starts a server of its own at LIKENESS_HOST and LIKENESS_PORT, with a
    page that asks for consent and for labels. Each attempt with consent
    becomes one encrypted file in DIR: the frames, their times, the colours
    and the steps, the labels, and the verdict. The key is in DIR.key: keep
    it apart, and delete it to destroy all recordings at once. Nothing of
    your deployment is used, and nothing else is kept. Ctrl-C ends it.

    A phone needs https: set LIKENESS_BASE_URL to the address of a proxy.

    Example: likeness record recordings/ --device "Pixel 8" --light office

    Example: likeness record recordings/ --kind print --instrument "A4 laser"
    """
    prefilled = labels_of(kind=kind, instrument=instrument, device=device, light=light)
    recordings = RecordingFolder.open(folder, key, make=True)
    engine = load_pack(pack)
    console = Console()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(prefix="likeness-record-") as place, ended_by_signals():
        settings = Settings(
            data_dir=Path(place), database_url=None, images_url=None, key_file=None, attempts_per_photo=0
        )
        initialise(settings)
        with closing(open_deployment(settings)) as deployment, deployment.owned():
            from likeness.app import Components, create_app  # noqa: PLC0415  the import takes a second

            tenant = deployment.tenants.create(TENANT)
            client = deployment.clients.create(tenant.id, TENANT, API_SCOPES)
            app = create_app(deployment, engine)
            options = SessionOptions.model_validate(
                {
                    "livenessMode": mode.value,
                    "maxAttempts": 1,
                    "minimumMatchLevel": 1,
                    "redirectUrl": f"{settings.origin}/record",
                }
            )

            def tell(recording: Recording) -> None:
                verdict = recording.verdict["status_code"]
                console.print(f"{recording.id}  {recording.label.kind}  {verdict}", markup=False, highlight=False)

            RecordingStation(app, tenant, client.client_id, options, prefilled, recordings.add, tell).install()
            console.print(f"[bold]Record at {settings.origin}/record[/]", highlight=False, soft_wrap=True)
            console.print(f"Recordings {folder}, key {key or default_key_file(folder)}", markup=False, highlight=False)
            begin_stop = components_of(app, Components).begin_stop
            make_server(app, settings, begin_stop=begin_stop).run(bind(settings))
