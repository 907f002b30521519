"""Photo processes return the same faces and refusals as threads. A new process replaces one that ended."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysed_faces import REFUSED, demand_engines_answers, demand_engines_refusal, demand_same
from likeness.engine.analysts.base import EngineHere
from likeness.engine.analysts.processes import PhotoProcesses, Recipe
from likeness.engine.base import Engine, Use
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.engine.packs.identity import PackId
from likeness.engine.policy import FacePolicy
from likeness.errors import LikenessError, SetupError, UnexpectedError

CRASHING = Path(__file__).with_name("crashing_process.py")


@pytest.fixture(scope="module")
def fakes() -> Iterator[PhotoProcesses]:
    with PhotoProcesses(Recipe(PackId("fake"), Path("nowhere")), 2) as processes:
        yield processes


def test_a_face_comes_back_bit_for_bit(fakes: PhotoProcesses) -> None:
    demand_engines_answers(fakes)


def test_a_pack_gives_the_same_face_as_on_a_thread(builtin: Engine, models_dir: Path, astronaut: bytes) -> None:
    with PhotoProcesses(Recipe(PackId("builtin"), models_dir), 1) as processes:
        found = processes.analyse(astronaut, use=Use.ENROL, policy=FacePolicy.SINGLE)
    demand_same(found, builtin.analyse(astronaut, use=Use.ENROL, policy=FacePolicy.SINGLE))


@pytest.mark.parametrize("error", REFUSED)
def test_a_refusal_is_the_engines(fakes: PhotoProcesses, error: type[LikenessError]) -> None:
    demand_engines_refusal(fakes, error)


def test_another_pack_is_analysed_on_the_thread_that_asks(fakes: PhotoProcesses, builtin: Engine) -> None:
    assert fakes.of(FakeEngine()) is fakes
    assert isinstance(fakes.of(builtin), EngineHere)


def test_photos_are_analysed_side_by_side_and_answers_are_not_mixed_up(fakes: PhotoProcesses) -> None:
    photos = {person: fake_photo(person) for person in range(8)}
    wrong = []

    def ask(person: int) -> None:
        for _ in range(10):
            found = fakes.analyse(photos[person], use=Use.PROBE, policy=FacePolicy.LARGEST)
            if found.template.tobytes() != FakeEngine().analyse(photos[person], use=Use.PROBE).template.tobytes():
                wrong.append(person)

    threads = [threading.Thread(target=ask, args=(person,)) for person in photos]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_pack_that_cannot_be_loaded_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no-such-pack"):
        PhotoProcesses(Recipe(PackId("no-such-pack"), tmp_path), 2)
    with pytest.raises(SetupError, match="LIKENESS_EGRESS forbids the download"):
        PhotoProcesses(Recipe(PackId("fast"), tmp_path, downloads=False), 1)


def test_a_process_that_ends_at_its_start_is_told() -> None:
    with pytest.raises(SetupError, match="status 3"):
        PhotoProcesses(
            Recipe(PackId("fake"), Path("nowhere")), 1, command=(sys.executable, "-c", "raise SystemExit(3)")
        )


def test_a_photo_that_kills_its_process_is_an_error_and_the_next_one_is_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with PhotoProcesses(
        Recipe(PackId("fake"), Path("nowhere")), 1, command=(sys.executable, str(CRASHING))
    ) as processes:
        with pytest.raises(UnexpectedError):
            processes.analyse(b"die", use=Use.PROBE, policy=FacePolicy.LARGEST)
        assert "signal 9" in caplog.text
        photo = fake_photo(1)
        assert processes.analyse(photo, use=Use.PROBE, policy=FacePolicy.LARGEST).image_size == (640, 480)


def test_a_fault_in_the_process_is_an_error_and_the_process_goes_on() -> None:
    with PhotoProcesses(
        Recipe(PackId("fake"), Path("nowhere")), 1, command=(sys.executable, str(CRASHING))
    ) as processes:
        before = processes.ids()
        with pytest.raises(UnexpectedError):
            processes.analyse(b"fail", use=Use.PROBE, policy=FacePolicy.LARGEST)
        assert processes.ids() == before


@pytest.mark.parametrize("attack", [b"call out", b"run"])
def test_a_decoder_that_is_taken_over_reaches_no_network_and_starts_no_program(
    attack: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with PhotoProcesses(
        Recipe(PackId("fake"), Path("nowhere")), 1, command=(sys.executable, str(CRASHING))
    ) as processes:
        before = processes.ids()
        with pytest.raises(UnexpectedError):
            processes.analyse(attack, use=Use.PROBE, policy=FacePolicy.LARGEST)
        assert processes.ids() == before, "the process was replaced"
    assert "PermissionError" in capfd.readouterr().err


def test_a_process_that_does_not_answer_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    with PhotoProcesses(
        Recipe(PackId("fake"), Path("nowhere")), 1, command=(sys.executable, str(CRASHING))
    ) as processes:
        before = processes.ids()
        monkeypatch.setattr("likeness.engine.analysts.processes.PHOTO_SECONDS", 0.2)
        with pytest.raises(UnexpectedError):
            processes.analyse(b"sleep", use=Use.PROBE, policy=FacePolicy.LARGEST)
        assert processes.ids() != before
        assert not runs(before[0])


def test_a_process_ends_with_the_server_even_when_that_is_killed(tmp_path: Path) -> None:
    server = os.fork()
    if server == 0:
        processes = PhotoProcesses(Recipe(PackId("fake"), Path("nowhere")), 1)
        tmp_path.joinpath("id").write_text(str(processes.ids()[0]))
        tmp_path.joinpath("ready").touch()
        signal.pause()
    end = time.monotonic() + 60
    while not tmp_path.joinpath("ready").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    process = int(tmp_path.joinpath("id").read_text())
    os.kill(process, signal.SIGTERM)  # a service manager sends this signal to the whole group
    assert runs(process)
    os.kill(server, signal.SIGKILL)
    os.waitpid(server, 0)
    while runs(process):
        assert time.monotonic() < end
        time.sleep(0.02)


def runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
