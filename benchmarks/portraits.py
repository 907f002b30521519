"""Portraits of documents: whether those of chips are still recognised, and whether that of an ID card is the one taken.

    python benchmarks/portraits.py [--quick] [--json PATH] [--faces DIR] [--photos 500] [--pack builtin] [--mirror DIR]

DIR has a folder of photos for each person. Two photos of each of several people are taken. Each is cut as a passport's portrait and stored as
a chip has it: 240 x 320 pixels, grey, JPEG 2000 of at most 15 kB. It is also printed on a simulated ID card, 1012 x 638 pixels: the portrait
takes a quarter of the width, beside it are lines of text, a pattern, and a pale second portrait of 45 % of the size. The card is turned by each
quarter of a circle. A portrait is compared with the person's other photo, as it is.
"""

import argparse
import io
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from figures import Report, add_mirror
from likeness.engine.base import Engine, Template, Use
from likeness.engine.packs.identity import PackId
from likeness.engine.packs.loading import load_engine
from likeness.engine.policy import FacePolicy
from likeness.engine.portrait import cut_portrait, take_portrait
from likeness.engine.source import PhotoSource
from likeness.engine.subject import rules_of
from likeness.errors import LikenessError
from likeness.evaluation.data_set import read_folder
from likeness.evaluation.recognition.conditions import choose_photos

CHIP_BYTES = 15_000
CARD_WIDTH, CARD_HEIGHT = 1012, 638
PORTRAIT_WIDTH = CARD_WIDTH // 4
LEFT, TOP = 60, 170
GHOST_LEFT, GHOST_TOP = 780, 300
GHOST_SIZE, GHOST_STRENGTH = 0.45, 0.45
INK = (70, 60, 55)
LEVEL = 3

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A photo of a person, as it is and as a portrait."""

    person: int
    template: Template
    portrait: Pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="40 photos; ends within a minute")
    parser.add_argument("--json", type=Path, help="write the figures here")
    faces = Path(__file__).parents[2] / "shared" / "data" / "faces" / "lfw"
    parser.add_argument("--faces", type=Path, default=faces, help="photos, a folder for each person")
    parser.add_argument("--photos", type=int, default=500, help="number of photos")
    parser.add_argument("--pack", default="builtin")
    add_mirror(parser)
    options = parser.parse_args()
    report = Report(f"portraits of documents, {options.pack}")
    if not options.faces.is_dir():
        report.notes.append(f"Nothing is measured: there is no folder {options.faces}. Name one with --faces.")
        report.publish(options.json)
        return
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        engine = load_engine(PackId(options.pack), models_dir=Path(folder), mirror=options.mirror, jpeg_2000=True)
        samples = list(read_samples(engine, options.faces, 40 if options.quick else options.photos))
        report.add("photos with a usable face", len(samples), "")
        originals: list[Template | None] = [sample.template for sample in samples]
        plain = acceptance(engine, samples, originals)
        report.add(f"originals: TAR at level {LEVEL}", 100 * plain, "%")
        measure_chips(report, engine, samples, plain)
        measure_cards(report, engine, samples)
    if not report.publish(options.json):
        sys.exit(1)


def read_samples(engine: Engine, faces: Path, most: int) -> Iterator[Sample]:
    """Give the photos of which a portrait can be made: those with a usable face."""
    data_set = read_folder(faces)
    for index in choose_photos(data_set, most):
        photo = (data_set.folder / data_set.photos[index]).read_bytes()
        try:
            face = engine.analyse(photo, use=Use.PROBE)
        except LikenessError:
            continue
        portrait = cut_portrait(engine.decode(photo), face.detection.landmarks, 240)
        yield Sample(data_set.person_of[index], face.template, portrait)


def measure_chips(report: Report, engine: Engine, samples: list[Sample], plain: float) -> None:
    chips = [stored_on_chip(sample.portrait) for sample in samples]
    report.add("chips: bytes, mean", float(np.mean([len(chip) for chip in chips])), "B")
    found = [template_of(engine, chip, PhotoSource.CHIP) for chip in chips]
    report.at_most("chips: failure to acquire", 100 * sum(each is None for each in found) / len(found), "%", 1.0)
    accepted = acceptance(engine, samples, found)
    report.at_least(f"chips: TAR at level {LEVEL}", 100 * accepted, "%", 100 * plain - 2)


def measure_cards(report: Report, engine: Engine, samples: list[Sample]) -> None:
    taken, whole = 0, 0
    templates: list[Template | None] = []
    for number, sample in enumerate(samples):
        card = printed_card(sample.portrait, np.random.default_rng(number))
        for turns in range(4):
            photo = as_jpeg(np.ascontiguousarray(np.rot90(card, turns)))
            whole += is_main(engine, photo, turns, FacePolicy.LARGEST)
            taken += is_main(engine, photo, turns, FacePolicy.DOCUMENT)
            if turns == number % 4:
                templates.append(template_of(engine, photo, PhotoSource.ID_DOCUMENT))
    cards = 4 * len(samples)
    report.at_least("ID cards: the main portrait is taken", 100 * taken / cards, "%", 98.0)
    report.add("ID cards: it is taken without a source", 100 * whole / cards, "%")
    report.add("ID cards: failure to acquire", 100 * sum(each is None for each in templates) / len(templates), "%")
    report.add(f"ID cards: TAR at level {LEVEL}", 100 * acceptance(engine, samples, templates), "%")


def acceptance(engine: Engine, samples: list[Sample], templates: list[Template | None]) -> float:
    """Give the fraction of comparisons with the person's other photo that reach the level. No template reaches none."""
    threshold = engine.calibration.threshold(LEVEL)
    reached = [
        template is not None and float(template @ other.template) >= threshold
        for sample, template in zip(samples, templates, strict=True)
        for other in samples
        if other is not sample and other.person == sample.person
    ]
    return float(np.mean(reached))


