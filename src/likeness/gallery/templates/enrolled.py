"""The template of one enrolled person, for a comparison with one photo (1:1)."""

from collections.abc import Mapping

from sqlalchemy import Connection, select

from likeness.engine.base import Template
from likeness.engine.packs.identity import PackIdentity
from likeness.engine.workers import FaceWorkers
from likeness.errors import NotFound, ServiceUnavailable, SetupError
from likeness.gallery.packs import Packs
from likeness.gallery.repository import GalleryRepository
from likeness.gallery.templates.sealing import open_templates
from likeness.gallery.views import Galleries
from likeness.store.database import Database
from likeness.store.tables import gallery_templates
from likeness.tenants.service import Tenant


class EnrolledTemplates:
    """Reads the templates of single entries from the database."""

    def __init__(self, packs: Packs, galleries: Galleries, database: Database) -> None:
        self._packs = packs
        self._galleries = galleries
        self._database = database

    async def of(self, tenant: Tenant, entry_id: str) -> tuple[FaceWorkers, Template]:
        """Give the template (d,) of one of the tenant's entries, and the workers of its pack.

        It is of the pack that the gallery answers with. For an entry that stayed behind it is of an older pack, as in a
        search. Raises NotFound when there is no such entry, or a search could not find it either: it was altered, or
        its template is damaged. Raises ServiceUnavailable.
        """
        view = await self._galleries.view(tenant)
        sealed = await self._database.read(lambda c: _sealed_templates(c, tenant.id, entry_id))
        # Not ``view.searched``: shards name an older pack only after a search.
        pack = next((pack for pack in (view.pack, *sorted(sealed)) if pack in sealed), None)
        if pack is not None:
            await self._load(pack)
            size = self._packs.engine(pack).pack.template_size
            opened = open_templates(tenant, pack, [entry_id], [sealed[pack]], size)
            if not opened.damaged:
                return self._packs.workers(pack), opened.rows[0]
        raise NotFound("There is no such entry.")

    async def _load(self, pack: PackIdentity) -> None:
        try:
            await self._packs.demand(pack)
        except SetupError as error:
            raise ServiceUnavailable(f"The gallery is not served: {error}.") from error


def _sealed_templates(connection: Connection, tenant_id: str, entry_id: str) -> Mapping[PackIdentity, bytes]:
    """Give an entry's sealed templates by pack. There are none for an entry that was altered."""
    entry = GalleryRepository(tenant_id).find(connection, entry_id)
    if entry is None:
        return {}
    columns = gallery_templates.c
    rows = connection.execute(select(columns.pack, columns.sealed_template).where(columns.entry_key == entry.key))
    return {PackIdentity(pack): sealed for pack, sealed in rows}
