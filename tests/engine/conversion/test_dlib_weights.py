"""The converted network is dlib's own: checked against vectors that dlib gave, and against dlib where it is installed.

``python tests/engine/conversion/test_dlib_weights.py`` runs dlib and stores the vectors anew. The faces: a crop of
scikit-image's public-domain astronaut, its mirror image, and two painted patterns.
"""

import importlib.metadata
import importlib.util

import numpy as np
import pytest

from dlib_faces import VECTORS, chips, weights_file, with_patterns
from likeness.engine.conversion.dlib_weights import read_layers, recognition_network
from likeness.engine.runtime import Network
from likeness.errors import SetupError


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(recognition_network(*read_layers(weights_file().read_bytes())))


def test_stored_vectors(network):
    with np.load(VECTORS) as stored:
        templates = stored["templates"]
    assert np.abs(network.run(pixels=chips())["templates"] - templates).max() < 1e-5


def test_dlib_itself(network):
    if importlib.util.find_spec("dlib") is None:
        pytest.skip("dlib, which only the benchmarks need, is not installed")
    import dlib  # noqa: PLC0415 - only here

    theirs = dlib.face_recognition_model_v1(str(weights_file()))
    noise = np.random.default_rng(5).integers(0, 256, (2, 150, 150, 3), dtype=np.uint8)
    ours = network.run(pixels=noise)["templates"]
    assert np.abs(ours - [np.array(theirs.compute_face_descriptor(chip)) for chip in noise]).max() < 1e-5


def test_one_face_and_many_give_the_same(network):
    many = network.run(pixels=chips())["templates"]
    assert np.abs(network.run(pixels=chips()[:1])["templates"] - many[:1]).max() < 1e-5


@pytest.mark.parametrize(
    "file", [b"", b"\x01\x05con_4\x01\x03", b"\x01\x04fc_2", b"\x01\x05con_4\x01\x02\x01\x7f\x01\x01\x01\x01\x01\x01"]
)
def test_another_file_is_refused(file):
    with pytest.raises(SetupError):
        read_layers(file)


if __name__ == "__main__":
    import cv2
    import dlib

    photo = importlib.metadata.distribution("scikit-image").locate_file("skimage/data/astronaut.png")
    astronaut = cv2.cvtColor(cv2.imread(str(photo)), cv2.COLOR_BGR2RGB)
    face = astronaut[45:195, 150:300]
    network = dlib.face_recognition_model_v1(str(weights_file()))
    templates = [np.array(network.compute_face_descriptor(np.ascontiguousarray(chip))) for chip in with_patterns(face)]
    np.savez_compressed(VECTORS, face=face, templates=np.array(templates, np.float32))
