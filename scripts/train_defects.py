"""Make ``src/likeness/engine/quality/defects.onnx``, the network that finds the defects of a face image.

It takes photos of many people and spoils them on purpose: out of focus, covered, negative and so on. The network learns
to recognise the defect in the crop on which quality is measured. The person's identity plays no part. The people that
``likeness evaluate --conditions`` uses are left out. So its figures are about people that the network has never seen.

It needs PyTorch: ``uv pip install torch``. Half an hour on two cores.

Example: python scripts/train_defects.py ../shared/data/faces/lfw --mirror ../shared/data/models
"""

import argparse
import itertools
import multiprocessing
import tempfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from torch import nn

from likeness.engine.alignment import Points
from likeness.engine.base import Image
from likeness.engine.conversion.graph import Graph
from likeness.engine.packs.identity import PackId
from likeness.engine.packs.loading import load_engine
from likeness.engine.pipeline import PackEngine
from likeness.engine.policy import FacePolicy
from likeness.engine.quality.defects import DEFECTS, MODEL
from likeness.engine.quality.measures import CROP_SIDE, cut_crop
from likeness.engine.subject import choose_subject
from likeness.errors import FaceRefused
from likeness.evaluation.data_set import read_folder
from likeness.evaluation.recognition import treatments
from likeness.evaluation.recognition.conditions import PHOTOS, choose_photos
from likeness.evaluation.recognition.treatments import Treatment

SPOILED_PEOPLE = 700
"""People with one photo that is spoiled in every way. The photos of all others are used unchanged."""
ROUNDS, BATCH, RATE = 14, 256, 4e-3

Chance = np.random.Generator
Outline = NDArray[np.float64]
ALL = frozenset(DEFECTS)
_COLOURS = (
    (205, 216, 222), (38, 40, 46), (150, 190, 225), (240, 240, 240), (20, 20, 20), (200, 170, 150), (120, 30, 40), (60, 80, 140)
)  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """One treatment of a photo, and the answer that the network must learn for it."""

    treat: Treatment
    spoiled: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    """Defects for which every answer is accepted, because they are doubtful or no longer visible."""
    times: int = 1


def _between(treatment: Callable[..., Image], **ranges: tuple[float, float]) -> Treatment:
    """Give a treatment with a new random strength, within a range, each time."""

    def treat(image: Image, points: Points, chance: Chance) -> Image:
        return treatment(image, points, chance, **{name: chance.uniform(*ends) for name, ends in ranges.items()})

    return treat


def _light(least: float, most: float) -> Treatment:
    return lambda image, points, chance: treatments.exposed(
        image, points, chance, times=np.exp(chance.uniform(np.log(least), np.log(most)))
    )


def _jpeg(least: int, most: int) -> Treatment:
    return lambda image, points, chance: treatments.compressed(
        image, points, chance, quality=int(chance.integers(least, most + 1))
    )


def _stretch(*ranges: tuple[float, float]) -> Treatment:
    return lambda image, points, chance: treatments.stretched(
        image, points, chance, width=chance.uniform(*ranges[chance.integers(len(ranges))])
    )


def _side_light(image: Image, points: Points, chance: Chance) -> Image:
    angle = chance.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    middle, apart = points.mean(axis=0), treatments.between_the_eyes(points)
    along = ((columns - middle[0]) * np.cos(angle) + (rows - middle[1]) * np.sin(angle)) / apart
    dim = chance.uniform(0.15, 0.7)
    lit = dim + (1 - dim) / (1 + np.exp(-along * chance.uniform(1, 8)))
    return (image * lit[:, :, None]).astype(np.uint8)


def _tint(image: Image, _: Points, chance: Chance) -> Image:
    return (image * chance.uniform(0.6, 1.0, 3)).astype(np.uint8)


def _vivid(image: Image, points: Points, chance: Chance) -> Image:
    """Make colours, contrast and edges stronger, as phones do at night."""
    apart = treatments.between_the_eyes(points)
    values = image.astype(np.float32)
    plain = values.mean(axis=2, keepdims=True)
    values = plain + (values - plain) * chance.uniform(1, 2)
    values = 128 + (values - 128) * chance.uniform(1, 1.9) + chance.uniform(-40, 10)
    values += (values - cv2.GaussianBlur(values, (0, 0), apart / 20)) * chance.uniform(0, 2.5)
    return values.clip(0, 255).astype(np.uint8)


