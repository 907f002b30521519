"""``likeness gallery dedupe``."""

import asyncio
import contextlib
import csv
import heapq
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TaskID

from likeness.cli.arguments import RequiredTenant
from likeness.cli.measuring.photos import check_outputs
from likeness.cli.progress import progress_bar
from likeness.deployment import Deployment, open_deployment
from likeness.engine.base import Engine
from likeness.engine.photo.thumbnail import face_thumbnail
from likeness.errors import LikenessError, NotFound, SetupError
from likeness.gallery.bulk.exporting import refuse_present, spreadsheet_text, written_whole
from likeness.gallery.duplicates.page import PairMember, ShownPair, render_duplicates
from likeness.gallery.duplicates.pairs import Pair, Templates, pairs, read_templates
from likeness.gallery.packs import find_subject, load_stored
from likeness.gallery.repository import Entry, GalleryRepository
from likeness.gallery.served_pack import load_pack
from likeness.settings import Settings
from likeness.store.images import ImageStore
from likeness.tenants.service import Tenant

_LOOKED_UP_AT_ONCE = 400
_Write = Callable[[Iterable[object]], object]


def dedupe(
    tenant: RequiredTenant,
    level: Annotated[int, typer.Option(min=1, max=5, help="Least match level of a pair.")] = 5,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write all pairs to this file.", show_default=False)
    ] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", help="Write a page of faces side by side to this file.", show_default=False)
    ] = None,
    pictures: Annotated[
        int, typer.Option(min=1, max=5000, help="Most pairs on the page, those that score highest.")
    ] = 200,
) -> None:
    """Find every two entries of a gallery that look like one person: all are compared with all, and nothing is changed.

    A gallery of N compares N²/2 pairs, so expect false ones: at level 5 (one in a million) 10,000 entries give about 50. Runs beside
    a server, on its own copy of the templates. To part from an entry, erase it through the API.

    Example: likeness gallery dedupe --tenant acme --csv pairs.csv --html pairs.html
    """
    check_outputs(csv_file, html_file)
    refuse_present(csv_file, html_file)
    with closing(open_deployment(Settings())) as deployment:
        owner = deployment.tenants.by_name(tenant)
        packs = deployment.database.read_now(GalleryRepository(owner.id).packs)
        if packs is None:
            raise NotFound(f"The gallery of {owner.name!r} is empty.")
        engines: dict[str, Engine] = {}

        def size_of(pack: str) -> int:
            engines[pack] = load_stored(partial(load_pack, deployment), pack)
            return engines[pack].pack.template_size

        groups = deployment.database.read_now(lambda c: read_templates(c, owner, packs.pack, size_of))
        search = _Search(deployment, owner, engines, level)
        best = search.run(groups, csv_file, pictures)
        if html_file:
            shown = asyncio.run(search.picture(best))
            compared = sum(len(group.keys) for group in groups)
            page = render_duplicates(owner.name, packs.pack, level, shown, found=search.found, compared=compared)
            with written_whole(html_file) as file:
                file.write(page)
    Console().print(f"{search.found:,} pairs reach level {level}")


class _Search:
    def __init__(self, deployment: Deployment, tenant: Tenant, engines: dict[str, Engine], level: int) -> None:
        self.found = 0
        self._deployment = deployment
        self._tenant = tenant
        self._engines = engines
        self._level = level

    def run(self, groups: list[Templates], csv_file: Path | None, pictures: int) -> list[Pair]:
        """Find all pairs and write them; gives those that score highest."""
        best: list[tuple[float, int, int, str]] = []
        with progress_bar() as bar, _table(csv_file) as write:
            for group in groups:
                engine = self._engines[group.pack]
                task = bar.add_task(f"comparing {len(group.keys):,} entries, {group.pack}", total=len(group.keys))
                threshold = engine.calibration.threshold(self._level)
                found = pairs(group, threshold, partial(_advance, bar, task))
                while chunk := list(islice(found, _LOOKED_UP_AT_ONCE)):
                    self.found += len(chunk)
                    entries = self._entries(chunk) if csv_file else {}
                    for pair in chunk:
                        first, second = entries.get(pair.first), entries.get(pair.second)
                        if first and second:
                            reached = engine.calibration.level(pair.score)
                            write((*_names(first), *_names(second), f"{pair.score:.4f}", reached, pair.pack))
                        item = (pair.score, pair.first, pair.second, pair.pack)
                        if len(best) < pictures:
                            heapq.heappush(best, item)
                        else:
                            heapq.heappushpop(best, item)
        return [Pair(first, second, score, pack) for score, first, second, pack in sorted(best, reverse=True)]

    async def picture(self, best: list[Pair]) -> list[ShownPair]:
        """Cut the faces of pairs out of their stored photos."""
        with contextlib.closing(ImageStore(self._deployment.settings.images_address)) as images:
            entries = self._entries(best)
            shown = []
            for pair in best:
                if pair.first in entries and pair.second in entries:
                    engine = self._engines[pair.pack]
                    first = await self._side(images, engine, entries[pair.first])
                    second = await self._side(images, engine, entries[pair.second])
                    reached = engine.calibration.level(pair.score)
                    rate = engine.calibration.false_match_rate(reached)
                    shown.append(ShownPair(pair.score, reached, rate, (first, second)))
            return shown

    async def _side(self, images: ImageStore, engine: Engine, entry: Entry) -> PairMember:
        stored = None
        if entry.image_id:
            with contextlib.suppress(LikenessError, SetupError):  # a pair without a picture is told all the same
                stored = await images.get(self._tenant.id, entry.image_id, self._tenant.cipher)
        face = _face(engine, stored, self._tenant) if stored else None
        return PairMember(entry.id, entry.external_id, face)

    def _entries(self, found: list[Pair]) -> dict[int, Entry]:
        """Give the entries of pairs by key; who was erased meanwhile is left out."""
        keys = list(set(chain.from_iterable((pair.first, pair.second) for pair in found)))
        return self._deployment.database.read_now(lambda c: GalleryRepository(self._tenant.id).find_keys(c, keys))


def _face(engine: Engine, photo: bytes, tenant: Tenant) -> str | None:
    try:
        image = engine.decode(photo)
        return face_thumbnail(image, find_subject(engine, image, tenant.settings.face_policy).box)
    except LikenessError:
        return None


@contextlib.contextmanager
def _table(target: Path | None) -> Iterator[_Write]:
    if target is None:
        yield lambda _row: None
        return
    with written_whole(target) as file:
        write = csv.writer(file, lineterminator="\n").writerow
        write(("first", "firstExternalId", "second", "secondExternalId", "score", "matchLevel", "model"))
        yield write


def _advance(bar: Progress, task: TaskID, done: int) -> None:
    bar.update(task, completed=done)


def _names(entry: Entry) -> tuple[str, str]:
    return entry.id, spreadsheet_text(entry.external_id or "")
