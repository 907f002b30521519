"""The refusal of connections, where the settings need none."""

import logging

from likeness.kit.sandbox.filters import forbid_sockets
from likeness.settings import Settings

log = logging.getLogger("likeness")


def close_egress(settings: Settings) -> None:
    """Let the kernel refuse every connection from now on, if the settings forbid webhooks and name only local stores.

    The process must have ``PR_SET_NO_NEW_PRIVS``. Where the kernel cannot refuse, a warning says so.
    """
    if settings.egress != "none":
        return
    if settings.needs_network:
        log.warning(
            "LIKENESS_EGRESS=none: the server opens no connection but to its database, image store, key provider and "
            "Ray. As these are on the network, the kernel does not enforce it: limit the process with a firewall, too"
        )
    elif fault := forbid_sockets():
        log.warning("LIKENESS_EGRESS=none is not enforced by the kernel: %s", fault)
    else:
        log.info("the kernel refuses every connection from this process")
