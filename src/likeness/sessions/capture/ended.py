"""The end of a session that this server reads from the database."""

from typing import Any

from likeness.errors import SessionExpiredOrNotFound
from likeness.sessions.capture.messages import end_message
from likeness.sessions.repository import SessionRow
from likeness.sessions.schemas import SessionOptions
from likeness.sessions.service import SessionService
from likeness.sessions.states import EndError, SessionState
from likeness.tenants.service import Tenant


async def stored_end(
    sessions: SessionService, tenant: Tenant, row: SessionRow, *, returns_data: bool
) -> dict[str, Any]:
    """Give the message of a stored end, with the browser's copy of its result while there is one."""
    try:
        jws = await sessions.browser_copy(tenant, await sessions.result(tenant, row.id))
    except SessionExpiredOrNotFound:
        jws = None
    error = {
        SessionState.SUCCEEDED: None,
        SessionState.FAILED: EndError.TOO_MANY_ATTEMPTS,
        SessionState.CANCELLED: EndError.USER_CANCEL,
    }.get(SessionState(row.state), EndError.EXPIRED)
    return end_message(SessionOptions.stored(row.options), jws, error, returns_data=returns_data)
