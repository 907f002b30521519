"""A client's own settings."""

import ipaddress
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from likeness.web.addresses import PeerAddress

ClientNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


Thumbprint = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]


class Scores(StrEnum):
    """What answers say of a comparison: its score and level, or only its level."""

    FULL = "full"
    LEVEL = "level"


class ClientSettings(BaseModel):
    """What a client may do, apart from its permissions. An unset member has the default."""

    model_config = ConfigDict(frozen=True)

    keys: Annotated[tuple[dict[str, str], ...], Field(max_length=5)] = Field(
        (), description="Public keys (JWK) whose owner needs no secret (see ``likeness.access.assertions``)."
    )
    certificates: Annotated[tuple[Thumbprint, ...], Field(max_length=5)] = Field(
        (), description="SHA-256 of the client's TLS certificates (RFC 8705). With any, its tokens need one of them."
    )
    scores: Scores = Field(
        Scores.FULL, description="Whether answers have the score of a comparison, or only its level."
    )
    networks: Annotated[tuple[ClientNetwork, ...], Field(max_length=100)] | None = Field(
        None, description="Networks from which the client may call. By default all."
    )

    def allows(self, address: PeerAddress | None) -> bool:
        """Whether the client may call from an address. An unknown address is in no network."""
        return self.networks is None or (address is not None and any(address in each for each in self.networks))
