"""A client's own settings."""

import ipaddress
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from likeness.web.addresses import PeerAddress

ClientNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


IssuerText = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Thumbprint = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]


class Scores(StrEnum):
    """What answers say of a comparison: its score and level, or only its level."""

    FULL = "full"
    LEVEL = "level"


class ClientSettings(BaseModel):
    """What a client may do, apart from its permissions. An unset member has the default."""

    model_config = ConfigDict(frozen=True)

    keys: Annotated[tuple[dict[str, str], ...], Field(max_length=20)] = Field(
        (), description="Public keys (JWK) whose owner needs no secret (see ``likeness.access.assertions``)."
    )
    issuer: IssuerText | None = Field(
        None, description="Who signs JWTs for the client with the keys, as `iss` has it. By default the client itself."
    )
    subject: IssuerText | None = Field(None, description="The client's name at its issuer, as `sub` has it.")
    certificates: Annotated[tuple[Thumbprint, ...], Field(max_length=5)] = Field(
        (), description="SHA-256 of the client's TLS certificates (RFC 8705). With any, its tokens need one of them."
    )
    scores: Scores = Field(
        Scores.FULL, description="Whether answers have the score of a comparison, or only its level."
    )
    networks: Annotated[tuple[ClientNetwork, ...], Field(max_length=100)] | None = Field(
        None, description="Networks from which the client may call. By default all."
    )

    @model_validator(mode="after")
    def _name_both(self) -> Self:
        if (self.issuer is None) != (self.subject is None):
            raise ValueError("an issuer needs a subject, and a subject an issuer")
        return self

    def allows(self, address: PeerAddress | None) -> bool:
        """Whether the client may call from an address. An unknown address is in no network."""
        return self.networks is None or (address is not None and any(address in each for each in self.networks))
