"""The record of processing (GDPR Art. 30) and the impact assessment (Art. 35) of a tenant, as far as Likeness knows.

Both are one document in Markdown, filled from the configuration and from counts of the gallery. What only the operator
knows is a blank: ``[FILL IN: ...]``. The document has no data of a person.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from sqlalchemy import Connection, func, select

from likeness import __version__
from likeness.deployment import Deployment
from likeness.gallery.served_pack import served_pack
from likeness.settings import Settings
from likeness.store.tables import gallery_entries
from likeness.tenants.schemas import TenantSettings
from likeness.tenants.service import Tenant
from likeness.usage.counting import KEPT_HOURS
from likeness.webhooks.service import Webhooks

MOST_PURPOSES = 50
BLANK = "[FILL IN: "
"""How each blank of the document begins."""
_BLANKS = re.compile(r"(?<!\\)\[FILL IN: ")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~])")
_EGRESS: Mapping[str, str] = {
    "none": "The server connects to nothing else.",
    "webhooks": "The server also connects to the receivers of webhooks.",
    "all": "The server also connects to the receivers of webhooks, and to the addresses of model packs at an install.",
}


@dataclass(frozen=True, slots=True)
class GalleryCounts:
    """What a gallery has, in numbers."""

    entries: int
    with_consent: int
    without_end: int
    held: int
    purposes: Sequence[tuple[str | None, int]]
    """Purposes with the number of their entries, the most frequent first: at most ``MOST_PURPOSES``."""


@dataclass(frozen=True, slots=True)
class Processing:
    """What the document is filled from. Every member may be read by the operator, and none is a secret."""

    tenant: str
    settings: Settings
    rules: TenantSettings
    counts: GalleryCounts
    pack: str
    clients: Sequence[tuple[str, Sequence[str]]]
    """Names of the clients that are enabled, with their permissions."""
    webhook_host: str | None
    now: float


def count_gallery(connection: Connection, tenant_id: str) -> GalleryCounts:
    """Count a tenant's entries. Takes some seconds for millions."""
    row = gallery_entries.c
    mine, number = row.tenant_id == tenant_id, func.count()
    numbers = number, func.count(row.consent_reference), func.count(row.expires_at), func.count(row.legal_hold)
    entries, consents, ending, held = connection.execute(select(*numbers).where(mine)).one()
    purposes = select(row.purpose, number).where(mine).group_by(row.purpose).order_by(number.desc(), row.purpose)
    found = connection.execute(purposes.limit(MOST_PURPOSES)).all()
    return GalleryCounts(entries, consents, entries - ending, held, [(each[0], each[1]) for each in found])


def processing_of(deployment: Deployment, tenant: Tenant) -> Processing:
    """Collect what the document of a tenant is filled from. Raises SetupError, ServiceUnavailable."""
    settings = deployment.settings
    webhooks = Webhooks(deployment.database, deployment.clock, settings.webhook_private_addresses)
    target = webhooks.find(tenant)
    return Processing(
        tenant=tenant.name,
        settings=settings,
        rules=tenant.settings,
        counts=deployment.database.read_now(lambda c: count_gallery(c, tenant.id)),
        pack=served_pack(deployment),
        clients=[
            (client.name, sorted(client.scopes))
            for client in deployment.clients.of_tenant(tenant.id)
            if not client.disabled
        ],
        webhook_host=urlsplit(target.url).hostname if target else None,
        now=deployment.clock.now(),
    )


def privacy_record(facts: Processing) -> str:
    """Write the document."""
    parts = (*_record(facts), *_assessment(facts))
    body = "\n".join(parts)
    made = datetime.fromtimestamp(facts.now, UTC).date().isoformat()
    note = (
        f"Written by likeness {__version__} on {made} from its configuration. {blanks(body)} blanks begin with "
        "`[FILL IN:`. Fill them, and have your data protection officer check all of it. It is no legal advice."
    )
    return "\n".join((f"# Processing of faces for {_text(facts.tenant)}", "", note, "", body, ""))


def blanks(document: str) -> int:
    """Count the blanks of a document."""
    return len(_BLANKS.findall(document))


