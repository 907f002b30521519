"""The operator's requests to re-index galleries. The server carries them out (see ``likeness.gallery.reindex.job``)."""

from collections.abc import Mapping, Sequence
from functools import partial

from sqlalchemy import Connection

from likeness.engine.packs.identity import PackId, id_of
from likeness.errors import Conflict, InvalidInput, NotFound
from likeness.gallery.reindex.repository import REQUESTS_IN, Reindex, ReindexRepository, ReindexRequest, ReindexState
from likeness.gallery.repository import GalleryRepository
from likeness.kit.clock import Clock
from likeness.store.database import Database
from likeness.tenants.service import Tenant

NEXT_STEP: Mapping[ReindexState, str] = {
    ReindexState.WAITING: "the server begins by itself, or `likeness gallery abandon`",
    ReindexState.FAILED: "correct the error and run `likeness gallery reindex` again, or `likeness gallery abandon`",
    ReindexState.FILLING: "the server continues by itself, or `likeness gallery abandon`",
    ReindexState.READY: "`likeness gallery cutover`, or `likeness gallery abandon`",
    ReindexState.CUT_OVER: "`likeness gallery finish --orphans keep|drop`, or `likeness gallery rollback`",
    ReindexState.FINISHING: "the server finishes by itself",
    ReindexState.ABANDONING: "the server finishes by itself",
}
"""The next step in each state, or the operator's choices."""
_FULFILLED: Mapping[ReindexRequest, frozenset[ReindexState]] = {
    ReindexRequest.CUT_OVER: frozenset({ReindexState.CUT_OVER, ReindexState.FINISHING}),
    ReindexRequest.ROLL_BACK: frozenset({ReindexState.READY}),
    ReindexRequest.KEEP_ORPHANS: frozenset({ReindexState.FINISHING}),
    ReindexRequest.DROP_ORPHANS: frozenset({ReindexState.FINISHING}),
    ReindexRequest.ABANDON: frozenset({ReindexState.ABANDONING}),
}
"""The states in which a request is fulfilled. A request for all tenants skips galleries in these states."""


class ReindexRequests:
    """Writes the operator's requests into the database.

    A request for a ``named`` tenant must be possible in its state. A request for all tenants skips galleries in which
    it is fulfilled.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def find(self, tenants: Sequence[Tenant]) -> dict[Tenant, Reindex]:
        """Give the re-indexes of those tenants that have one."""
        found = {tenant: self._database.read_now(ReindexRepository(tenant.id).find) for tenant in tenants}
        return {tenant: reindex for tenant, reindex in found.items() if reindex}

    def ask(self, tenants: Sequence[Tenant], pack: PackId, *, named: bool) -> list[Tenant]:
        """Request the move of galleries to another pack. Give the tenants whose galleries move, now or already.

        Raises Conflict when a gallery moves to another pack, or when a named one needs no move. Raises NotFound when no
        gallery needs to move.
        """
        asked = [tenant for tenant in tenants if self._may_move(tenant, pack, named=named)]
        if not asked:
            raise NotFound(f"No gallery is left to move to {pack}. A new gallery answers with the pack of all others.")
        for tenant in asked:
            self._database.write_now(partial(self._begin, rows=ReindexRepository(tenant.id), pack=pack))
        return asked

    def wish(self, tenants: Sequence[Tenant], wish: ReindexRequest, *, named: bool) -> list[Tenant]:
        """Request the next step of the galleries that move. Give the tenants whose galleries take it.

        Raises NotFound when no gallery moves. Raises InvalidInput when all have taken the step, or one is in a state
        without this step. After an error, no request was written.
        """
        found = self.find(tenants)
        if not found:
            raise NotFound(
                "No gallery is being moved to another pack. Begin with `likeness gallery reindex --pack PACK`."
            )
        moving = {tenant: each for tenant, each in found.items() if named or each.state not in _FULFILLED[wish]}
        if not moving:
            raise InvalidInput("All galleries have taken this step already. See `likeness gallery status`.")
        for tenant, reindex in moving.items():
            if wish not in REQUESTS_IN[reindex.state]:
                raise InvalidInput(f"The gallery of {tenant.name!r} is {reindex.state}: {NEXT_STEP[reindex.state]}")
        for tenant in moving:
            change = partial(ReindexRepository(tenant.id).change, now=self._clock.now(), wish=wish, error=None)
            self._database.write_now(change)
        return list(moving)

    def _may_move(self, tenant: Tenant, pack: PackId, *, named: bool) -> bool:
        """Whether a gallery must be moved, or moves already. Raises Conflict."""
        present = self._database.read_now(ReindexRepository(tenant.id).find)
        if present is None or present.state is ReindexState.FAILED:
            packs = self._database.read_now(GalleryRepository(tenant.id).packs)
            if packs is not None and id_of(packs.pack) != pack:
                return True
            if named:
                state = "is empty" if packs is None else f"answers with {packs.pack}"
                raise Conflict(f"The gallery of {tenant.name!r} {state} already.")
            return False
        same = id_of(present.pack) == pack
        if same and not named and present.state in {ReindexState.CUT_OVER, ReindexState.FINISHING}:
            return False
        if not same or present.state not in {ReindexState.WAITING, ReindexState.FILLING, ReindexState.READY}:
            raise Conflict(
                f"The gallery of {tenant.name!r} is being moved to {present.pack} ({present.state}); "
                "see `likeness gallery status`."
            )
        return True

    def _begin(self, connection: Connection, rows: ReindexRepository, pack: PackId) -> None:
        """Request one gallery's re-index, unless it is under way."""
        present = rows.find(connection)
        if present is None or present.state is ReindexState.FAILED:
            rows.remove(connection)
            rows.ask(connection, pack, now=self._clock.now())


def is_at_rest(reindex: Reindex) -> bool:
    """Whether the server waits for the operator's next request."""
    return reindex.wish is None and reindex.state in {
        ReindexState.READY,
        ReindexState.CUT_OVER,
        ReindexState.FAILED,
    }
