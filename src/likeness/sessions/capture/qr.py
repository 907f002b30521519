"""The capture URL as a QR code."""

from functools import lru_cache
from itertools import groupby

import segno

QUIET_MODULES = 4
"""Width of the empty border (ISO/IEC 18004 §5.3.8)."""


@lru_cache(maxsize=256)
def draw_qr(url: str) -> dict[str, int | str]:
    """Give the code as SVG path data of its dark modules, in a square of ``size`` units with the quiet zone.

    The answer is cached: do not change it.
    """
    modules = [list(row) for row in segno.make(url, error="l", micro=False).matrix]
    path = []
    for y, row in enumerate(modules, QUIET_MODULES):
        x = QUIET_MODULES
        for dark, run in groupby(row):
            width = len(list(run))
            if dark:
                path.append(f"M{x} {y}h{width}v1h-{width}z")
            x += width
    return {"size": len(modules) + 2 * QUIET_MODULES, "path": "".join(path)}