def _record(facts: Processing) -> Iterator[str]:
    settings = facts.settings
    yield "## Part 1: record of processing activities (GDPR Art. 30)\n"
    yield from _table(
        ("item", "content"),
        (
            ("controller", f"{_text(facts.tenant)}. {_blank('legal name, address and contact of the controller')}"),
            ("representative, data protection officer", _blank("names and contacts, or none")),
            ("processor, if the server is run for the controller", _blank("name and contact, and the contract")),
            ("purposes", _purposes(facts.counts)),
            ("legal basis (Art. 6), and ground for biometric data (Art. 9)", _basis(facts.counts)),
            (
                "people concerned",
                f"People whose faces are compared or enrolled. {_blank('who they are, their number')}",
            ),
            ("recipients", _recipients(facts)),
            ("transfers to third countries", _blank("the countries of the machines and recipients, the safeguards")),
            ("security (Art. 32)", _security(settings)),
        ),
    )
    yield "\n### What is stored, where and how long\n"
    yield from _table(("data", "where", "how long"), _stored(facts))
    yield "\n### Backups\n"
    yield _blank("where backups lie, who can open them, and when they are deleted") + "\n"


def _stored(facts: Processing) -> Iterator[tuple[str, str, str]]:
    settings, rules, counts = facts.settings, facts.rules, facts.counts
    database, images = f"database: {_place(settings.database_address)}", f"images: {_place(settings.images_address)}"
    kept = "no end by the tenant's setting" if rules.entry_days is None else f"{rules.entry_days} days at most"
    some = f"{counts.entries:,} entries now, {counts.without_end:,} of them without an end"
    some += f", {counts.held:,} under a legal hold"
    if rules.entry_days is None or counts.without_end:
        some += f". {_blank('why entries without an end are needed, or set entryDays')}"
    yield "templates, reference and metadata of an entry", database, f"{kept}, or until erasure. {some}"
    yield "photo of an entry", images, "as its entry, or until the photo is deleted"
    yield "template of the ID photo of a face session", database, _seconds(settings.session_ttl_seconds)
    yield "signed result of a face session", database, _seconds(settings.result_ttl_seconds)
    yield "audit image of a face session", database, _seconds(settings.audit_image_ttl_seconds)
    yield "content of a webhook's delivery", database, f"{settings.webhook_replay_hours} hours"
    yield "accounts of the console: names, sealed", database, "until the tenant is erased"
    yield "answers to repeated calls, by a digest of the call", database, "24 hours of service"
    yield "digest of an ID photo, which counts attempts", database, "1 hour"
    yield "photos of a match or a search, frames of the camera", "memory of the server", "until the answer"
    yield "counts of calls, without people", database, f"{KEPT_HOURS // 24} days"
    days = f"{settings.audit_days} days" if settings.audit_days else "for ever"
    yield "audit trail: who did what to which id, without names", database, days
    yield "log of the server, with ids and addresses", _blank("where the log goes"), _blank("how long it is kept")


def _assessment(facts: Processing) -> Iterator[str]:
    rules = facts.rules
    rule = f"level {rules.search_level} of 5" if rules.target_fpir is None else f"a target FPIR of {rules.target_fpir}"
    yield "## Part 2: data protection impact assessment (GDPR Art. 35)\n"
    yield "### Description\n"
    yield (
        "The server compares faces by templates (vectors of numbers), searches galleries, and checks in a face session "
        f"whether a live person is present. Model pack: {_text(facts.pack)}. A search reports a person from {rule}. "
        f"Liveness mode: {rules.liveness_mode}. Several faces in a photo: {rules.face_policy}.\n"
    )
    yield _blank("the process around it: who is asked for a face, when, and what follows from each result") + "\n"
    yield "### Necessity and proportionality (Art. 35(7)(b))\n"
    for question in (
        "why a face is needed, and which milder means were considered",
        "how people can do without it, and what they lose then",
        "whether a decision rests on the result alone (Art. 22), and who reviews it",
    ):
        yield f"- {_blank(question)}"
    yield f"- {_informed(rules)}"
    yield "\n### Risks and measures (Art. 35(7)(c) and (d))\n"
    yield from _table(("risk", "measures of Likeness", "likelihood and severity that remain"), _risks(facts))
    yield "\n### Consultation and decision\n"
    for part in (
        "advice of the data protection officer (Art. 35(2))",
        "views of the people concerned (Art. 35(9)), or why not",
        "prior consultation of the authority (Art. 36), or why not",
        "decision, name, date, and the date of the next review",
    ):
        yield f"- {_blank(part)}"


