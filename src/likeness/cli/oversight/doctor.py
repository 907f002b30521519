"""``likeness doctor``."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from likeness.cli.opening import open_deployment
from likeness.diagnosis.examination import examine_deployment
from likeness.diagnosis.findings import Grade
from likeness.settings import Settings

_COLOURS = {Grade.OK: "green", Grade.DOUBT: "yellow", Grade.WRONG: "red"}


def doctor(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object instead of lines to read.")] = False
) -> None:
    """Say what is wrong with this deployment and its machine, and what to do. Ends with status 1 if anything is wrong.

    Looks at settings, keys, disk, clock, open files, database, audit
    trail, packs, image store and webhooks. It connects to each webhook's
    host, and sends nothing. It can run beside a server.

    Example: likeness doctor --json
    """
    findings = list(examine_deployment(Settings(), open_deployment))
    healthy = all(finding.health is not Grade.WRONG for finding in findings)
    if as_json:
        typer.echo(json.dumps({"healthy": healthy, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for finding in findings:
            line = Text(f"{finding.health:<6}", _COLOURS[finding.health]).append(
                f"{finding.part:<12}{finding.fact}", ""
            )
            console.print(line)
            if finding.advice:
                console.print(Text(f"{'':<18}→ {finding.advice}"))
    if not healthy:
        raise typer.Exit(1)
