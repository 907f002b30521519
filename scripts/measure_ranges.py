"""Measure what flows between the convolutions of SFace: the `activation_ranges` of a manifest, with which it runs in 8 bits.

    python scripts/measure_ranges.py FOLDER [--photos 200] [--share 1.0]

FOLDER holds photos of faces, in subfolders too. Prints a JSON array for the manifest; another array makes other templates, so raise
the pack's version with it. What lies beyond a range is clipped.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likeness.engine.alignment import cut_chips
from likeness.engine.conversion.quantisation import measure_ranges
from likeness.engine.conversion.sface_weights import recognition_network
from likeness.engine.loading import load_engine
from likeness.engine.packs.catalogue import Catalogue
from likeness.engine.packs.store import WeightStore
from likeness.engine.pipeline import PackEngine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=200, help="how many of them to look at")
    parser.add_argument("--share", type=float, default=1.0, help="how much of each range to keep")
    options = parser.parse_args()
    photos = sorted(options.folder.rglob("*.jpg"))
    chosen = photos[:: max(len(photos) // options.photos, 1)]
    with tempfile.TemporaryDirectory() as models:
        pack = Catalogue(Path(models)).get("builtin")
        (recipe,) = pack.recognisers
        network = recognition_network(WeightStore(Path(models)).read(pack.file(recipe.file)))
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
