"""The liveness mode of a session, and whether this server can judge it."""

from likeness.engine.base import Engine
from likeness.errors import InvalidInput
from likeness.liveness.attempt.script import LivenessMode
from likeness.sessions.schemas import SessionOptions
from likeness.tenants.schemas import TenantSettings

NO_PASSIVE_MODEL = (
    "The liveness mode `passive` needs a passive model, and none is installed here: every person would be refused."
)
"""The message for a session and for a tenant's setting. Each adds a remedy."""


def choose_mode(options: SessionOptions, settings: TenantSettings) -> LivenessMode:
    """Give the mode of a session: its own, else the tenant's."""
    usual = LivenessMode(settings.liveness_mode)
    if options.liveness_mode is not None:
        return LivenessMode(options.liveness_mode)
    if options.active_liveness is None:
        return usual
    if not options.active_liveness:
        return LivenessMode.PASSIVE
    return LivenessMode.ACTIVE if usual is LivenessMode.PASSIVE else usual


def check_mode(mode: LivenessMode, engine: Engine) -> None:
    """Raise InvalidInput for a mode that refuses every person on this server."""
    if mode is LivenessMode.PASSIVE and not engine.judges_passively:
        raise InvalidInput(f"{NO_PASSIVE_MODEL} Open the session with `livenessMode` active or strict.")