def template_of(engine: Engine, photo: bytes, source: PhotoSource) -> Template | None:
    use, policy = rules_of(source, Use.ID_PHOTO, FacePolicy.LARGEST)
    try:
        return engine.analyse(photo, use=use, policy=policy).template
    except LikenessError:
        return None


def is_main(engine: Engine, photo: bytes, turns: int, policy: FacePolicy) -> bool:
    """Whether the portrait that is cut is the main one of a card, turned anticlockwise by so many quarters."""
    try:
        box = take_portrait(engine, photo, policy=policy).face.box
    except LikenessError:
        return False
    x, y = box.x + box.width / 2, box.y + box.height / 2
    width, height = (CARD_WIDTH, CARD_HEIGHT) if turns % 2 == 0 else (CARD_HEIGHT, CARD_WIDTH)
    for _ in range(turns):  # undo one quarter at a time
        x, y, width, height = turned_back(x, y, width, height)
    return LEFT <= x <= LEFT + PORTRAIT_WIDTH and TOP <= y <= TOP + PORTRAIT_WIDTH * 4 // 3


def turned_back(x: float, y: float, width: int, height: int) -> tuple[float, float, int, int]:
    """Turn a place in a picture of this size clockwise by a quarter."""
    return height - 1 - y, x, height, width


def stored_on_chip(portrait: Pixels) -> bytes:
    """Store a portrait in grey as JPEG 2000, with the least compression that keeps to the size."""
    grey = Pillow.fromarray(cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY))
    ratio = grey.width * grey.height / CHIP_BYTES
    while True:
        out = io.BytesIO()
        grey.save(out, "JPEG2000", quality_mode="rates", quality_layers=[ratio], irreversible=True)
        if len(out.getvalue()) <= CHIP_BYTES:
            return out.getvalue()
        ratio *= 1.02


def printed_card(portrait: Pixels, generator: np.random.Generator) -> Pixels:
    """Paint an ID card with a portrait, its ghost image, text and a pattern."""
    rows, columns = np.mgrid[:CARD_HEIGHT, :CARD_WIDTH]
    waves = np.sin(columns / 9 + 3 * np.sin(rows / 40)) * 6 + np.sin(rows / 7 + 2 * np.sin(columns / 55)) * 5
    tint = generator.integers(190, 235, 3)
    card = (tint + waves[:, :, None] + generator.normal(0, 2, (CARD_HEIGHT, CARD_WIDTH, 1))).clip(0, 255)
    card = np.ascontiguousarray(card.astype(np.uint8))
    cv2.putText(card, "SPECIMEN IDENTITY CARD", (60, 90), cv2.FONT_HERSHEY_SIMPLEX, 1.4, INK, 3)
    for line in range(6):
        text = "".join(generator.choice(list("ABCDEFGHIKLMNOPRSTUVWXYZ 0123456789"), 18))
        cv2.putText(card, text, (360, 200 + 55 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.8, INK, 2)
    main = cv2.resize(portrait, (PORTRAIT_WIDTH, PORTRAIT_WIDTH * 4 // 3), interpolation=cv2.INTER_AREA)
    card[TOP : TOP + main.shape[0], LEFT : LEFT + main.shape[1]] = main
    ghost = cv2.resize(portrait, None, fx=GHOST_SIZE, fy=GHOST_SIZE, interpolation=cv2.INTER_AREA)
    under = card[GHOST_TOP : GHOST_TOP + ghost.shape[0], GHOST_LEFT : GHOST_LEFT + ghost.shape[1]]
    under[:] = (GHOST_STRENGTH * ghost + (1 - GHOST_STRENGTH) * under).astype(np.uint8)
    return card


def as_jpeg(image: Pixels) -> bytes:
    return bytes(cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1])


if __name__ == "__main__":
    main()
