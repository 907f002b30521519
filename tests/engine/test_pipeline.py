"""The builtin pack from bytes to templates, on photos from public packages."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageFilter

from likeness.engine.base import Engine, Use
from likeness.engine.fake import FakeEngine
from likeness.engine.packs.catalogue import SHIPPED
from likeness.engine.packs.identity import PackId
from likeness.engine.packs.loading import load_engine
from likeness.engine.photo import decoding as photos
from likeness.engine.photo.header import Header, Reduction
from likeness.engine.pipeline import PackEngine
from likeness.engine.policy import FacePolicy
from likeness.engine.quality.measures import RECOGNISABILITY
from likeness.engine.runtime import multiplies_bytes_fast
from likeness.errors import InvalidImage, LowQuality, MultipleFaces, NoFace, SetupError, UnsupportedMediaType


def jpeg(pixels: np.ndarray, size: tuple[int, int] | None = None, **options: Any) -> bytes:
    stored = io.BytesIO()
    picture = Pillow.fromarray(pixels)
    (picture.resize(size) if size else picture).save(stored, "JPEG", quality=92, **options)
    return stored.getvalue()


@pytest.fixture(scope="session")
def portrait(astronaut: bytes) -> NDArray[np.uint8]:
    return photos.decode(astronaut)


@pytest.fixture(scope="session")
def template(builtin: Engine, astronaut: bytes) -> NDArray[np.float32]:
    return builtin.analyse(astronaut, use=Use.PROBE).template


def test_a_portrait_gives_one_unit_template(builtin: Engine, astronaut: bytes) -> None:
    face = builtin.analyse(astronaut, use=Use.ENROL)
    assert face.image_size == (512, 512)
    assert face.template.shape == (builtin.pack.template_size,)
    assert np.linalg.norm(face.template) == pytest.approx(1, abs=1e-5)
    left_eye, right_eye, nose, left_mouth, right_mouth = face.detection.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_eye[1] < nose[1] < left_mouth[1]
    assert left_mouth[0] < right_mouth[0]
    assert face.detection.confidence > 0.9


def test_one_photo_analysed_twice_is_the_same(builtin: Engine, astronaut: bytes, template: NDArray[np.float32]) -> None:
    assert np.array_equal(builtin.analyse(astronaut, use=Use.PROBE).template, template)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_turned_photos_give_the_same_level(
    builtin: Engine, portrait: NDArray[np.uint8], template: NDArray[np.float32], turns: int
) -> None:
    face = builtin.analyse(jpeg(np.rot90(portrait, turns)), use=Use.PROBE)
    assert builtin.calibration.level(float(face.template @ template)) == 5


@pytest.mark.parametrize("side", [160, 1024, 2500, 4000])
def test_size_does_not_matter_and_coordinates_are_the_photos_own(
    builtin: Engine, astronaut: bytes, portrait: NDArray[np.uint8], template: NDArray[np.float32], side: int
) -> None:
    face = builtin.analyse(jpeg(portrait, (side, side)), use=Use.PROBE)
    assert face.image_size == (side, side)
    assert builtin.calibration.level(float(face.template @ template)) == 5
    expected = builtin.analyse(astronaut, use=Use.PROBE).detection.landmarks * side / 512
    assert face.detection.landmarks == pytest.approx(expected, abs=side / 100)


def test_a_small_face_in_a_large_photo_is_decoded_again_at_a_finer_scale(
    builtin: Engine, portrait: NDArray[np.uint8], template: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    canvas = np.full((3000, 4000, 3), 120, np.uint8)
    canvas[1000:1512, 1500:2012] = portrait
    reductions = []
    decode_pixels = photos.decode_pixels

    def spy(header: Header, *, reduction: Reduction = 1) -> NDArray[np.uint8]:
        reductions.append(reduction)
        return decode_pixels(header, reduction=reduction)

    monkeypatch.setattr(photos, "decode_pixels", spy)
    face = builtin.analyse(jpeg(canvas), use=Use.PROBE)
    assert reductions[0] > 1
    assert reductions[-1] == 1
    assert builtin.calibration.level(float(face.template @ template)) == 5
    assert face.detection.landmarks[2] == pytest.approx((1500 + 225, 1000 + 128), abs=6)


def test_detect_finds_all_and_embeds_in_one_batch(builtin: Engine, group: bytes) -> None:
    image = builtin.decode(group)
    faces = builtin.detect(image)
    assert len(faces) == 6
    assert [face.box.area for face in faces] == sorted((face.box.area for face in faces), reverse=True)
    templates = builtin.embed(image, faces)
    scores = templates @ templates.T
    assert max(builtin.calibration.level(float(score)) for score in scores[np.triu_indices(6, 1)]) < 3
    assert np.allclose(templates[2], builtin.embed(image, faces[2:3])[0], atol=1e-5)
    assert builtin.embed(image, []).shape == (0, builtin.pack.template_size)
    assert builtin.detect(image, minimum_face_pixels=400) == []


def test_quality_is_reported_for_one_face(builtin: Engine, portrait: NDArray[np.uint8]) -> None:
    (face,) = builtin.detect(portrait)
    assert 0 < builtin.assess(portrait, face, use=Use.PROBE).score <= 100


def test_a_face_that_is_hard_to_recognise_has_a_lower_score_and_is_not_enrolled(
    builtin: Engine, astronaut: bytes
) -> None:
    assert isinstance(builtin, PackEngine)
    (network,) = builtin.recognisers
    assert network.usual_length
    demanding = replace(builtin, recognisers=(replace(network, usual_length=1.5 * network.usual_length),))
    usual, low = (engine.analyse(astronaut, use=Use.PROBE).quality for engine in (builtin, demanding))
    lengths = [quality.measures[-1].raw for quality in (usual, low)]
    assert [quality.measures[-1].name for quality in (usual, low)] == [RECOGNISABILITY] * 2
    assert lengths[0] == pytest.approx(1.5 * lengths[1], rel=0.01)
    assert low.score < usual.score
    with pytest.raises(LowQuality) as caught:
        demanding.analyse(astronaut, use=Use.ENROL)
    assert caught.value.reasons == (RECOGNISABILITY,)


def test_no_pad_models_give_no_scores(builtin: Engine, portrait: NDArray[np.uint8]) -> None:
    assert builtin.live_scores(portrait, builtin.detect(portrait)[0]).by_model == {}


def test_refusals(builtin: Engine, group: bytes, portrait: NDArray[np.uint8]) -> None:
    with pytest.raises(MultipleFaces):
        builtin.analyse(group, use=Use.PROBE)
    with pytest.raises(NoFace):
        builtin.analyse(jpeg(np.full((300, 300, 3), 90, np.uint8)), use=Use.PROBE)
    with pytest.raises(NoFace):
        builtin.analyse(jpeg(np.zeros((1, 1, 3), np.uint8)), use=Use.PROBE)
    with pytest.raises(InvalidImage):
        builtin.analyse(jpeg(portrait)[:9000], use=Use.PROBE)
    with pytest.raises(UnsupportedMediaType):
        builtin.analyse(b"GIF89a", use=Use.PROBE)
    with pytest.raises(LowQuality) as caught:
        builtin.analyse(jpeg((portrait // 9).astype(np.uint8)), use=Use.ENROL)
    assert caught.value.reasons


def test_a_second_face_beside_the_subject_is_refused_only_by_the_strict_policy(
    builtin: Engine, portrait: NDArray[np.uint8], template: NDArray[np.float32]
) -> None:
    scene = np.full((600, 900, 3), 128, np.uint8)
    scene[50:562, 150:662] = portrait
    scene[380:580, 690:890] = np.asarray(Pillow.fromarray(portrait[20:220, 120:320][:, ::-1]).resize((200, 200)))[:200]
    scene[470:590, 780:900] = 128
    small = np.asarray(Pillow.fromarray(portrait[0:240, 100:340]).resize((130, 130)))
    scene[440:570, 720:850] = small
    face = builtin.analyse(jpeg(scene), use=Use.PROBE)
    assert builtin.calibration.level(float(face.template @ template)) == 5
    with pytest.raises(MultipleFaces):
        builtin.analyse(jpeg(scene), use=Use.PROBE, policy=FacePolicy.SINGLE)


def test_a_face_in_a_blurred_background_is_no_rival(
    builtin: Engine, portrait: NDArray[np.uint8], template: NDArray[np.float32]
) -> None:
    scene = np.full((600, 900, 3), 128, np.uint8)
    scene[60:572, 0:400] = portrait[:, 30:430]
    behind = np.asarray(Pillow.fromarray(portrait[0:300, 80:380][:, ::-1]).resize((280, 280)))
    for radius, refused in ((0, True), (8, False)):
        scene[60:340, 560:840] = np.asarray(Pillow.fromarray(behind).filter(ImageFilter.GaussianBlur(radius)))
        if refused:
            with pytest.raises(MultipleFaces):
                builtin.analyse(jpeg(scene), use=Use.PROBE)
        else:
            face = builtin.analyse(jpeg(scene), use=Use.PROBE)
            assert builtin.calibration.level(float(face.template @ template)) == 5


def test_a_processor_that_multiplies_bytes_slowly_gives_comparable_templates(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch, astronaut: bytes, template: NDArray[np.float32]
) -> None:
    monkeypatch.setattr("likeness.engine.packs.loading.multiplies_bytes_fast", lambda: False)
    other = load_engine(PackId("builtin"), models_dir=models_dir).analyse(astronaut, use=Use.PROBE).template
    assert float(other @ template) > 0.997
    assert np.array_equal(other, template) != multiplies_bytes_fast()


def test_a_portrait_in_jpeg_2000_is_compared_where_the_deployment_accepts_it(
    builtin: Engine, models_dir: Path, astronaut: bytes, template: NDArray[np.float32]
) -> None:
    stored = io.BytesIO()
    Pillow.fromarray(builtin.decode(astronaut)).save(stored, "JPEG2000", quality_mode="rates", quality_layers=[20])
    with pytest.raises(UnsupportedMediaType):
        builtin.analyse(stored.getvalue(), use=Use.ID_PHOTO)
    accepting = load_engine(PackId("builtin"), models_dir=models_dir, jpeg_2000=True)
    face = accepting.analyse(stored.getvalue(), use=Use.ID_PHOTO)
    assert accepting.calibration.level(float(face.template @ template)) == 5


def test_packs_by_name(models_dir: Path) -> None:
    assert isinstance(load_engine(PackId("fake"), models_dir=models_dir), FakeEngine)
    with pytest.raises(SetupError, match="no model pack named"):
        load_engine(PackId("nothing"), models_dir=models_dir)


def test_an_uncalibrated_pack_says_what_to_run(models_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "packs" / "own"
    folder.mkdir(parents=True)
    text = (SHIPPED / "builtin.json").read_text().replace('"id": "builtin"', '"id": "own"')
    start = text.index('"calibration"')
    (folder / "manifest.json").write_text(text[: text.rindex(",", 0, start)] + "}")
    own = load_engine(PackId("own"), models_dir=tmp_path)
    with pytest.raises(SetupError, match="likeness calibrate DIR --pack own"):
        _ = own.calibration
