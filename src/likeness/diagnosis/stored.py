"""What is stored: the database, its keys, the audit trail, the packs and the photos."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

from sqlalchemy import Connection, func, select, text

from likeness.audit.seals import DAY_SECONDS, OLDER
from likeness.audit.signing import SEAL
from likeness.deployment import Deployment
from likeness.diagnosis.findings import Finding, doubt, ok, wrong
from likeness.engine.fake import FAKES
from likeness.engine.packs.catalogue import Catalogue
from likeness.engine.packs.store import WeightStore
from likeness.errors import ServiceUnavailable, SetupError
from likeness.gallery.pack_files import PackFiles
from likeness.gallery.served_pack import AUTO, served_pack
from likeness.store.images import ImageStore
from likeness.store.tables import audit_seals

OLD_KEY_DAYS = 365
LONGEST_READ_SECONDS = 0.02
READS = 5
TOLERATED_SECONDS = 5.0
"""How far this clock and the database's may differ."""


def database(deployment: Deployment) -> Iterator[Finding]:
    """Check whether the database answers soon, is whole, and is reached safely."""
    part, opened = "database", deployment.database
    began = time.monotonic()
    for _ in range(READS):
        opened.read_now(lambda c: c.execute(select(1)).scalar_one())
    seconds = (time.monotonic() - began) / READS
    if seconds > LONGEST_READ_SECONDS:
        yield doubt(
            part, f"a query takes {seconds * 1000:.0f} ms", "Move the database nearer, or find out what else it does."
        )
    if opened.is_sqlite:
        yield opened.read_now(_sqlite)
    else:
        yield from opened.read_now(lambda c: list(_postgres(c, deployment)))


def _sqlite(connection: Connection) -> Finding:
    damage = connection.execute(text("PRAGMA quick_check(1)")).scalar_one()
    if damage == "ok":
        return ok("database", "SQLite's file is whole")
    return wrong("database", f"SQLite's file is damaged: {damage}", "Restore the database from a backup.")


def _postgres(connection: Connection, deployment: Deployment) -> Iterator[Finding]:
    theirs = connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one()
    difference = float(theirs) - deployment.clock.now()
    if abs(difference) > TOLERATED_SECONDS:
        yield doubt(
            "clock",
            f"this clock and the database's differ by {abs(difference):.0f} s",
            "Run an NTP client on both machines.",
        )
    host = host_of(connection)
    local = host in {"", "localhost", "127.0.0.1", "::1"} or host.startswith("/")
    encrypted = connection.execute(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).scalar()
    if local or encrypted:
        yield ok("database", "PostgreSQL answers")
    else:
        yield doubt(
            "database", f"the connection to {host} is not encrypted", "Add `sslmode=verify-full` to its address."
        )


def host_of(connection: Connection) -> str:
    """Give the host in a database's address: a name, the folder of a socket, or nothing."""
    url = connection.engine.url
    return str(url.query.get("host") or url.host or "")


def signing_keys(deployment: Deployment) -> Iterator[Finding]:
    """Check whether every signing key opens, and the age of the one that signs."""
    since = deployment.database.read_now(deployment.signing_keys.signs_since)
    if since is None:
        yield ok("keys", "the first start makes a signing key")
        return
    deployment.signing_keys.signer()  # raises if a key does not open
    days = (deployment.clock.now() - since) / DAY_SECONDS
    if days > OLD_KEY_DAYS:
        yield doubt("keys", f"the signing key is {days:.0f} days old", "Run `likeness keys rotate`.")
    else:
        yield ok("keys", f"the signing key is {days:.0f} days old, and every one opens")


def tenant_keys(deployment: Deployment) -> Iterator[Finding]:
    """Check whether every tenant's data key opens."""
    opened = {tenant.id for tenant in deployment.tenants.all()}
    for row in deployment.tenants.rows():
        if row.id not in opened:
            fact = f"the data key or the settings of tenant {row.id} are damaged"
            yield wrong("keys", fact, f"Restore its row from a backup, or run `likeness tenant set {row.id}`.")


def audit_trail(deployment: Deployment) -> Iterator[Finding]:
    """Check the newest seal. ``likeness audit verify`` checks the whole trail."""
    part = "audit trail"
    newest = select(audit_seals.c.jws).order_by(audit_seals.c.number.desc()).limit(1)
    jws = deployment.database.read_now(lambda c: c.execute(newest).scalar_one_or_none())
    if jws is None:
        yield ok(part, "it has no seal yet")
        return
    try:
        claims = deployment.seals.signer.open(SEAL, jws)
    except SetupError as error:
        yield wrong(part, f"the newest seal: {error}", "Run `likeness audit verify`.")
        return
    if deployment.seals.lacks():
        yield wrong(
            part,
            OLDER.format(deployment.seals.kept),
            f"Run `likeness audit verify`. After a restore that you meant, delete {deployment.seals.kept}.",
        )
    made = datetime.fromtimestamp(claims["time"], UTC).isoformat(" ", "seconds")
    if claims["time"] > deployment.clock.now() + TOLERATED_SECONDS:
        yield wrong("clock", f"the newest seal is from {made}, which is in the future", "Correct the clock.")
    else:
        yield ok(part, f"the newest seal is number {claims['number']}, from {made}; `likeness audit verify` checks all")


def packs(deployment: Deployment) -> Iterator[Finding]:
    """Check the hashes of the pack that a start would serve."""
    part, settings, pack = "packs", deployment.settings, served_pack(deployment)
    if pack in FAKES:
        yield doubt(part, f"{pack} recognises nobody: it is for tests", "Set LIKENESS_PACK=builtin, or another pack.")
        return
    if changed := PackFiles(deployment).changed():
        yield wrong(
            part,
            f"changed since they were accepted: {', '.join(changed)}",
            "Restore these files, or accept them with `likeness packs verify PACK --accept`.",
        )
    if pack == AUTO:
        yield ok(part, "the first start chooses a pack")
        return
    manifest, store = Catalogue(settings.models_dir).get(pack), WeightStore(settings.models_dir, settings.models_mirror)
    missing = [weights.name for weights in manifest.weights if store.find(weights) is None]
    if missing:
        yield wrong(part, f"missing or altered: {', '.join(missing)}", f"Run `likeness packs install {pack}`.")
    else:
        yield ok(part, f"the {len(manifest.weights)} files of {pack} have their pinned hashes")


def photos(deployment: Deployment) -> Iterator[Finding]:
    """Check whether the image store takes photos."""
    try:
        with closing(ImageStore(deployment.settings.images_address)) as images:
            asyncio.run(images.probe())
    except (ServiceUnavailable, SetupError, OSError) as error:
        yield wrong("photos", f"the image store refuses: {error}", "Correct its address or rights: enrolments need it.")
    else:
        yield ok("photos", "the image store takes photos")
