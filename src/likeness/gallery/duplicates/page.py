"""An HTML page of entries that look alike, as pairs side by side. It needs no other file."""

from collections.abc import Sequence
from dataclasses import dataclass

from likeness.engine.packs.identity import PackIdentity
from likeness.web.pages import load_page


@dataclass(frozen=True, slots=True)
class PairMember:
    """One entry of a pair. ``face`` is a data URL, or None when there is no photo or no face in it."""

    entry_id: str
    external_id: str | None
    face: str | None


@dataclass(frozen=True, slots=True)
class ShownPair:
    """A pair, the level that its score reaches, and the false match rate of that level."""

    score: float
    level: int
    false_match_rate: float
    sides: tuple[PairMember, PairMember]


def render_duplicates(
    tenant: str, pack: PackIdentity, level: int, shown: Sequence[ShownPair], *, found: int, compared: int
) -> str:
    """Render the page. ``found`` is the number of all pairs, and the page may show fewer."""
    page = load_page("likeness.gallery.duplicates", "duplicates.html")
    return page.render(tenant=tenant, pack=pack, level=level, pairs=shown, found=found, compared=compared)
