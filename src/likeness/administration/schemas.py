"""The requests and replies of the administration's calls."""

from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from likeness.access.clients import ClientCredentials
from likeness.access.repository import ClientRow
from likeness.access.schemas import ClientSettings, Scores
from likeness.access.scopes import Scope
from likeness.audit.actions import Action
from likeness.audit.records import TrailRecord
from likeness.gallery.schemas import Reference
from likeness.kit.clock import timestamp
from likeness.sessions.repository import SessionRow
from likeness.sessions.schemas import SessionOptions
from likeness.sessions.states import AttemptFailure, SessionState
from likeness.tenants.schemas import TenantSettings
from likeness.tenants.service import LONGEST_NAME
from likeness.usage.counting import HOUR_SECONDS, UsageKind
from likeness.usage.repository import Amount, UsageKey
from likeness.web.pagination import CURSOR_PATTERN
from likeness.web.wire import EXAMPLE_ID, Time, Uuid, WireModel, example
from likeness.webhooks.repository import Delivery, DeliveryState

LONGEST_SECRET_DAYS = 3650
MOST_NETWORKS = 100
Name = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)]
NetworkText = Annotated[str, StringConstraints(max_length=64)]
Scopes = Annotated[list[Scope], Field(min_length=1, max_length=len(Scope), description="The client's permissions.")]
SecretDays = Annotated[float, Field(gt=0, le=LONGEST_SECRET_DAYS)]
_NETWORKS = "Networks or addresses from which the client may call. By default all."
_SECRET_DAYS = "Days until the secret ends. By default it has no end."  # noqa: S105  a description


class OwnSettings(TenantSettings):
    """A tenant's settings. A member that is left out gets its default."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
        json_schema_extra={"example": {"facePolicy": "single", "searchLevel": 4, "livenessMode": "active"}},
    )

    gallery_limit: int = Field(10_000_000, ge=1, description="Largest number of entries. Only the operator changes it.")

    @classmethod
    def of(cls, settings: TenantSettings) -> Self:
        return cls.model_validate(settings.model_dump())


class LegalHoldRequest(WireModel):
    """Why an entry is under a legal hold."""

    model_config = example(reference="case-17")

    reference: Reference = Field(description="Your reference to the reason, such as the number of a case.")


class SettingsReply(WireModel):
    """The tenant and its settings."""

    tenant_id: Uuid
    name: str
    settings: OwnSettings


class SecretReply(WireModel):
    """One of a client's secrets, without the secret itself."""

    secret_id: str
    created_at: Time
    expires_at: Time | None


class ClientReply(WireModel):
    """A client of the tenant."""

    client_id: Uuid
    name: str
    scopes: list[Scope]
    scores: Scores
    networks: list[str] | None = Field(description=_NETWORKS)
    has_keys: bool = Field(description="Whether it has public keys or certificates, which the operator sets.")
    disabled: bool
    secrets: list[SecretReply]

    @classmethod
    def of(cls, row: ClientRow) -> Self:
        settings = row.settings or ClientSettings()
        return cls(
            client_id=row.id,
            name=row.name,
            scopes=[Scope(scope) for scope in row.scopes],
            scores=settings.scores,
            networks=None if settings.networks is None else [str(each) for each in settings.networks],
            has_keys=bool(settings.keys or settings.certificates),
            disabled=not row.enabled,
            secrets=[
                SecretReply(
                    secret_id=secret.id,
                    created_at=timestamp(secret.created_at),
                    expires_at=None if secret.expires_at is None else timestamp(secret.expires_at),
                )
                for secret in row.secrets
            ],
        )


class ClientList(WireModel):
    """The tenant's clients, the oldest first."""

    clients: list[ClientReply]


class ClientChange(WireModel):
    """What a client may do. It replaces what was before."""

    model_config = example(scopes=[Scope.FACE_MATCH], scores=Scores.LEVEL, networks=["10.1.0.0/16"])

    scopes: Scopes
    scores: Scores = Scores.FULL
    networks: Annotated[list[NetworkText], Field(max_length=MOST_NETWORKS)] | None = Field(None, description=_NETWORKS)


class ClientRequest(ClientChange):
    """A client to make."""

    model_config = example(name="shop", scopes=[Scope.FACE_MATCH, Scope.FACE_SEARCH], secretDays=365)

    name: Name
    secret_days: SecretDays | None = Field(None, description=_SECRET_DAYS)


class SecretRequest(WireModel):
    """A new secret for a client."""

    model_config = example(overlapHours=24, secretDays=365)

    overlap_hours: Annotated[float, Field(ge=0, le=24 * 90)] = Field(
        0, description="Hours for which the older secrets still work."
    )
    secret_days: SecretDays | None = Field(None, description=_SECRET_DAYS)


