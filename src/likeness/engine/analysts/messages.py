"""The messages between a server and those who analyse its photos.

A question is JSON. A reply is a line of JSON, then the bytes of a template. So a template keeps its bits.
"""

import json
import logging
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from likeness import errors
from likeness.engine.analysts.base import Analyst
from likeness.engine.base import Box, Detection, Face, Quality, QualityMeasure, Template, Use
from likeness.engine.policy import FacePolicy
from likeness.errors import LikenessError, LowQuality, UnexpectedError

log = logging.getLogger("likeness.engine")
FAILED: Final = "The photo could not be analysed."


def question(use: Use | None, policy: FacePolicy) -> bytes:
    """Give the question about a photo, which goes beside it. Without a use it asks for the template alone."""
    return json.dumps([use, policy]).encode()


def answer(analyst: Analyst, asked: bytes, photo: bytes) -> bytes:
    """Give what was asked of a photo, or the refusal."""
    use, policy = json.loads(asked)
    try:
        if use is None:
            return _reply({}, analyst.embed(photo, policy=FacePolicy(policy)))
        face = analyst.analyse(photo, use=Use(use), policy=FacePolicy(policy))
    except LikenessError as error:
        return _refused(error)
    except Exception:
        log.exception("a photo could not be analysed")
        return _refused(UnexpectedError(FAILED))
    return _reply(_found(face), face.template)


def face_of(reply: bytes) -> Face:
    """Give the face of a reply. Raises the refusal."""
    found, template = _read(reply)
    quality = found["quality"]
    return Face(
        Detection(Box(*found["box"]), np.array(found["landmarks"], np.float32), found["confidence"]),
        template,
        Quality(
            quality["score"],
            tuple(QualityMeasure(**measure) for measure in quality["measures"]),
            tuple(quality["reasons"]),
        ),
        tuple(found["image_size"]),
    )


def template_of(reply: bytes) -> Template:
    """Give the template of a reply. Raises the refusal."""
    return _read(reply)[1]


def _reply(found: dict[str, Any], template: Template) -> bytes:
    return json.dumps(found, default=float).encode() + b"\n" + np.ascontiguousarray(template, np.float32).tobytes()


def _read(reply: bytes) -> tuple[dict[str, Any], Template]:
    line, _, template = reply.partition(b"\n")
    found = json.loads(line)
    if "error" in found:
        raise _refusal(found)
    return found, np.frombuffer(template, np.float32)


def _found(face: Face) -> dict[str, Any]:
    box = face.detection.box
    return {
        "box": (box.x, box.y, box.width, box.height),
        "landmarks": face.detection.landmarks.tolist(),
        "confidence": face.detection.confidence,
        "quality": asdict(face.quality),
        "image_size": face.image_size,
    }


def _refused(error: LikenessError) -> bytes:
    reasons = getattr(error, "reasons", ())
    return json.dumps({"error": type(error).__name__, "message": error.message, "reasons": reasons}).encode()


def _refusal(found: dict[str, Any]) -> LikenessError:
    kind: type[LikenessError] = getattr(errors, found["error"])
    if issubclass(kind, LowQuality):
        return kind(found["message"], reasons=found["reasons"])
    return kind(found["message"])
