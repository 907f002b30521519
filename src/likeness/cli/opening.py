"""How a command opens the deployment: with a record in the audit trail."""

from likeness.audit.actions import Action
from likeness.audit.actor import ACTOR, OPERATOR
from likeness.cli.lazy import COMMAND
from likeness.deployment import Deployment
from likeness.deployment import open_deployment as open_unrecorded
from likeness.settings import Settings


def open_deployment(settings: Settings) -> Deployment:
    """Open the deployment for the present command, on which the operator acts from now on. Raises SetupError.

    The record has the command's name without its arguments, which may be names.
    """
    deployment = open_unrecorded(settings)
    ACTOR.set(OPERATOR)
    deployment.trail.record(Action.COMMAND, COMMAND.get())
    return deployment
