from functools import partial
from pathlib import Path

import pytest

from likeness.engine.packs.identity import PackId
from likeness.engine.packs.loading import load_engine
from likeness.errors import SetupError
from likeness.evaluation.liveness.sessions import Plan, people_in, simulate_all
from likeness.liveness.attempt.script import LivenessMode


def test_a_person_comes_once(tmp_path: Path) -> None:
    for name in ("alone.jpg", "ann/1.jpg", "ann/2.jpg", "bob/1.png", "bob/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [photo.relative_to(tmp_path).as_posix() for photo in people_in(tmp_path)] == [
        "alone.jpg",
        "ann/1.jpg",
        "bob/1.png",
    ]


def test_nobody_is_a_fault_of_the_set_up(tmp_path: Path) -> None:
    with pytest.raises(SetupError):
        people_in(tmp_path)


@pytest.mark.data
def test_an_interruption_keeps_the_attempts_that_ended(data: Path, tmp_path: Path) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    plan = Plan(people_in(data / "faces" / "lfw"), LivenessMode.PASSIVE, flash=False, seed=1)
    load = partial(load_engine, PackId("builtin"), models_dir=tmp_path)
    found = simulate_all(load, plan, ["live", "injected_still"], 20, workers=1, on_done=interrupted)
    assert found["live"]
    assert sum(map(len, found.values())) < 10