def _informed(rules: TenantSettings) -> str:
    asked = _blank("how people are informed (Art. 13), and by which text")
    said = [_text(each) for each in (rules.privacy_name, rules.privacy_purpose, rules.privacy_url) if each]
    return f"The capture page says who asks and why: {'; '.join(said)}. {asked}" if said else asked


def _risks(facts: Processing) -> Iterator[tuple[str, str, str]]:
    open_end = _blank("your judgement")
    measures = {
        "theft of templates or photos": _security(facts.settings),
        "a wrong match: a person is taken for another": "Each level promises a measured false match rate, and a search "
        "states its own. docs/accuracy.md has the figures, and their limits by group and kind of photo.",
        "a wrong non-match: a person is turned away": "Refused photos name the reason. docs/accuracy.md has the rates.",
        "an attack with a picture, a mask or an injected camera": "Liveness checks, measured on simulated attempts "
        "only: docs/liveness.md says what is missed.",
        "unequal error rates between groups of people": "likeness evaluate --groups measures them on your own photos.",
        "use for another purpose": "Permissions for each client, purposes in entries and results, and an audit trail "
        "of searches, enrolments and views.",
        "data are kept too long": _ends(facts),
        "people cannot use their rights": "likeness tenant export-person, erasure by a call, signed receipts.",
        "change of data behind the server's back": "MACs over the rows that decide, a roll of each gallery, and a "
        "chained, signed audit trail.",
    }
    yield from ((risk, measure, open_end) for risk, measure in measures.items())


def _ends(facts: Processing) -> str:
    if facts.rules.entry_days is None:
        return "Sessions, results and images end by themselves. The tenant's entries have no end: set entryDays."
    return f"Sessions, results and images end by themselves, new entries after {facts.rules.entry_days} days at most."


def _purposes(counts: GalleryCounts) -> str:
    named = [f"{_text(purpose)} ({number:,} entries)" for purpose, number in counts.purposes if purpose is not None]
    unnamed = sum(number for purpose, number in counts.purposes if purpose is None)
    if unnamed:
        named.append(f"{unnamed:,} entries name no purpose")
    if len(counts.purposes) == MOST_PURPOSES:
        named.append("further purposes of fewer entries are not listed")
    return "; ".join((*named, _blank("the purposes of matches, searches and face sessions")))


def _basis(counts: GalleryCounts) -> str:
    return (
        f"{counts.with_consent:,} of {counts.entries:,} entries have a reference to a consent or another basis. "
        + _blank("the basis, the ground of Art. 9(2), and where consents are kept")
    )


def _recipients(facts: Processing) -> str:
    who = [f"client {_text(name)} ({', '.join(scopes)})" for name, scopes in facts.clients]
    if facts.webhook_host:
        who.append(f"webhook at {_text(facts.webhook_host)}: results of face sessions")
    return "; ".join((*who, _blank("who is behind each of them, and who else gets the data")))


def _security(settings: Settings) -> str:
    beside = " It lies beside the data: keep it apart." if settings.key_is_beside_the_data else ""
    speaks = "TLS in the server" if settings.tls_certificate_file else f"TLS {_blank('where it ends')}"
    return (
        "Templates, photos and results are sealed with AES-256-GCM under data keys of the tenant. References, "
        f"metadata, consents and purposes are not. The master key: {_text(settings.key_place)}.{beside} {speaks}. "
        f"Egress {settings.egress}: {_EGRESS[settings.egress]} See docs/security.md and docs/standards.md."
    )


def _place(address: str) -> str:
    """Say where an address of a store leads, without its credentials."""
    parts = urlsplit(address)
    scheme = parts.scheme.partition("+")[0]
    if scheme in {"sqlite", "file"}:
        kind = "file" if scheme == "sqlite" else "folder"
        return f"the {kind} {_text(parts.path.replace('//', '/'))} of this machine"
    return f"{_text(scheme)} at {_text(parts.hostname or 'an unnamed host')}"


def _seconds(seconds: int) -> str:
    return f"{seconds // 60} minutes" if seconds % 60 == 0 else f"{seconds} seconds"


def _blank(what: str) -> str:
    return f"{BLANK}{what}]"


def _text(value: str) -> str:
    """Escape a text, so that Markdown shows it as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(value.split()))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (heads, ["---"] * len(heads), *rows):
        yield f"| {' | '.join(row)} |"
