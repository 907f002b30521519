"""Who stands before the camera, and with what. All of it is simulated from photos that ship in public packages."""

from dataclasses import dataclass

import numpy as np

from likeness.cli.demo.photos import DemoPhotos
from likeness.engine.base import Engine
from likeness.evaluation.liveness.simulator.attacks import NEEDS_RECORDING, AttackKind, mount
from likeness.evaluation.liveness.simulator.portrait import Portrait
from likeness.evaluation.liveness.simulator.session import Shot, carry_out
from likeness.evaluation.liveness.simulator.subject import Presentation, SimulatedSubject
from likeness.liveness.attempt.check import Check
from likeness.liveness.attempt.script import LivenessMode, draw_script
from likeness.liveness.base import DeclaredCamera

STRANGER = "man in grey"


@dataclass(frozen=True)
class People:
    engine: Engine
    photos: DemoPhotos

    @property
    def id_photo(self) -> bytes:
        """Another shot of the person than the one that stands before the camera."""
        return self.photos.astronaut_again["relit"]

    def live(self, seed: int = 1) -> SimulatedSubject:
        chance = np.random.default_rng(seed)
        return SimulatedSubject(self._portrait(self.photos.astronaut, chance), chance)

    def stranger(self, seed: int = 1) -> SimulatedSubject:
        chance = np.random.default_rng(seed)
        return SimulatedSubject(self._portrait(self.photos.people[STRANGER], chance), chance)

    def attack(self, kind: AttackKind, seed: int = 1) -> Presentation:
        chance = np.random.default_rng(seed)
        victim = self._portrait(self.photos.astronaut, chance)
        accomplice = self._portrait(self.photos.people[STRANGER], chance)
        recording: list[Shot] = []
        if kind in NEEDS_RECORDING:
            earlier = SimulatedSubject(victim, chance)
            check = Check(self.engine, draw_script(LivenessMode.ACTIVE), DeclaredCamera(earlier.camera_label))
            carry_out(earlier, check, chance, recording=recording)
        return mount(kind, victim, accomplice, chance, recording)

    def _portrait(self, photo: bytes, chance: np.random.Generator) -> Portrait:
        image = self.engine.decode(photo)
        return Portrait.from_photo(image, self.engine.detect(image)[0].landmarks, chance)