class CredentialsReply(WireModel):
    """A client's id and its new secret, which no call shows again."""

    model_config = example(clientId=EXAMPLE_ID, clientSecret="…")

    client_id: Uuid
    client_secret: str

    @classmethod
    def of(cls, credentials: ClientCredentials) -> Self:
        return cls(client_id=credentials.client_id, client_secret=credentials.client_secret)


class WebhookRequest(WireModel):
    """Where the server posts results to."""

    model_config = example(url="https://backend.example.com/face", headers={"X-Api-Key": "…"}, rotateSecret=False)

    url: Annotated[str, StringConstraints(max_length=2048)]
    headers: dict[
        Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=2048)]
    ] = Field(default_factory=dict, max_length=20, description="Headers to send, such as credentials.")
    rotate_secret: bool = Field(default=False, description="Make a new signing secret. The old one stops at once.")


class WebhookReply(WireModel):
    """The webhook. The values of its headers stay hidden."""

    url: str
    headers: list[str] = Field(description="The names of the headers.")
    secret: str | None = Field(None, description="The signing secret, only where it is new.")


class WebhookTestReply(WireModel):
    """The receiver's answer to a test call."""

    delivered: bool
    status: int | None
    error: str | None


class DeliveryReply(WireModel):
    """A call to the webhook, made or to be made."""

    delivery_id: Uuid
    session_id: Uuid
    state: DeliveryState
    tries: int
    last_status: int | None
    last_error: str | None
    created_at: Time
    next_try_at: Time | None
    can_replay: bool

    @classmethod
    def of(cls, row: Delivery) -> Self:
        return cls(
            delivery_id=row.id,
            session_id=row.session_id,
            state=DeliveryState(row.state),
            tries=row.tries,
            last_status=row.last_status,
            last_error=row.last_error,
            created_at=timestamp(row.created_at),
            next_try_at=None if row.next_try_at is None else timestamp(row.next_try_at),
            can_replay=row.sealed_claims is not None,
        )


class DeliveryList(WireModel):
    """Deliveries, the newest first."""

    deliveries: list[DeliveryReply]


class UsageReply(WireModel):
    """How often something happened in one hour, and how long it took altogether."""

    hour: Time
    kind: UsageKind
    name: str
    count: int
    seconds: float

    @classmethod
    def of(cls, key: UsageKey, amount: Amount) -> Self:
        return cls(
            hour=timestamp(key.hour * HOUR_SECONDS),
            kind=UsageKind(key.kind),
            name=key.name,
            count=amount.count,
            seconds=round(amount.seconds, 3),
        )


class UsageList(WireModel):
    """The counts of the last hours, the oldest first. Hours without any are left out."""

    counts: list[UsageReply]


class AuditReply(WireModel):
    """A record of the audit trail. ``who`` is a client's id, a person of the console, ``operator`` or ``server``."""

    time: Time
    who: str
    action: Action
    object: str | None
    outcome: str
    request_id: str | None

    @classmethod
    def of(cls, record: TrailRecord) -> Self:
        return cls(
            time=timestamp(record.time),
            who=record.who,
            action=Action(record.action),
            object=record.object,
            outcome=record.outcome,
            request_id=record.request_id,
        )


class AuditPage(WireModel):
    """One page of the audit trail, the newest record first."""

    records: list[AuditReply]
    next: Annotated[str, Field(pattern=CURSOR_PATTERN)] | None = Field(
        description="Cursor of the next page; null on the last page."
    )


class SessionSummary(WireModel):
    """A face session: its state, and the attempts that failed."""

    session_id: Uuid
    client_id: Uuid
    state: SessionState
    failed_attempts: list[AttemptFailure]
    max_attempts: int
    minimum_match_level: int
    one_to_n: str
    model: str
    created_at: Time
    expires_at: Time

    @classmethod
    def of(cls, row: SessionRow) -> Self:
        options = SessionOptions.stored(row.options)
        return cls(
            session_id=row.id,
            client_id=row.client_id,
            state=SessionState(row.state),
            failed_attempts=[AttemptFailure(failure) for failure in row.failures],
            max_attempts=options.max_attempts,
            minimum_match_level=options.minimum_match_level,
            one_to_n=options.one_to_n,
            model=row.pack,
            created_at=timestamp(row.created_at),
            expires_at=timestamp(row.expires_at),
        )


class SessionList(WireModel):
    """Face sessions, the newest first."""

    sessions: list[SessionSummary]

    @classmethod
    def of(cls, rows: Iterable[SessionRow]) -> Self:
        return cls(sessions=[SessionSummary.of(row) for row in rows])