def _few_levels(image: Image, _: Points, chance: Chance) -> Image:
    levels = int(chance.integers(2, 4))
    return (image // (256 // levels) * (255 // (levels - 1))).clip(0, 255).astype(np.uint8)


def _crop(image: Image, points: Points, chance: Chance) -> Image:
    """Crop the photo near the eyes' outer corners, the brow or the chin: little of the face is lost."""
    apart = treatments.between_the_eyes(points)
    left, top = np.maximum(points.min(axis=0) - apart * chance.uniform((0.12, 0.3), (0.6, 0.9)), 0).astype(int)
    right, bottom = (points.max(axis=0) + apart * chance.uniform((0.12, 0.35), (0.6, 0.9))).astype(int)
    side = chance.integers(5)
    rows, columns = (
        slice(top if side in {0, 4} else 0, bottom if side in {1, 4} else None),
        slice(left if side in {2, 4} else 0, right if side in {3, 4} else None),
    )
    return np.ascontiguousarray(image[rows, columns])


def _colour(chance: Chance) -> tuple[int, ...]:
    return tuple(
        (np.array(_COLOURS[chance.integers(len(_COLOURS))]) + chance.normal(0, 12, 3)).clip(0, 255).astype(int).tolist()
    )


def _mask(chance: Chance) -> list[tuple[Outline, tuple[int, ...]]]:
    kind = chance.integers(10)
    if kind < 3:
        outline = np.array([(-0.6, 0.45), (0.6, 0.45), (0.55, 1.0), (0.2, 1.5), (-0.2, 1.5), (-0.55, 1.0)])
        outline = outline * (chance.uniform(0.9, 1.4), 1)
    elif kind < 5:  # a scarf
        edge = chance.uniform(0.3, 0.6)
        outline = np.array([(-1.5, edge), (1.5, edge), (1.6, 3), (-1.6, 3)])
    elif kind < 7:  # a hand
        turn = np.linspace(0, 2 * np.pi, 30)
        middle = (chance.uniform(-0.4, 0.4), chance.uniform(0.8, 1.2))
        outline = np.stack([np.cos(turn) * 0.7, np.sin(turn) * 0.5], axis=1) * chance.uniform(0.8, 1.2) + middle
    else:
        outline = np.array(treatments.MASK)
        outline = (outline - (0, 0.75)) * (chance.uniform(0.6, 1.05), chance.uniform(0.8, 1.15)) + (0, 0.75)
    return [(outline + chance.normal(0, 0.03, outline.shape) + (0, chance.normal(0, 0.06)), _colour(chance))]


def _glasses(chance: Chance) -> list[tuple[Outline, tuple[int, ...]]]:
    if chance.random() < 0.15:  # a bar
        high = chance.uniform(0.2, 0.42)
        return [(np.array([(-1.25, -high), (1.25, -high), (1.25, high), (-1.25, high)]), _colour(chance))]
    turn = np.linspace(0, 2 * np.pi, 40)
    cosine, sine, corner = np.cos(turn), np.sin(turn), 2 / chance.uniform(2, 4)
    lens = np.stack(
        [
            chance.uniform(0.3, 0.52) * np.sign(cosine) * np.abs(cosine) ** corner,
            0.04 + chance.uniform(0.2, 0.42) * np.sign(sine) * np.abs(sine) ** corner,
        ],
        axis=1,
    )
    black = tuple(chance.uniform(0, 70, 3).astype(int).tolist())
    bridge = np.array([(-0.12, -0.06), (0.12, -0.06), (0.12, 0.02), (-0.12, 0.02)])
    return [(lens - np.array([0.5, 0]), black), (lens + np.array([0.5, 0]), black), (bridge, black)]


def _half(chance: Chance) -> list[tuple[Outline, tuple[int, ...]]]:
    angle, edge = chance.uniform(-0.6, 0.6) + np.pi * chance.integers(2), chance.uniform(-0.25, 0.2)
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    outline = np.array([(-5 + edge, -5.5), (edge, -5.5), (edge, 5.5), (-5 + edge, 5.5)]) @ turn + (0, 0.5)
    return [(outline, ((128, 128, 128), (0, 0, 0), (255, 255, 255), _colour(chance))[chance.integers(4)])]


def _cover(
    *shapes: Callable[[Chance], list[tuple[Outline, tuple[int, ...]]]],
) -> Treatment:
    def cover(image: Image, points: Points, chance: Chance) -> Image:
        outlines = [outline for shape in shapes for outline in shape(chance)]
        return treatments.painted(image, points, chance, outlines, grain=chance.uniform(0, 8))

    return cover


def _frames(image: Image, points: Points, chance: Chance) -> Image:
    """Draw the frames of common spectacles, which are no defect."""
    drawn, apart = image.copy(), treatments.between_the_eyes(points)
    colour, thick = (
        tuple(chance.uniform(0, 120, 3).astype(int).tolist()),
        max(round(apart * chance.uniform(0.02, 0.08)), 1),
    )
    for eye in points[:2]:
        middle = (eye + chance.normal(0, 0.03, 2) * apart) * 16
        axes = chance.uniform((0.32, 0.22), (0.46, 0.38)) * apart * 16
        cv2.ellipse(
            drawn, middle.astype(int).tolist(), axes.astype(int).tolist(), 0, 0, 360, colour, thick, cv2.LINE_AA, 4
        )
    return drawn


def _named(*names: str) -> frozenset[str]:
    assert set(names) <= ALL, names
    return frozenset(names)


BLUR, BLOCKS, MOUTH, EYES, HALF, COLOUR, GLARE, STRETCH = (
    "Sharpness", "CompressionArtifacts", "MouthOcclusionPrevention", "EyesVisible", "FaceOcclusionPrevention", "NaturalColour",
    "OverExposurePrevention", "PixelAspectRatio",
)  # fmt: skip
VARIANTS = (
    Variant(treatments.TREATMENTS[treatments.AS_IT_IS]),
    Variant(_between(treatments.blurred, pixels=(0.3, 2.1)), times=2),
    Variant(_between(treatments.blurred, pixels=(3, 5)), _named(BLUR), _named(BLOCKS)),
    Variant(_between(treatments.blurred, pixels=(5, 9)), _named(BLUR), ALL - {BLUR}),
    Variant(_between(treatments.moved, pixels=(3, 7.5)), times=2),
    Variant(_between(treatments.moved, pixels=(10.5, 14)), _named(BLUR), _named(BLOCKS)),
    Variant(_between(treatments.moved, pixels=(14, 22)), _named(BLUR), ALL - {BLUR}),
    Variant(_between(treatments.pixelated, eyes_apart=(14, 20)), unknown=_named(BLUR, BLOCKS)),
    Variant(_between(treatments.pixelated, eyes_apart=(7, 10)), _named(BLOCKS), _named(BLUR)),
    Variant(_between(treatments.pixelated, eyes_apart=(4, 7)), _named(BLOCKS), ALL - {BLOCKS}),
    Variant(_between(treatments.small, eyes_apart=(9, 22)), times=2),
    Variant(_jpeg(2, 5), _named(BLOCKS), ALL - {BLOCKS}, times=2),
    Variant(_jpeg(8, 30), times=2),
    Variant(_light(1 / 60, 1 / 2), times=2),
    Variant(_light(1.3, 3)),
    Variant(_light(6, 14), _named(GLARE), ALL - {GLARE}, times=2),
    Variant(_between(treatments.noisy, grey_levels=(8, 30))),
    Variant(_between(treatments.noisy, grey_levels=(45, 70)), _named(BLUR), ALL - {BLUR}),
    Variant(treatments.grey),
    Variant(_tint),
    Variant(_side_light, times=2),
    Variant(_frames, times=2),
    Variant(_crop, times=3),
    Variant(_between(treatments.turned, degrees=(0, 360)), times=3),
    Variant(_cover(_mask), _named(MOUTH), _named(BLUR, STRETCH), times=4),
    Variant(_cover(_glasses), _named(EYES), _named(BLUR, STRETCH), times=3),
    Variant(_cover(_mask, _glasses), _named(MOUTH, EYES), _named(BLUR, HALF, STRETCH), times=3),
    Variant(_cover(_half), _named(HALF), _named(BLUR, MOUTH, EYES, STRETCH), times=3),
    Variant(treatments.negative, _named(COLOUR), _named(BLUR, MOUTH, EYES, HALF, GLARE)),
    Variant(treatments.fax, _named(COLOUR), ALL - {COLOUR}),
    Variant(_few_levels, _named(COLOUR), ALL - {COLOUR}),
    Variant(_stretch((0.4, 0.6), (1.8, 2.4)), _named(STRETCH), _named(BLUR), times=2),
    Variant(_stretch((0.75, 1.35)), times=2),
    Variant(_vivid, unknown=_named(GLARE), times=3),
)
"""The false match rates under each treatment decide whether it is a defect (docs/accuracy.md)."""


def _answers(variant: Variant) -> list[float]:
    """Give 1 for spoiled, 0 for good, -1 for unknown, in the order of the outputs."""
    return [1.0 if name in variant.spoiled else -1.0 if name in variant.unknown else 0.0 for name in DEFECTS]


class Examples:
    """Makes crops of photos, in its own process."""

    def __init__(self, folder: Path, mirror: Path | None, pack: str) -> None:
        cv2.setNumThreads(1)
        self.data_set = read_folder(folder)
        with tempfile.TemporaryDirectory() as models:
            engine = load_engine(PackId(pack), models_dir=Path(models), mirror=mirror)
        assert isinstance(engine, PackEngine)
        self.engine = engine

    def of(self, task: tuple[int, bool]) -> list[tuple[Image, list[float]]]:
        """Give the crops of one photo with their answers: of every variant, or only of the unchanged photo."""
        index, every = task
        path = self.data_set.folder / self.data_set.photos[index]
        image = self.engine.decode(path.read_bytes())
        points = self._find(image)
        if points is None:
            return []
        crops = []
        for number, variant in enumerate(VARIANTS if every else VARIANTS[:1]):
            for time in range(variant.times):
                chance = np.random.default_rng(zlib.crc32(f"{path.name} {number} {time}".encode()))
                treated = self._finish(variant.treat(image, points, chance), chance)
                found = self._find(treated)
                if found is not None:
                    crops.append((cut_crop(treated, found), _answers(variant)))
        return crops

    def _find(self, image: Image) -> Points | None:
        try:
            found = self.engine.search.subject_and_rivals(image)
            return choose_subject(found, (image.shape[1], image.shape[0]), FacePolicy.LARGEST).landmarks
        except FaceRefused:
            return None

    @staticmethod
    def _finish(image: Image, chance: Chance) -> Image:
        """Blur and compress the photo as cameras and websites do."""
        if chance.random() < 0.25:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), chance.uniform(0.3, 0.9)), np.uint8)
        return treatments.compressed(image, np.empty((5, 2), np.float32), chance, quality=int(chance.integers(50, 98)))


