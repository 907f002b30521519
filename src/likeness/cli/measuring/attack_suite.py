"""``likeness attack-suite``."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from likeness.cli.demo.photos import load_photos
from likeness.cli.measuring.photos import Pack, check_outputs, load_pack, write_report
from likeness.cli.progress import progress_bar
from likeness.cli.tables import id_column
from likeness.errors import SetupError
from likeness.evaluation.liveness.injection_suite.attacks import ATTACKS, InjectionAttack
from likeness.evaluation.liveness.injection_suite.chromium import chromiums, find_chromium
from likeness.evaluation.liveness.injection_suite.suite import (
    AttackedServer,
    AttackOutcome,
    InjectionSuite,
)

KINDS = tuple(attack.kind.value for attack in ATTACKS)
TOKEN_SECONDS = 600


def attack_suite(
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of the server to attack: one of your own.")],
    *,
    client_id: Annotated[str, typer.Option(envvar="LIKENESS_CLIENT_ID", help="A client with KYC_FACE_FLOW.")],
    client_secret: Annotated[str, typer.Option(envvar="LIKENESS_CLIENT_SECRET", help="Its secret.")],
    kind: Annotated[
        list[str] | None,
        typer.Option(help=f"Only this kind. Repeat it for several. Kinds: {', '.join(KINDS)}.", show_default=False),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Attacks of each kind, each with another seed.")] = 1,
    chromium: Annotated[Path | None, typer.Option(help="The browser.", show_default="chromium of this machine")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the outcomes to this file.", show_default=False)
    ] = None,
    pack: Pack = None,
) -> None:
    """Attack a server of your own with injected pictures, through a real Chromium.

    Opens sessions and carries out each kind of injection attack: a virtual
    camera, a video file, a canvas, a replaced camera call, frames exchanged
    in the socket, and more. The people are simulated. Prints for each
    attack whether the session ended without a match, and which signals
    refused it. docs/liveness.md says which kinds are open.

    Needs Chromium and the package `playwright`. The scene goes by the real
    time: on a slow machine an attack can fail because it is too slow.

    Example: likeness attack-suite http://localhost:8000 --kind canvas_stream
    """
    if unknown := sorted(set(kind or ()) - set(KINDS)):
        raise SetupError(f"There is no kind {', '.join(unknown)}. Kinds: {', '.join(KINDS)}.")
    check_outputs(json_file)
    browser = find_chromium(chromium)
    console, photos = Console(), load_photos()
    attacks = [attack for attack in ATTACKS if not kind or attack.kind in kind]
    target = AttackedServer(
        url.rstrip("/"), _tokens(url.rstrip("/"), client_id, client_secret), photos.astronaut_again["relit"]
    )
    outcomes: list[AttackOutcome] = []
    with chromiums(browser) as launch, progress_bar(console, transient=True) as progress:
        suite = InjectionSuite(target, load_pack(pack), photos.astronaut, photos.people["man in grey"], launch)
        task = progress.add_task("attacks", total=len(attacks) * seeds)
        for attack in attacks:
            for seed in range(1, seeds + 1):
                outcomes.append(suite.run(attack.kind, seed))
                progress.advance(task)
    _print(console, attacks, outcomes)
    if json_file:
        write_report(json_file, json.dumps([one.as_json() for one in outcomes], indent=2) + "\n")


def _print(console: Console, attacks: Sequence[InjectionAttack], outcomes: Sequence[AttackOutcome]) -> None:
    table = Table(id_column("attack"), "method", "instrument", "detected", "by", box=box.SIMPLE_HEAD)
    for attack in attacks:
        those = [one for one in outcomes if one.kind is attack.kind]
        by = sorted({signal for one in those for signal in (*one.signals, *_matched(one))})
        open_ = " (open)" if attack.is_open else ""
        detected = f"{sum(one.detected for one in those)} of {len(those)}{open_}"
        table.add_row(attack.kind.value, attack.method, attack.instrument, detected, "; ".join(by))
    console.print(table)


def _matched(outcome: AttackOutcome) -> tuple[str, ...]:
    """Say why an attack whose signals all passed was refused."""
    return outcome.failures if outcome.detected and not outcome.signals else ()


def _tokens(url: str, client_id: str, client_secret: str) -> Callable[[], str]:
    """Give a function that gives an access token, a new one in time."""
    held: tuple[str, float] = ("", 0.0)

    def token() -> str:
        nonlocal held
        if time.monotonic() > held[1]:
            form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
            try:
                reply = httpx.post(f"{url}/api/oauth/token", data=form, trust_env=False)
            except httpx.HTTPError as error:
                raise SetupError(f"{url} does not answer: {error}") from error
            if reply.status_code != httpx.codes.OK:
                raise SetupError(f"{url} gives no token: {reply.text[:200]}")
            held = reply.json()["access_token"], time.monotonic() + TOKEN_SECONDS
        return held[0]

    return token
