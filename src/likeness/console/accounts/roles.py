"""What a person of a tenant may do in the console."""

from enum import StrEnum


class Role(StrEnum):
    """A role. Each may do all that the roles before it may."""

    VIEWER = "viewer"
    """Sees sessions, usage, clients and the audit trail, and compares photos."""
    REVIEWER = "reviewer"
    """Also sees the people of the gallery, and searches it."""
    ADMINISTRATOR = "administrator"
    """Also erases people, and makes, changes and disables clients."""

    def includes(self, other: "Role") -> bool:
        """Whether a person with this role may do what another role may."""
        order = list(Role)
        return order.index(self) >= order.index(other)
