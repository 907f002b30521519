"""The packs on photos that are not in the repository: labelled people, and hostile files."""

import resource
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.engine.base import Engine, Use
from likeness.engine.packs.catalogue import Catalogue
from likeness.engine.packs.identity import PackId
from likeness.engine.packs.loading import load_engine
from likeness.engine.packs.store import WeightStore
from likeness.errors import LikenessError

pytestmark = pytest.mark.data
PACKS = ("builtin", "best", "fast")
"""All of them detect faces in the same way, so one of them is enough to test detection."""
PORTRAITS = ("hopper", "imageops_pad", "bc6h", "bgr15", "palette_sepia")


def test_no_face_is_lost(builtin: Engine, data: Path) -> None:
    lost = [
        file.name
        for file in sorted((data / "faces" / "lfw").glob("*/*.jpg"))[::60]
        if not builtin.detect(builtin.decode(file.read_bytes()))
    ]
    assert lost == []


@pytest.mark.parametrize("pack", PACKS)
def test_people_are_distinguished(engine_of: Callable[[str], Engine], data: Path, pack: str) -> None:
    engine = engine_of(pack)
    people = [
        folder for folder in sorted((data / "faces" / "photos" / "people" / "train").iterdir()) if folder.is_dir()
    ]
    templates, names = [], []
    for folder in people:
        for file in sorted(folder.glob("*.jp*g")):
            try:
                templates.append(engine.analyse(file.read_bytes(), use=Use.PROBE).template)
            except LikenessError:
                continue
            names.append(folder.name)
    scores = np.array(templates) @ np.array(templates).T
    same = np.equal.outer(names, names)
    np.fill_diagonal(scores, np.nan)
    levels = np.vectorize(engine.calibration.level)(np.nan_to_num(scores, nan=-1.0))
    assert len(set(names)) >= 3
    assert levels[~same].max() < 3
    assert levels[same & ~np.isnan(scores)].min() >= 3


def test_all_six_of_the_group_are_found(builtin: Engine, group: bytes) -> None:
    assert len(builtin.detect(builtin.decode(group))) == 6


def test_a_photo_turned_by_any_quarter_matches_at_the_same_level(builtin: Engine, data: Path) -> None:
    photos = sorted((data / "faces" / "lfw").glob("*/*_0001.jpg"))[::600]
    for photo in photos:
        image = builtin.decode(photo.read_bytes())
        upright, *turned = (
            builtin.analyse(encode(np.rot90(image, turns)), use=Use.PROBE).template for turns in range(4)
        )
        levels = [builtin.calibration.level(float(upright @ template)) for template in turned]
        assert levels == [5, 5, 5], photo.name


def encode(image: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR))[1].tobytes()


def test_hostile_files_give_faces_or_documented_refusals_in_bounded_memory(
    builtin: Engine, data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found, refused = set(), set()
    for file in sorted((data / "hostile").rglob("*.*")):
        try:
            builtin.analyse(file.read_bytes(), use=Use.PROBE)
        except LikenessError as error:
            refused.add(error.status)
            continue
        found.add(file.name)
    assert refused == {400, 415}
    # One portrait has many encodings, and one photo shows a portrait on a tablet. No other file shows a face.
    assert {name for name in found if not name.startswith(PORTRAITS)} <= {"3.jpg"}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 700_000
    assert capfd.readouterr().err == ""


def test_passive_pad_models_rank_most_live_faces_above_attacks(tmp_path: Path, data: Path) -> None:
    for pack in ("minifasnet-80", "minifasnet-128"):
        WeightStore(tmp_path, data / "models").install(Catalogue(tmp_path).get(PackId(pack)))
    engine = load_engine(PackId("builtin"), models_dir=tmp_path)
    scores: dict[str, list[float]] = {"real": [], "fake": []}
    for kind, kept in scores.items():
        for file in sorted((data / "pad" / kind).iterdir())[:40]:
            try:
                image = engine.decode(file.read_bytes())
            except LikenessError:
                continue
            for face in engine.detect(image)[:1]:
                kept.append(float(np.mean(list(engine.live_scores(image, face).by_model.values()))))
    assert min(len(kept) for kept in scores.values()) >= 20
    assert np.greater.outer(scores["real"], scores["fake"]).mean() > 0.85
