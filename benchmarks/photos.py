"""What a photo may cost: the time of photos that show nobody beside a portrait's, and of the costliest photos of all.

    python benchmarks/photos.py [--quick] [--json PATH] [--photos DIR ...]

Everybody who may call can send any photo, so none may cost much more than a usual one. Each photo is analysed on one thread; a figure is the
least processor time of several runs. The portrait beside it has the same format and about as many pixels. Photos of at most 5 MiB are taken
from each folder DIR and the folders below it. Others are made here: noise, texture, stripes, one colour, text, and pictures tiled with faces;
and the largest photos of their kind that are let in.

Needs the group `demo` (photos).
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from engine import load, portrait_pixels, stored
from figures import Report
from likeness.cli.demo.photos import DemoPhotos, load_photos
from likeness.engine.base import Use
from likeness.engine.photo.decoding import read_header
from likeness.engine.pipeline import PackEngine
from likeness.errors import LikenessError, NoFace

MOST_PHOTO_BYTES = 5 << 20
MOST_OF_A_PORTRAIT, MOST_MILLISECONDS = 3.0, 500.0
PACK = "builtin"
"""All packs find faces in the same way, and this one recognises them in the least time."""
SIZES = ((250, 250), (640, 480), (1632, 1224), (4032, 3024))
LEAST_PORTRAIT = 250 * 250
"""Pixels of the smallest portrait: a smaller one shows no face that is good enough."""
SHOWN = 5
FACE = slice(20, 240), slice(140, 320)
"""The place of the astronaut's face in the photo of it."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Cost:
    """What the analysis of a photo took, in milliseconds, and what the portrait beside it took."""

    name: str
    milliseconds: float
    shows_nobody: bool
    portrait: float

    @property
    def ratio(self) -> float:
        return self.milliseconds / self.portrait


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer sizes and runs; ends within a minute")
    parser.add_argument("--json", type=Path, help="write the figures here")
    shared = Path(__file__).parents[2] / "shared" / "data" / "hostile"
    parser.add_argument(
        "--photos",
        type=Path,
        nargs="+",
        default=[shared] if shared.is_dir() else [],
        metavar="DIR",
        help="folders with more photos",
    )
    options = parser.parse_args()
    cv2.setNumThreads(1)
    report = Report("photos that cost the most, on one thread")
    runs, sizes = (2, SIZES[:3]) if options.quick else (3, SIZES)
    with tempfile.TemporaryDirectory() as folder:
        measure(report, load(Path(folder), PACK, None), load_photos(), sizes, options.photos, runs)
    if not report.publish(options.json):
        sys.exit(1)


def measure(
    report: Report,
    engine: PackEngine,
    demo: DemoPhotos,
    sizes: tuple[tuple[int, int], ...],
    folders: list[Path],
    runs: int,
) -> None:
    beside = cache(lambda kind, pixels: least(engine, portrait(demo, kind, pixels), runs)[0])

    def cost(name: str, photo: bytes) -> Cost:
        milliseconds, shows_nobody = least(engine, photo, runs)
        try:
            header = read_header(photo)
        except LikenessError:
            return Cost(name, milliseconds, False, np.inf)
        return Cost(name, milliseconds, shows_nobody, beside(header.format, header.width * header.height))

    def costs(photos: Iterator[tuple[str, bytes]]) -> list[Cost]:
        return [cost(name, photo) for name, photo in photos if len(photo) <= MOST_PHOTO_BYTES]

    without = {"made": costs(made(sizes))}
    if folders:
        without["found"] = costs(found(folders))
    groups = without | {"crowds": costs(crowds(demo, sizes)), "the largest": costs(largest())}
    for group, some in groups.items():
        nobody = [each for each in some if each.shows_nobody]
        if group in without:
            title = f"{PACK}, {group}: {len(nobody)} photos that show nobody"
            ratio = float(np.percentile([each.ratio for each in nobody], 99))
            report.at_most(f"{title}, over a portrait, p99", ratio, "", MOST_OF_A_PORTRAIT)
        costliest = max(some, key=lambda each: each.milliseconds)
        title = f"{PACK}, {group}: the costliest of {len(some)} photos"
        report.at_most(title, costliest.milliseconds, "ms of CPU", MOST_MILLISECONDS)
    everything = [each for some in groups.values() for each in some]
    worst = sorted(everything, key=lambda each: -each.milliseconds)[:SHOWN]
    worst += sorted((each for each in everything if each.shows_nobody), key=lambda each: -each.ratio)[:SHOWN]
    for each in dict.fromkeys(worst):
        report.beside(f"{PACK}: {each.name}", each.milliseconds, "ms of CPU", ("a portrait", each.portrait))