_examples: Examples


def _open(folder: Path, mirror: Path | None, pack: str) -> None:
    global _examples  # noqa: PLW0603  # one for each process of the pool
    _examples = Examples(folder, mirror, pack)


def _work(task: tuple[int, bool]) -> list[tuple[Image, list[float]]]:
    return _examples.of(task)


def make_crops(
    folder: Path, mirror: Path | None, pack: str, processes: int
) -> Iterator[tuple[int, list[tuple[Image, list[float]]]]]:
    """Give the person and the crops of each photo."""
    data_set = read_folder(folder)
    kept_aside = {data_set.person_of[index] for index in choose_photos(data_set, PHOTOS)}
    tasks, people = [], set(kept_aside)
    for index, person in enumerate(data_set.person_of):
        if person not in kept_aside:
            tasks.append((index, person not in people and len(people) < len(kept_aside) + SPOILED_PEOPLE))
            people.add(person)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, spawn, _open, (folder, mirror, pack)) as pool:
        for done, ((index, _), crops) in enumerate(zip(tasks, pool.map(_work, tasks, chunksize=4), strict=True)):
            if done % 200 == 0:
                print(f"{done} of {len(tasks)} photos", flush=True)
            yield data_set.person_of[index], crops


class Defects(nn.Module):
    """Four convolutions and one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        sizes = ((3, 16), (16, 24), (24, 32), (32, 48))
        self.convolutions = nn.Sequential(
            *itertools.chain.from_iterable(
                (nn.Conv2d(into, out, 3, 2, 0 if into == 3 else 1, bias=False), nn.BatchNorm2d(out), nn.ReLU())
                for into, out in sizes
            )
        )
        self.dropout = nn.Dropout(0.3)
        self.last = nn.Linear(48 * 25, len(DEFECTS))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Give (n, outputs) log-odds for (n, 3, side, side) pixels in 0..255."""
        return self.last(self.dropout(self.convolutions((pixels - 127.5) / 64).flatten(1)))


