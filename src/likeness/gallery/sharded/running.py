"""A shard that runs: it opens the deployment by itself, and follows the galleries until it is closed."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

from likeness.deployment import Deployment, open_deployment
from likeness.errors import ServiceUnavailable, SetupError
from likeness.gallery.repository import Part
from likeness.gallery.sharded.following import GalleryFollower
from likeness.gallery.sharded.shard import NumberedAnswer, Shard, ShardQuery, ShardStatus
from likeness.index.exact import index_maker
from likeness.settings import Settings
from likeness.store.sharing.listening import Listener
from likeness.tenants.service import Tenant

log = logging.getLogger("likeness.gallery")
SEARCHES_AT_ONCE = 16
OPENING_SECONDS = 2.0
"""Time between two tries to open the deployment."""


class RunningShard:
    """A shard with its own database, listener and thread.

    It needs the deployment's master key, and PostgreSQL. It holds templates in memory, whatever
    ``LIKENESS_TEMPLATES`` says. While the database cannot be reached, it answers what it can, and tries again.
    """

    def __init__(self, settings: Settings, part: Part, *, limit_bytes: int) -> None:
        """Start. Searches wait until the galleries are loaded. Raises SetupError without a PostgreSQL database."""
        if not (settings.database_url or "").startswith("postgresql"):
            raise SetupError("a shard follows a PostgreSQL database: set LIKENESS_DATABASE_URL")
        self._settings = settings
        self._deployment: Deployment | None = None
        self._follower: GalleryFollower | None = None
        make_index = index_maker(threads=settings.scan_threads, scans_at_once=settings.scans_at_once)
        self._shard = Shard(
            part,
            self._open_tenant,
            limit_bytes=limit_bytes,
            close_tenant=self._close_tenant,
            make_index=make_index,
        )
        self._searches = ThreadPoolExecutor(SEARCHES_AT_ONCE, "shard-search")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shard-follower", daemon=True)
        self._thread.start()

    @property
    def status(self) -> ShardStatus:
        follower = self._follower
        return replace(self._shard.status, loaded=follower is not None and follower.caught_up)

    def search(self, query: ShardQuery, *, seconds: float) -> NumberedAnswer:
        """Answer like ``Shard.search``, and raise its errors."""
        return self._shard.search(query, seconds=seconds)

    def search_all(self, queries: Sequence[ShardQuery], *, seconds: float) -> list[NumberedAnswer | Exception]:
        """Give the answer of each query, or its error. Queries of one gallery share a scan."""

        def answer(query: ShardQuery) -> NumberedAnswer | Exception:
            try:
                return self._shard.search(query, seconds=seconds)
            except (ServiceUnavailable, ValueError) as error:
                return error

        return [answer(queries[0])] if len(queries) == 1 else list(self._searches.map(answer, queries))

    def stop(self) -> None:
        """Ask the thread to end. It ends within some seconds."""
        self._stop.set()

    def close(self) -> None:
        """Stop, and wait for the end."""
        self.stop()
        self._thread.join()
        self._searches.shutdown()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with closing(open_deployment(self._settings)) as deployment:
                    self._follow(deployment)
            except (SetupError, ServiceUnavailable) as error:
                log.error("a shard cannot open the deployment; trying again in %s s: %s", OPENING_SECONDS, error)  # noqa: TRY400  the operator must act
            except Exception:
                log.exception("a shard failed; trying again in %s s", OPENING_SECONDS)
            self._stop.wait(OPENING_SECONDS)

    def _follow(self, deployment: Deployment) -> None:
        self._deployment = deployment
        with closing(Listener(deployment.database.url)) as listener:
            follower = self._follower = GalleryFollower(deployment.database, listener, self._shard)
            follower.follow_all()
            follower.run(self._stop)

    def _open_tenant(self, tenant_id: str) -> Tenant:
        assert self._deployment is not None
        return self._deployment.tenants.by_id(tenant_id)

    def _close_tenant(self, tenant_id: str) -> None:
        assert self._deployment is not None
        self._deployment.tenants.forget(tenant_id)
