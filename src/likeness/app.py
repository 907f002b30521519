"""The composition root: it builds the components by the settings, and the ASGI application of the components."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from fastapi import FastAPI

from likeness import documentation, health
from likeness.access import endpoints as token_endpoints
from likeness.access.requires import AccessComponents
from likeness.access.tokens import Tokens
from likeness.administration import endpoints as admin
from likeness.administration.composition import AdministrationComponents, compose_administration
from likeness.console import endpoints as pages
from likeness.console.composition import ConsoleComponents, compose_console
from likeness.deployment import Deployment
from likeness.engine.analysts.base import Analysts
from likeness.engine.base import Engine
from likeness.engine.workers import FaceWorkers
from likeness.gallery import endpoints as gallery_endpoints
from likeness.gallery.composition import compose_gallery
from likeness.kit.executors import SizedExecutor
from likeness.match import endpoints as match_endpoints
from likeness.match.service import Matcher
from likeness.metrics import MetricsPort, ServerMetrics
from likeness.openapi import describer
from likeness.rotation.resealing import Resealing
from likeness.sessions import endpoints as session_endpoints
from likeness.sessions import result_endpoints as info
from likeness.sessions.capture import endpoints as page
from likeness.sessions.composition import compose_sessions
from likeness.store.sharing.holding import LeaseHolder
from likeness.usage.counting import Usage
from likeness.web import http
from likeness.web.framework import make_application
from likeness.web.hosts import KnownHosts
from likeness.web.pagination import Cursors
from likeness.web.proxies import Proxies
from likeness.web.quota import Limits
from likeness.web.request_context import BodyPace, RequestContext

log = logging.getLogger("likeness")
CALLS = (token_endpoints, match_endpoints, gallery_endpoints, session_endpoints, info, admin, page, pages, health)


@dataclass(frozen=True, kw_only=True)
class Components(
    http.BodyComponents,
    AccessComponents,
    match_endpoints.MatchComponents,
    gallery_endpoints.GalleryComponents,
    session_endpoints.SessionComponents,
    AdministrationComponents,
    ConsoleComponents,
    health.HealthComponents,
):
    """The components that the endpoints and the server need (see ``likeness.web.components``)."""

    begin_stop: tuple[Callable[[], None], ...]
    """What the event loop calls when the server begins to stop: it refuses waiting photos, and releases attempts."""


def create_app(deployment: Deployment, engine: Engine, analysts: Analysts | None = None) -> FastAPI:
    """Build the application on an open deployment. The caller closes the deployment and the analysts."""
    settings, clock = deployment.settings, deployment.clock
    signer = deployment.signing_keys.signer()
    photos = SizedExecutor("photo", workers=settings.photos_at_once)
    faces = FaceWorkers(engine, photos, analysts)
    limits = Limits.of(settings, clock)
    tokens = Tokens(
        deployment.clients,
        signer,
        clock,
        issuer=settings.origin,
        ttl_seconds=settings.token_ttl_seconds,
        failures_per_minute=settings.token_failures_per_minute,
        quota=limits.client,
    )
    gallery = compose_gallery(deployment, faces)
    usage = Usage(deployment.database, clock)
    console = compose_console(deployment, signer)
    sessions = compose_sessions(deployment, faces, gallery.service, signer, usage)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        holder = LeaseHolder(deployment.database)
        forever = (
            gallery.upkeep.load(),
            gallery.upkeep.watch(),
            gallery.upkeep.delete_photos(),
            deployment.follow(signer, limits),
            usage.keep(),
            holder.while_held("gallery upkeep", gallery.keep),
            holder.while_held("re-indexing", gallery.reindexer.run),
            *sessions.chores(holder),
            holder.while_held("audit", deployment.keep_trail),
            holder.while_held("data keys", Resealing(deployment, gallery.images).run),
        )
        chores = [asyncio.create_task(chore) for chore in forever]
        try:
            yield
        finally:
            gallery.upkeep.stop()
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            await sessions.close()
            await usage.stop()
            console.visits.close()
            photos.close()
            gallery.close()

    app = make_application(lifespan, {token_endpoints.OAuthFault: token_endpoints.handle_oauth_fault})
    app.add_middleware(KnownHosts, names=settings.host_names)
    app.add_middleware(RequestContext, pace=BodyPace.of(settings), origin=settings.origin, note=usage.note_call)
    admission = http.make_admission(settings)
    if settings.metrics_port is not None:
        metrics = ServerMetrics(deployment, engine, gallery.held, admission, faces.analysts)
        app.add_middleware(MetricsPort, port=settings.metrics_port, metrics=metrics)  # the outermost: it counts nothing
    app.state.components = Components(
        body_limits=http.BodyLimits(settings.max_image_bytes),
        admission=admission,
        tokens=tokens,
        clients=deployment.clients,
        proxies=Proxies(settings.proxies, settings.certificate_header),
        tenants=deployment.tenants,
        limits=limits,
        trail=deployment.trail,
        matcher=Matcher(faces, gallery.enrolled),
        gallery=gallery.service,
        cursors=Cursors(deployment.derived_key("cursor")),
        sessions=sessions.service,
        results=sessions.results,
        captures=sessions.captures,
        console=console,
        administration=compose_administration(deployment, engine, sessions.sender, signer, usage),
        held=gallery.held,
        begin_stop=(photos.refuse_waiting, sessions.captures.stop),
    )
    for calls in CALLS:
        app.include_router(calls.router)
    app.include_router(documentation.router(app, settings.origin))
    app.mount("/static", page.StaticAssets())
    app.openapi = describer(app, origin=settings.origin)  # type: ignore[method-assign]  # FastAPI's documented way
    return app
