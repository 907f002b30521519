import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert

from composition import composed
from likeness.engine.fake import FakeEngine
from likeness.engine.packs.identity import PackIdentity
from likeness.gallery.decision import decide
from likeness.gallery.fpir.curve import MeasuredOn
from likeness.gallery.fpir.known import FRESH_SECONDS, KnownMeasurements
from likeness.gallery.fpir.measurement import Measurement, MeasurementRepository, calibration_digest
from likeness.kit.clock import MovableClock
from likeness.store.tables import gallery_fpir
from likeness.tenants.schemas import TenantSettings

CALIBRATION = FakeEngine().calibration
PACK = PackIdentity("fake@1")
LEVEL_3 = CALIBRATION.threshold(3)
MEASUREMENT = Measurement(
    pack=PACK,
    calibration=calibration_digest(CALIBRATION),
    entries=2000,
    searches=2000,
    measured_at=1.0,
    points=((2e-3, LEVEL_3), (2e-5, CALIBRATION.threshold(5))),
)


def test_a_search_expects_what_the_gallery_showed() -> None:
    shown = MEASUREMENT.curve(PACK, CALIBRATION, size=1000)
    decision = decide(CALIBRATION, TenantSettings(), level=3, size=1000, shown=shown)
    assert decision.threshold == LEVEL_3
    assert decision.false_match_rate == pytest.approx(2e-3)
    assert decision.expected_fpir == pytest.approx(1 - (1 - 2e-3) ** 1000)
    assert decision.measured_on is MeasuredOn.GALLERY
    assert not decision.extrapolated
    unmeasured = decide(CALIBRATION, TenantSettings(), level=3, size=1000)
    assert unmeasured.measured_on is MeasuredOn.CALIBRATION
    assert unmeasured.expected_fpir < decision.expected_fpir / 5


def test_a_target_sets_the_threshold_by_what_the_gallery_showed() -> None:
    settings = TenantSettings(target_fpir=0.01)
    shown = MEASUREMENT.curve(PACK, CALIBRATION, size=2000)
    by_gallery = decide(CALIBRATION, settings, level=None, size=2000, shown=shown)
    by_calibration = decide(CALIBRATION, settings, level=None, size=2000)
    assert by_gallery.threshold > by_calibration.threshold
    assert by_gallery.expected_fpir == by_calibration.expected_fpir == pytest.approx(0.01)
    assert by_gallery.extrapolated


@pytest.mark.parametrize("size", [199, 20_001])
def test_a_gallery_of_quite_another_size_does_not_rest_on_it(size: int) -> None:
    assert MEASUREMENT.curve(PACK, CALIBRATION, size=size) is None


def test_another_pack_or_calibration_does_not_rest_on_it() -> None:
    assert MEASUREMENT.curve(PackIdentity("fake@2"), CALIBRATION, size=2000) is None
    other = replace(CALIBRATION, measured_fmr=(0.01, 0.001, 0.0001, 0.00001, 0.0))
    assert MEASUREMENT.curve(PACK, other, size=2000) is None
    assert MEASUREMENT.curve(PACK, CALIBRATION, size=2000) is not None


def test_searches_know_the_newest_measurement_of_their_own_gallery(tmp_path: Path) -> None:
    clock = MovableClock()
    with composed(tmp_path) as (deployment, _):
        mine, other = (deployment.tenants.create(name) for name in ("mine", "other"))
        known, rows = KnownMeasurements(deployment.database, clock), MeasurementRepository(mine.id)
        assert asyncio.run(known.of(mine.id)) is None
        deployment.database.write_now(lambda c: rows.record(c, MEASUREMENT))
        assert asyncio.run(known.of(mine.id)) is None
        clock.move(FRESH_SECONDS)
        assert asyncio.run(known.of(mine.id)) == MEASUREMENT
        assert asyncio.run(known.of(other.id)) is None
        deployment.database.write_now(lambda c: rows.record(c, None))
        clock.move(FRESH_SECONDS)
        assert asyncio.run(known.of(mine.id)) is None


def test_a_measurement_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    with composed(tmp_path) as (deployment, _):
        tenant = deployment.tenants.create("mine")
        values = {"tenant_id": tenant.id, "measurement": {"of": "a later version"}}
        deployment.database.write_now(lambda c: c.execute(insert(gallery_fpir).values(values)))
        assert deployment.database.read_now(MeasurementRepository(tenant.id).find) is None
