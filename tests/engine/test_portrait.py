"""The portrait of a photo's subject."""

import io

import numpy as np
import pytest
from PIL import Image as Pillow

from likeness.engine.base import Engine, Use
from likeness.engine.policy import FacePolicy
from likeness.engine.portrait import WIDTH_MAX, cut_portrait, take_portrait
from likeness.engine.source import PhotoSource
from likeness.engine.subject import rules_of


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, 20])
def test_a_portrait_is_upright_and_keeps_to_its_layout(builtin: Engine, astronaut: bytes, degrees: int) -> None:
    photo = Pillow.open(io.BytesIO(astronaut)).convert("RGB").rotate(degrees, expand=True, fillcolor=(90, 90, 90))
    stored = io.BytesIO()
    photo.save(stored, "JPEG", quality=95)
    portrait = take_portrait(builtin, stored.getvalue())
    width, height = portrait.size
    assert portrait.photo_size == photo.size
    assert height == round(width * 4 / 3)
    face = builtin.analyse(portrait.jpeg, use=Use.ID_PHOTO)
    left, right = face.detection.landmarks[:2]
    assert right[0] - left[0] == pytest.approx(width / 4, rel=0.15)
    assert abs(right[1] - left[1]) < 0.03 * width
    assert (left + right) / 2 == pytest.approx((width / 2, 0.6 * width), abs=0.06 * width)
    same = builtin.analyse(astronaut, use=Use.ID_PHOTO)
    assert builtin.calibration.level(float(face.template @ same.template)) == 5


def test_a_large_face_is_averaged_and_a_small_one_is_not_enlarged(builtin: Engine, astronaut: bytes) -> None:
    image = builtin.decode(astronaut)
    landmarks = builtin.detect(image)[0].landmarks
    own = cut_portrait(image, landmarks)
    large = np.repeat(np.repeat(image, 6, axis=0), 6, axis=1)
    cut = cut_portrait(large, (landmarks + 0.5) * 6 - 0.5)
    assert cut.shape == (WIDTH_MAX * 4 // 3, WIDTH_MAX, 3)
    assert own.shape[1] < WIDTH_MAX
    small = cut_portrait(large, (landmarks + 0.5) * 6 - 0.5, own.shape[1])
    assert np.abs(small.astype(int) - own).mean() < 4


@pytest.mark.parametrize(
    ("source", "use", "policy", "rules"),
    [
        (None, Use.ENROL, FacePolicy.SINGLE, (Use.ENROL, FacePolicy.SINGLE)),
        (PhotoSource.SELFIE, Use.ID_PHOTO, FacePolicy.LARGEST, (Use.PROBE, FacePolicy.LARGEST)),
        (PhotoSource.SELFIE, Use.ENROL, FacePolicy.LARGEST, (Use.ENROL, FacePolicy.LARGEST)),
        (PhotoSource.CHIP, Use.ENROL, FacePolicy.SINGLE, (Use.ID_PHOTO, FacePolicy.SINGLE)),
        (PhotoSource.ID_DOCUMENT, Use.PROBE, FacePolicy.SINGLE, (Use.ID_PHOTO, FacePolicy.DOCUMENT)),
    ],
)
def test_a_source_has_rules(
    source: PhotoSource | None, use: Use, policy: FacePolicy, rules: tuple[Use, FacePolicy]
) -> None:
    assert rules_of(source, use, policy) == rules
