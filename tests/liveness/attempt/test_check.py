"""The calls of a check to its engine."""

from dataclasses import dataclass, field

import numpy as np

from likeness.engine.base import Detection, Image
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.liveness.attempt.check import Check
from likeness.liveness.attempt.script import LivenessMode, draw_script
from likeness.liveness.base import Frame


@dataclass
class AttentiveEngine(FakeEngine):
    """An engine that records the least width of the faces to find."""

    asked: list[float] = field(default_factory=list)

    def detect(
        self, image: Image, *, minimum_face_pixels: float | None = None, upright: bool = False
    ) -> list[Detection]:
        assert minimum_face_pixels is not None
        assert upright, "a camera's frames are never searched turned"
        self.asked.append(minimum_face_pixels)
        return super().detect(image, minimum_face_pixels=minimum_face_pixels)


def test_beside_a_face_no_small_ones_are_looked_for_until_it_is_lost() -> None:
    engine = AttentiveEngine()
    check = Check(engine, draw_script(LivenessMode.ACTIVE))
    person = engine.decode(fake_photo(1))
    nobody = np.full_like(person, 128)
    for index, image in enumerate((person, person, nobody, person)):
        check.observe(Frame(image, float(index), bytes([index])))
    anything, beside, still_beside, anything_again = engine.asked
    (face,) = FakeEngine().detect(person)
    assert anything == anything_again == min(person.shape[:2]) / 12
    assert beside == still_beside == 0.45 * face.box.width > anything
