import json
import shutil
from pathlib import Path

import pytest

from likeness.engine.packs.catalogue import BEST_FIRST, SHIPPED, Catalogue
from likeness.engine.packs.identity import PackId
from likeness.engine.packs.manifest import StoredCalibration
from likeness.errors import SetupError

STORED = StoredCalibration(
    data_set="our staff",
    thresholds=(0.1, 0.2, 0.3, 0.4, 0.5),
    measured_fmr=(1e-2, 1e-3, 1e-4, 1e-5, 1e-6),
    genuine_pairs=7,
    impostor_pairs=9,
)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    own = tmp_path / "packs" / "own"
    own.mkdir(parents=True)
    content = json.loads((SHIPPED / "builtin.json").read_text()) | {"id": "own"}
    (own / "manifest.json").write_text(json.dumps(content))
    return Catalogue(tmp_path)


def test_shipped_and_own_packs_are_listed(catalogue: Catalogue) -> None:
    assert catalogue.ids()[-1] == "own"
    assert set(BEST_FIRST) | {"fast", "buffalo_l"} <= set(catalogue.ids())
    assert catalogue.get(PackId("own")).id == "own"
    assert [weights.name for weights in catalogue.get(PackId("buffalo_l")).to_accept] == ["w600k_r50.onnx"]


def test_an_unknown_pack(catalogue: Catalogue) -> None:
    for name in ("nothing", "../own", ""):
        with pytest.raises(SetupError, match="There is no model pack"):
            catalogue.get(PackId(name))


def test_a_manifest_in_another_packs_folder(catalogue: Catalogue) -> None:
    shutil.copytree(catalogue.folder(PackId("own")), catalogue.folder(PackId("copy")))
    with pytest.raises(SetupError, match="'own'"):
        catalogue.get(PackId("copy"))


def test_own_calibration_wins_and_is_bound_to_the_version(
    catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    assert catalogue.get(PackId("buffalo_l")).calibration is None
    path = catalogue.calibrate(PackId("buffalo_l"), STORED)
    assert path == catalogue.folder(PackId("buffalo_l")) / "calibration.json"
    assert catalogue.get(PackId("buffalo_l")).calibration.calibration == STORED.calibration
    catalogue.calibrate(PackId("builtin"), STORED)
    assert catalogue.get(PackId("builtin")).calibration.data_set == "our staff"
    path.write_text(path.read_text().replace('"pack_version": "1"', '"pack_version": "0"'))
    assert catalogue.get(PackId("buffalo_l")).calibration is None
    assert "likeness calibrate" in caplog.text
    catalogue.calibrate(PackId("buffalo_l"), STORED)
    assert catalogue.get(PackId("buffalo_l")).calibration is not None


def test_a_broken_pack_stops_no_other(catalogue: Catalogue, caplog: pytest.LogCaptureFixture) -> None:
    (catalogue.folder(PackId("own")) / "manifest.json").write_text("{")
    assert [manifest.id for manifest in catalogue.readable()] == [name for name in catalogue.ids() if name != "own"]
    assert "own is skipped" in caplog.text