def train(crops: torch.Tensor, answers: torch.Tensor) -> Defects:
    """Train on (n, 3, side, side) uint8 crops and (n, outputs) answers."""
    torch.manual_seed(0)
    network = Defects()
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-3)
    batches = len(crops) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=ROUNDS * batches)
    for round_ in range(ROUNDS):
        order, total = torch.randperm(len(crops)), 0.0
        for batch in order[: batches * BATCH].split(BATCH):
            pixels = crops[batch].float()
            if torch.rand(()) < 0.5:
                pixels = pixels.flip(3)
            light, shift = (
                torch.empty(BATCH, 1, 1, 1).uniform_(0.7, 1.25),
                torch.empty(BATCH, 1, 1, 1).uniform_(-25, 25),
            )
            pixels = (pixels * light + shift).clamp(0, 255)
            if torch.rand(()) < 0.25:
                pixels = pixels.mean(1, keepdim=True).expand(-1, 3, -1, -1)
            pixels = torch.roll(pixels, torch.randint(-2, 3, (2,)).tolist(), (2, 3))
            wanted = answers[batch]
            known = (wanted >= 0).float()
            errors = nn.functional.binary_cross_entropy_with_logits(network(pixels), wanted.clamp(0), reduction="none")
            loss = (errors * known).sum() / known.sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"round {round_ + 1} of {ROUNDS}: {total / batches:.4f}", flush=True)
    return network.eval()


