"""The model packs in memory: the deployment's own pack, and those that a gallery answers with or moves to."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from likeness.engine.base import Detection, Engine, Image, Template, Use
from likeness.engine.levels import Calibration
from likeness.engine.packs.identity import PackId, PackIdentity, id_of
from likeness.engine.policy import FacePolicy
from likeness.engine.source import PhotoSource
from likeness.engine.subject import choose_subject, rules_of
from likeness.engine.workers import FaceWorkers
from likeness.errors import FaceRefused, SetupError


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """One face: its templates by pack, and its quality (0..100). A pack that finds no face has no template."""

    templates: Mapping[PackIdentity, Template]
    quality: int


class Packs:
    """Engines by the identity that templates are bound to (``id@version``)."""

    def __init__(self, main: FaceWorkers, load: Callable[[PackId], Engine]) -> None:
        """Take the deployment's own pack, and a function that loads another pack by its id."""
        self.main = main.engine.pack.identity
        self._workers = {self.main: main}
        self._load = load

    def load(self, pack: PackId | PackIdentity) -> PackIdentity:
        """Load a pack by its id or its identity, if it is not loaded. Gives its identity. Blocks. Raises SetupError."""
        if (loaded := PackIdentity(pack)) in self._workers:
            return loaded
        engine = load_stored(self._load, pack)
        identity = engine.pack.identity
        self._workers.setdefault(identity, self._workers[self.main].of(engine))
        return identity

    async def demand(self, pack: PackIdentity) -> None:
        """Load a pack, if it is not loaded. Raises SetupError."""
        if pack not in self._workers:
            await asyncio.to_thread(self.load, pack)

    def engine(self, pack: PackIdentity) -> Engine:
        """Give the engine of a loaded pack."""
        return self._workers[pack].engine

    def workers(self, pack: PackIdentity) -> FaceWorkers:
        """Give the workers of a loaded pack."""
        return self._workers[pack]

    def calibration(self, pack: PackIdentity) -> Calibration:
        return self.engine(pack).calibration

    async def portrait(self, photo: bytes, source: PhotoSource | None, *, use: Use) -> tuple[bytes, Use]:
        """Give the photo to use, and the use that judges its quality.

        Of a document that is the cut portrait: the rest of it is not needed, and another look finds one face. Raises
        what :meth:`FaceWorkers.portrait` raises.
        """
        use, policy = rules_of(source, use, FacePolicy.LARGEST)
        if policy is FacePolicy.DOCUMENT:
            photo = (await self._workers[self.main].portrait(photo, policy=policy)).jpeg
        return photo, use

    async def analyse(self, photo: bytes, packs: Sequence[PackIdentity], *, use: Use, policy: FacePolicy) -> Probe:
        """Analyse a photo for several packs. The first pack judges its quality, and its errors are raised."""
        first, *others = packs
        face = await self._workers[first].analyse(photo, use=use, policy=policy)
        templates = {first: face.template}
        if others:
            image = await self._workers[first].executor.run(self.engine(first).decode, photo)
            templates |= await self.embed(image, others, policy=policy)
        return Probe(templates, face.quality.score)

    async def embed(
        self, image: Image, packs: Sequence[PackIdentity], *, policy: FacePolicy
    ) -> dict[PackIdentity, Template]:
        """Embed the subject of an image for each pack that finds it. The image was judged before."""
        found = {}
        for pack in packs:
            workers = self._workers[pack]
            template = await workers.executor.run(embed_subject, workers.engine, image, policy)
            if template is not None:
                found[pack] = template
        return found


def load_stored(load: Callable[[PackId], Engine], pack: PackId | PackIdentity) -> Engine:
    """Load a pack by its id or its identity. Blocks. Raises SetupError when another version is installed."""
    pack_id = id_of(pack)
    engine = load(pack_id)
    if pack not in {pack_id, engine.pack.identity}:
        raise SetupError(f"templates of the pack {pack} are stored, but version {engine.pack.version} is installed")
    return engine


def embed_subject(engine: Engine, image: Image, policy: FacePolicy) -> Template | None:
    """Give the template of an image's subject, of any quality. None when this pack finds no subject.

    Blocks.
    """
    try:
        return _embed_one(engine, image, policy)
    except FaceRefused:
        return None


def find_subject(engine: Engine, image: Image, policy: FacePolicy) -> Detection:
    """Detect the subject of an image. Blocks. Raises FaceRefused."""
    height, width = image.shape[:2]
    return choose_subject(engine.detect(image), (width, height), policy)


def _embed_one(engine: Engine, image: Image, policy: FacePolicy) -> Template:
    template: Template = engine.embed(image, [find_subject(engine, image, policy)])[0]
    return template
