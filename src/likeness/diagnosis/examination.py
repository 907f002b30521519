"""The examination of a deployment: every part in turn, also when another part fails."""

from collections.abc import Callable, Iterator
from contextlib import closing

from likeness.deployment import Deployment, is_initialised, is_outdated
from likeness.diagnosis.egress import egress
from likeness.diagnosis.findings import Finding, doubt, wrong
from likeness.diagnosis.machine import clock, disk, key_file, open_files, ray_cluster, settings_of_the_environment
from likeness.diagnosis.stored import audit_trail, database, packs, photos, signing_keys, tenant_keys
from likeness.errors import LikenessError, SetupError
from likeness.settings import Settings

BEFORE = (settings_of_the_environment, key_file, disk, clock, open_files, ray_cluster)
OPENED = (database, signing_keys, tenant_keys, audit_trail, packs, photos, egress)


def examine_deployment(settings: Settings, open_deployment: Callable[[Settings], Deployment]) -> Iterator[Finding]:
    """Examine the machine, then the deployment if it opens. It can run beside a server."""
    for look in BEFORE:
        yield from _findings(look.__name__, look(settings))
    if not is_initialised(settings):
        return
    try:
        if is_outdated(settings):
            advice = "Make a backup. The next start, or another command, upgrades it. Then examine it again."
            yield doubt("database", "it has the tables of an older version", advice)
            return
        deployment = open_deployment(settings)
    except SetupError as error:
        yield wrong("database", str(error))
        return
    with closing(deployment):
        for check in OPENED:
            yield from _findings(check.__name__, check(deployment))


def _findings(name: str, found: Iterator[Finding]) -> Iterator[Finding]:
    """Give what a check finds. Its own failure is a finding, too."""
    try:
        yield from found
    except (SetupError, LikenessError, OSError) as error:
        yield wrong(name.replace("_", " "), str(error))
