"""The audit image has no metadata, a hidden background and an unchanged head."""

import io

import numpy as np
import pytest
from PIL import Image as Pillow

from likeness.engine.fake import FakeEngine, FakePerson, fake_scene
from likeness.results.audit_image import Obfuscation, write_audit_image
from likeness.results.claims import AuditFrame

ENGINE = FakeEngine()
SUBJECT = FakePerson(1, center=(0.35, 0.5), width=0.5)
BYSTANDER = FakePerson(2, center=(0.88, 0.3), width=0.2)


@pytest.fixture(scope="module")
def frame() -> AuditFrame:
    image = ENGINE.decode(fake_scene([SUBJECT, BYSTANDER], format="PNG"))
    return AuditFrame(image, ENGINE.detect(image)[0])


def pixels(jpeg: bytes) -> np.ndarray:
    return np.asarray(Pillow.open(io.BytesIO(jpeg)).convert("RGB"), int)


def test_it_is_a_plain_jpeg_of_the_frame(frame: AuditFrame) -> None:
    written = write_audit_image(frame, None)
    picture = Pillow.open(io.BytesIO(written))
    assert picture.format == "JPEG"
    assert picture.size == frame.image.shape[1::-1]
    assert set(picture.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert np.abs(pixels(written) - frame.image).mean() < 6
    assert len(ENGINE.detect(ENGINE.decode(written))) == 2


@pytest.mark.parametrize("obfuscation", list(Obfuscation))
def test_the_background_is_hidden_and_the_head_is_not(frame: AuditFrame, obfuscation: Obfuscation) -> None:
    written = pixels(write_audit_image(frame, obfuscation))
    box = frame.detection.box
    inner = np.s_[
        int(box.y + 0.2 * box.height) : int(box.y + 0.8 * box.height),
        int(box.x + 0.2 * box.width) : int(box.x + 0.8 * box.width),
    ]
    assert np.abs(written[inner] - frame.image[inner]).mean() < 8
    bystander = np.s_[80:200, 510:620]
    hidden = written[bystander]
    if obfuscation is Obfuscation.FILLED:
        assert hidden.max() < 12
    elif obfuscation is Obfuscation.FILLED_WHITE:
        assert hidden.min() > 243
    else:
        # Only slow gradients remain of the bystander's cells. No edge between two neighbours survives.
        before = np.abs(np.diff(frame.image[bystander].astype(int), axis=1)).max()
        assert np.abs(np.diff(hidden, axis=1)).max() < before / 8
