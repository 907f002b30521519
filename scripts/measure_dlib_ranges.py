"""Measure what flows between the convolutions of dlib's network: the `activation_ranges` of the packs `builtin` and `duo`.

    python scripts/measure_dlib_ranges.py FOLDER [--photos 200] [--share 0.55]

FOLDER holds photos of faces, in subfolders too. Prints a JSON array for the manifests; another array makes other templates, so raise
the packs' versions with it.

What lies beyond a range is clipped. Clipping at a share of the greatest values tells people better apart than keeping them
all: docs/accuracy.md has the figures.
"""

import argparse
import importlib.metadata
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likeness.engine.alignment import cut_chips
from likeness.engine.conversion.dlib_weights import read_layers, recognition_network
from likeness.engine.conversion.quantisation import measure_ranges
from likeness.engine.loading import load_engine
from likeness.engine.pipeline import PackEngine

WEIGHTS = "face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=200, help="how many of them to look at")
    parser.add_argument("--share", type=float, default=0.55, help="how much of each range to keep")
    options = parser.parse_args()
    photos = sorted(options.folder.rglob("*.jpg"))
    chosen = photos[:: max(len(photos) // options.photos, 1)]
    weights = importlib.metadata.distribution("face-recognition-models").locate_file(WEIGHTS)
    network = recognition_network(*read_layers(Path(str(weights)).read_bytes()))
    with tempfile.TemporaryDirectory() as models:
        ranges = measure_ranges(network, chips(load_engine("builtin", models_dir=Path(models)), chosen))
    print(json.dumps([[float(f"{options.share * value:.4g}") for value in span] for span in ranges]))


def chips(engine: object, photos: list[Path]) -> Iterator[NDArray[np.uint8]]:
    """Give every view of each photo's largest face."""
    assert isinstance(engine, PackEngine)
    (recogniser,) = engine.recognisers
    for photo in photos:
        image = engine.decode(photo.read_bytes())
        for face in engine.search.subject_and_rivals(image)[:1]:
            yield cut_chips(image, face.landmarks, recogniser.reference, recogniser.side, recogniser.views)


if __name__ == "__main__":
    main()
