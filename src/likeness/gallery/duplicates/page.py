"""Pairs of entries that look alike, side by side, as one HTML page that needs nothing but itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from likeness.web.pages import load_page


@dataclass(frozen=True, slots=True)
class PairMember:
    """One entry of a pair: who, and the face as a data URL where the photo is still stored."""

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
    tenant: str, pack: str, level: int, shown: Sequence[ShownPair], *, found: int, compared: int
) -> str:
    """Draw the pairs; ``found`` counts all of them, of which the page may show fewer."""
    page = load_page("likeness.gallery.duplicates", "duplicates.html")
    return page.render(tenant=tenant, pack=pack, level=level, pairs=shown, found=found, compared=compared)
