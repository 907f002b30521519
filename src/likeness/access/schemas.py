"""A client's own settings."""

import ipaddress
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from likeness.web.addresses import PeerAddress

ClientNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class ClientSettings(BaseModel):
    """What a client may do, apart from its permissions. An unset member has the default."""

    model_config = ConfigDict(frozen=True)

    networks: Annotated[tuple[ClientNetwork, ...], Field(max_length=100)] | None = Field(
        None, description="Networks from which the client may call. By default all."
    )

    def allows(self, address: PeerAddress | None) -> bool:
        """Whether the client may call from an address. An unknown address is in no network."""
        return self.networks is None or (address is not None and any(address in each for each in self.networks))
