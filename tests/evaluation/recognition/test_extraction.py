from pathlib import Path

import numpy as np
import pytest

from likeness.engine.base import Face, Use
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.engine.policy import FacePolicy
from likeness.errors import SetupError
from likeness.evaluation.data_set import DataSet, read_folder
from likeness.evaluation.recognition.extraction import extract
from likeness.evaluation.recognition.outcomes import FailureToAcquire
from likeness.evaluation.recognition.template_cache import TemplateCache


class CountingEngine(FakeEngine):
    def __init__(self) -> None:
        self.uses: list[Use] = []

    def analyse(self, photo: bytes, *, use: Use, policy: FacePolicy = FacePolicy.LARGEST) -> Face:
        self.uses.append(use)
        return super().analyse(photo, use=use, policy=policy)


@pytest.fixture
def data_set(tmp_path: Path) -> DataSet:
    photos = {
        "Ada/1.jpg": fake_photo(1),
        "Ada/2.jpg": fake_photo(1, variation=1),
        "Bo/1.jpg": fake_photo(2),
        "Bo/2.jpg": fake_photo(2, dim=True),
        "Bo/3.jpg": fake_photo(2, faces=2),
        "Bo/4.jpg": b"no photo",
        "Bo/5.png": fake_photo(2, faces=0, format="PNG")[:-40],
    }
    for name, photo in photos.items():
        file = tmp_path / "faces" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(photo)
    return read_folder(tmp_path / "faces")


@pytest.mark.parametrize("workers", [1, 4])
def test_each_photo_gives_a_template_or_a_reason(data_set: DataSet, workers: int) -> None:
    steps = []
    extraction = extract(
        FakeEngine(), data_set, workers=workers, progress=lambda done, total: steps.append((done, total))
    )
    assert extraction.failures == {
        3: FailureToAcquire("LOW_QUALITY", ("UnderExposurePrevention",)),
        4: FailureToAcquire("MULTIPLE_FACES"),
        5: FailureToAcquire("UNSUPPORTED_MEDIA_TYPE"),
        6: FailureToAcquire("INVALID_IMAGE"),
    }
    assert list(extraction.samples) == [0, 1, 2]
    assert extraction.people.tolist() == [0, 0, 1]
    assert extraction.rows.shape == (3, FakeEngine.pack.template_size)
    assert extraction.rows[0] @ extraction.rows[1] > 0.8 > extraction.rows[0] @ extraction.rows[2]
    assert steps == [(done, 7) for done in range(1, 8)]


def test_no_template_at_all(data_set: DataSet) -> None:
    extraction = extract(FakeEngine(), data_set)
    nothing = type(extraction)(data_set, tuple(FailureToAcquire("NO_FACE") for _ in data_set.photos))
    assert nothing.rows.shape[0] == nothing.people.size == 0


def test_a_file_that_cannot_be_read_stops_the_run(data_set: DataSet) -> None:
    (data_set.folder / data_set.photos[0]).unlink()
    with pytest.raises(SetupError, match=r"1\.jpg cannot be read"):
        extract(FakeEngine(), data_set)


def test_the_cache_answers_for_photos_it_has_seen(data_set: DataSet, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    first = extract(FakeEngine(), data_set, cache=TemplateCache.open(folder, pack="fake@1", binding="a"))
    engine = CountingEngine()
    cache = TemplateCache.open(folder, pack="fake@1", binding="a")
    assert len(cache) == 7
    again = extract(engine, data_set, cache=cache)
    assert engine.uses == []
    assert np.array_equal(again.rows, first.rows)
    assert again.failures == first.failures
    assert [s.quality for s in again.samples.values()] == [s.quality for s in first.samples.values()]
    assert [s.box for s in again.samples.values()] == [s.box for s in first.samples.values()]


def test_the_cache_of_another_pack_or_binding_is_another(data_set: DataSet, tmp_path: Path) -> None:
    extract(FakeEngine(), data_set, cache=TemplateCache.open(tmp_path, pack="fake@1", binding="a"))
    assert len(TemplateCache.open(tmp_path, pack="fake@2", binding="a")) == 0
    assert len(TemplateCache.open(tmp_path, pack="fake@1", binding="b")) == 0


def test_the_cache_is_for_its_owner_alone_and_is_kept_when_a_run_breaks_off(data_set: DataSet, tmp_path: Path) -> None:
    (data_set.folder / data_set.photos[6]).unlink()
    cache = TemplateCache.open(tmp_path / "cache", pack="fake@1", binding="")
    with pytest.raises(SetupError):
        extract(FakeEngine(), data_set, cache=cache)
    assert cache.path.stat().st_mode & 0o077 == 0
    assert len(TemplateCache.open(tmp_path / "cache", pack="fake@1", binding="")) == 6


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x05\x06" + bytes(18)])
def test_a_damaged_cache_is_reported(tmp_path: Path, content: bytes) -> None:
    path = TemplateCache.open(tmp_path, pack="fake@1", binding="").path
    path.write_bytes(content)
    with pytest.raises(SetupError, match="is damaged"):
        TemplateCache.open(tmp_path, pack="fake@1", binding="")


def test_photos_are_taken_for_the_use_asked_for(data_set: DataSet) -> None:
    engine = CountingEngine()
    extract(engine, data_set, use=Use.ENROL)
    assert set(engine.uses) == {Use.ENROL}
