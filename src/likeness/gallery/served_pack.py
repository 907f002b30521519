"""The choice of the model pack that a deployment serves, and its loading."""

import logging
from collections.abc import Collection
from dataclasses import dataclass

from likeness.deployment import Deployment
from likeness.engine.base import Engine
from likeness.engine.packs.identity import PackId, PackIdentity, id_of
from likeness.errors import SetupError
from likeness.gallery.pack_files import PackFiles
from likeness.gallery.reindex.repository import all_reindexes
from likeness.gallery.repository import answering_packs

log = logging.getLogger("likeness")
FACT = "pack"
AUTO = PackId("auto")


@dataclass(frozen=True, slots=True)
class Choice:
    """The pack to serve, by its id."""

    pack: PackId
    contradicts: bool = False
    """Whether the setting names this pack, but a gallery answers with another one."""


def choose_pack(
    setting: PackId, recorded: PackId | None, answering: Collection[PackIdentity], *, moving: bool
) -> Choice:
    """Choose by the setting, by the recorded pack, and by the packs that the galleries answer with.

    ``recorded`` is the id of the pack that the data was made with. ``answering`` has identities (``id@version``).
    ``moving`` is true while a re-index is open. A deployment follows its galleries. When all of them answer with
    another pack, it serves that pack if the setting names it. With ``auto`` it serves it when no re-index is open.
    """
    others = {id_of(pack) for pack in answering}
    if setting != AUTO:
        return Choice(setting, recorded not in {None, setting} and bool(others - {setting}))
    if recorded is None:
        return Choice(AUTO)
    return Choice(id_of(next(iter(answering))) if len(answering) == 1 and not moving else recorded)


def served_pack(deployment: Deployment) -> PackId:
    """Give the id of the pack that a start would serve, or ``auto`` when a start would still choose one."""
    return _choice(deployment, *_facts(deployment)).pack


def load_served_engine(deployment: Deployment) -> Engine:
    """Load the pack to serve, and record it.

    Raises SetupError when the settings name a pack but a gallery answers with another. Raises it also when another
    version of the galleries' pack is installed, or the weights cannot be loaded.
    """
    recorded, answering = _facts(deployment)
    choice = _choice(deployment, recorded, answering)
    if recorded and choice.contradicts:
        raise SetupError(
            f"this data was made with the pack {recorded['id']!r}, its galleries answer with "
            f"{', '.join(sorted(answering))}, but the settings name {choice.pack!r}. Templates of two packs cannot be "
            f"compared. Start with LIKENESS_PACK={recorded['id']}, move the galleries with `likeness gallery "
            f"reindex --pack {choice.pack}` and `likeness gallery cutover`, then start again."
        )
    engine = load_pack(deployment, choice.pack)
    identity = {"id": engine.pack.id, "version": engine.pack.version}
    if recorded and recorded["id"] == engine.pack.id and identity != recorded and answering - {engine.pack.identity}:
        raise SetupError(
            f"this data was made with version {recorded['version']} of the pack {recorded['id']!r}, but version "
            f"{engine.pack.version} is installed. Install {recorded['version']} again, give the new version its own "
            "pack id, and move the galleries to that pack with `likeness gallery reindex`."
        )
    if identity != recorded:
        if recorded:
            log.warning("the deployment's pack is now %s; before it was %s", engine.pack, recorded["id"])
        deployment.record(FACT, identity)
    return engine


def load_pack(deployment: Deployment, pack: PackId) -> Engine:
    """Load a pack by its id, without a comparison with the recorded pack. Raises SetupError."""
    files = PackFiles(deployment)
    if changed := files.check_at_start():
        raise SetupError(
            f"files in {files.folder} have changed since they were accepted: {', '.join(changed)}. They set the "
            "decision thresholds. Restore them, or accept them with `likeness packs verify PACK --accept`"
        )
    from likeness.engine.packs.loading import load_engine_by  # noqa: PLC0415  importing it takes a second

    return load_engine_by(deployment.settings, pack)


def serves_passively(deployment: Deployment) -> bool:
    """Whether the pack that a start would serve has a passive PAD model."""
    from likeness.engine.packs.loading import judges_passively  # noqa: PLC0415  as above

    return judges_passively(served_pack(deployment), deployment.settings.models_dir)


def _facts(deployment: Deployment) -> tuple[dict[str, str] | None, set[PackIdentity]]:
    """Give the recorded pack, and the identities of the packs that the galleries answer with."""
    return deployment.fact(FACT), deployment.database.read_now(answering_packs)


def _choice(deployment: Deployment, recorded: dict[str, str] | None, answering: set[PackIdentity]) -> Choice:
    moving = bool(deployment.database.read_now(all_reindexes))
    setting, made_with = PackId(deployment.settings.pack), PackId(recorded["id"]) if recorded else None
    return choose_pack(setting, made_with, answering, moving=moving)