def least(engine: PackEngine, photo: bytes, runs: int) -> tuple[float, bool]:
    """Return the least time of several runs, in milliseconds, and whether the photo shows nobody."""
    taken, shows_nobody = [], False
    for _ in range(runs):
        began = time.thread_time()
        try:
            engine.analyse(photo, use=Use.PROBE)
        except NoFace:
            shows_nobody = True
        except LikenessError:
            pass
        taken.append(time.thread_time() - began)
    return min(taken) * 1000, shows_nobody


def portrait(demo: DemoPhotos, kind: str, pixels: int) -> bytes:
    """Return a portrait of about so many pixels, as JPEG or PNG."""
    width = round((max(pixels, LEAST_PORTRAIT) * 4 / 3) ** 0.5)
    return encoded(portrait_pixels(demo, (width, width * 3 // 4)), kind)


def encoded(bgr: Pixels, kind: str = "JPEG") -> bytes:
    extension, options = (".png", []) if kind == "PNG" else (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 60])
    return bytes(cv2.imencode(extension, bgr, options)[1])


def made(sizes: tuple[tuple[int, int], ...]) -> Iterator[tuple[str, bytes]]:
    """Make photos that show nobody."""
    random = np.random.default_rng(1)
    for width, height in sizes:
        size = f"{width}x{height}"
        noise = random.integers(0, 256, (height, width, 3), np.uint8)
        rough = random.integers(0, 256, (height // 16, width // 16, 3), np.uint8)
        texture = np.asarray(cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
        stripes = np.full((height, width, 3), 230, np.uint8)
        stripes[:: max(height // 60, 2)] = 20
        text = np.full((height, width, 3), 240, np.uint8)
        for line in range(1, height // 24):
            cv2.putText(text, "Likeness " * 40, (4, 24 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (20, 20, 20), 1)
        plain = np.full((height, width, 3), 120, np.uint8)
        pictures = {"noise": noise, "texture": texture, "stripes": stripes, "text": text, "one colour": plain}
        for name, picture in pictures.items():
            for kind in ("JPEG", "PNG"):
                yield f"{name}, {size}, {kind}", encoded(picture, kind)


def crowds(demo: DemoPhotos, sizes: tuple[tuple[int, int], ...]) -> Iterator[tuple[str, bytes]]:
    """Make photos tiled with faces, upright or lying."""
    face = np.asarray(cv2.imdecode(np.frombuffer(demo.astronaut, np.uint8), cv2.IMREAD_COLOR))[FACE]
    for width, height in sizes:
        for side in (20, 32, 60):
            small = np.asarray(cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
            for name, one in (("upright", small), ("lying", np.rot90(small))):
                tiled = np.tile(one, (height // side + 1, width // side + 1, 1))[:height, :width]
                yield f"faces of {side} pixels, {name}, {width}x{height}", encoded(np.ascontiguousarray(tiled))


def largest() -> Iterator[tuple[str, bytes]]:
    """Make photos of the largest sizes that are let in, of at most 5 MiB, whose decoding takes long."""
    random = np.random.default_rng(2)
    rows, columns = np.mgrid[0:4096, 0:6144]
    ramp = ((columns // 64 + rows // 97) % 256).astype(np.uint8)
    layer = np.dstack([ramp, ramp[::-1], ramp[:, ::-1], ramp])
    layer[:100] = random.integers(0, 256, (100, 6144, 4), np.uint8)
    yield "PNG of 25 megapixels with transparency", stored(Pillow.fromarray(layer), "PNG")
    yield (
        "PNG of 25 megapixels with a transparent colour",
        stored(Pillow.fromarray(layer[:, :, :3]), "PNG", transparency=(1, 2, 3)),
    )
    yield "PNG of 16 bits, 16 megapixels", encoded(layer[:4000, :4000, :3].astype(np.uint16) * 257, "PNG")  # type: ignore[arg-type]
    coarse = random.integers(0, 256, (768, 1024, 3), np.uint8)
    wide = Pillow.fromarray(np.asarray(cv2.resize(coarse, (8192, 6144)), np.uint8))
    yield "progressive JPEG of 50 megapixels", stored(wide, "JPEG", quality=30, progressive=True)
    yield (
        "progressive JPEG of 12 megapixels",
        stored(wide.crop((0, 0, 4000, 3000)), "JPEG", quality=75, progressive=True),
    )
    yield "JPEG of 50 megapixels", stored(wide, "JPEG", quality=30)
    yield "JPEG in inks", stored(wide.crop((0, 0, 4096, 3072)).convert("CMYK"), "JPEG", quality=50)


def found(folders: list[Path]) -> Iterator[tuple[str, bytes]]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.stat().st_size <= MOST_PHOTO_BYTES:
                yield str(path.relative_to(folder)), path.read_bytes()


if __name__ == "__main__":
    main()