def to_onnx(network: Defects) -> bytes:
    """Give the network as an ONNX model for (n, side, side, 3) uint8 pixels. It contains the normalisation."""
    graph = Graph("defects")
    values = graph.pixels("pixels")
    layers = list(network.convolutions)
    for number, (convolution, norm) in enumerate(zip(layers[::3], layers[1::3], strict=True)):
        scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
        weights = convolution.weight.detach() * scale[:, None, None, None]
        bias = norm.bias.detach() - norm.running_mean * scale
        if number == 0:
            bias = bias - weights.sum((1, 2, 3)) * 127.5 / 64
            weights = weights / 64
        values = graph.conv(values, weights.numpy(), bias.numpy(), stride=2, padding=0 if number == 0 else 1)
        values = graph.add("Relu", values)
    last = network.last
    values = graph.add(
        "Gemm",
        graph.add("Flatten", values),
        graph.constant(last.weight.detach().numpy().T),
        graph.constant(last.bias.detach().numpy()),
    )
    return graph.build(
        {"pixels": (TensorProto.UINT8, ("n", CROP_SIDE, CROP_SIDE, 3))}, {"log_odds": (values, ("n", len(DEFECTS)))}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="photos, one folder a person")
    parser.add_argument("--mirror", type=Path, help="folder of model files")
    parser.add_argument("--pack", default="builtin", help="the pack whose detector finds the faces")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--crops", type=Path, help="keep the crops in this file, or take them from it")
    parser.add_argument("--out", type=Path, default=MODEL)
    options = parser.parse_args()
    if options.crops and options.crops.exists():
        kept = np.load(options.crops)
        crops, answers, people = kept["crops"], kept["answers"], kept["people"]
    else:
        rows = [
            (crop, answer, person)
            for person, own in make_crops(options.folder, options.mirror, options.pack, options.processes)
            for crop, answer in own
        ]
        crops, answers, people = (np.array(column) for column in zip(*rows, strict=True))
        if options.crops:
            np.savez(options.crops, crops=crops, answers=answers, people=people)
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous()
    wanted = torch.from_numpy(answers).float()
    checked = torch.from_numpy(people % 8 == 0)
    network = train(pixels[~checked], wanted[~checked])
    with torch.no_grad():
        said = torch.cat([network(batch.float()) for batch in pixels[checked].split(512)])
    print(f"{'measure':28} caught while 1 % / 0.2 % of the good are refused, on people kept aside")
    for column, name in enumerate(DEFECTS):
        good = said[wanted[checked][:, column] == 0, column]
        spoiled = said[wanted[checked][:, column] == 1, column]
        shares = [f"{100 * (spoiled > torch.quantile(good, share)).float().mean():.1f} %" for share in (0.99, 0.998)]
        print(f"{name:28} {' / '.join(shares)}")
    options.out.write_bytes(to_onnx(network))
    print(f"{options.out}: {options.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
