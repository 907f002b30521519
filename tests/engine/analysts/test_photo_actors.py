"""Photo actors on a real Ray cluster: they give what threads give, and one that ends loses no photo."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from analysed_faces import REFUSED, demand_engines_answers, demand_engines_refusal
from clusters import ALONE, actor_processes, ray_nodes
from likeness.engine.base import Use
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.engine.packs.identity import PackIdentity
from likeness.engine.policy import FacePolicy
from likeness.errors import ServiceUnavailable, SetupError
from likeness.kit.ids import new_id
from processes import ServerProcess, server_process
from servers import b64, test_settings, wait_until

try:
    from likeness.engine.analysts import photo_actors
    from likeness.engine.analysts.photo_actors import PhotoActors
except ModuleNotFoundError:
    pass

PACK = FakeEngine.pack.identity
ACTORS = 2
pytestmark = ALONE


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("node")
    with ray_nodes({"LIKENESS_DATA_DIR": str(folder), "LIKENESS_PACK": "fake"}, count=1) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def actors(cluster: Any) -> Iterator["PhotoActors"]:
    """Start actors that have the fake pack, and end them."""
    settings = test_settings(Path("nowhere"), engine="ray", photo_actors=ACTORS, ray_address=cluster.address)
    namespace = new_id()
    found = PhotoActors(settings, namespace)
    try:
        found.wait_for(PACK)
        yield found
        assert photo_actors.end_surplus(namespace, 0) == ACTORS
    finally:
        found.close()


def processes() -> list[int]:
    """Give the ids of the processes that are photo actors, not of their threads."""
    return actor_processes("PhotoActor")


def test_a_face_comes_back_bit_for_bit(actors: "PhotoActors") -> None:
    demand_engines_answers(actors.of(FakeEngine()))


def test_a_refusal_is_the_engines(actors: "PhotoActors") -> None:
    for error in REFUSED:
        demand_engines_refusal(actors.of(FakeEngine()), error)


def test_actors_are_found_by_their_names_and_end_by_them(actors: "PhotoActors", tmp_path: Path) -> None:
    namespace = new_id()
    more = PhotoActors(test_settings(tmp_path, photo_actors=2), namespace)
    more.wait_for(PACK)
    wait_until(lambda: list(photo_actors.statuses(namespace).values()) == [[PACK]] * 2)
    before = processes()
    again = PhotoActors(test_settings(tmp_path, photo_actors=1), namespace)
    again.wait_for(PACK)
    assert processes() == before
    assert photo_actors.end_surplus(namespace, 1) == 1
    demand_engines_answers(again.of(FakeEngine()))
    assert photo_actors.end_surplus(namespace, 0) == 1


def test_a_pack_that_no_actor_has_is_told_at_the_start(actors: "PhotoActors", caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SetupError, match="none of 2 photo actors has loaded fake@another"):
        actors.wait_for(PackIdentity("fake@another"))
    assert f"a photo actor has {PACK} in the place of fake@another" in caplog.text


@pytest.mark.parametrize("which", range(ACTORS))
def test_an_actor_that_ends_under_load_loses_no_photo(actors: "PhotoActors", which: int) -> None:
    analyst, here = actors.of(FakeEngine()), FakeEngine()
    actors.wait_for(PACK)
    wait_until(lambda: len(processes()) == ACTORS, seconds=120)
    victim = processes()[which]

    def ask(number: int) -> bool:
        if number == 25:
            os.kill(victim, signal.SIGKILL)
        photo = fake_photo(number % 7)
        found = analyst.analyse(photo, use=Use.PROBE, policy=FacePolicy.LARGEST)
        return found.template.tobytes() == here.analyse(photo, use=Use.PROBE).template.tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(100)))
    wait_until(lambda: len(set(processes()) - {victim}) == ACTORS, seconds=120)


def test_actors_that_say_nothing_make_an_answer_that_is_documented(
    actors: "PhotoActors", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_actors, "PHOTO_SECONDS", 2.0)
    analyst = actors.of(FakeEngine())
    paused = processes()
    for each in paused:
        os.kill(each, signal.SIGSTOP)
    try:
        with pytest.raises(ServiceUnavailable):
            analyst.analyse(fake_photo(1), use=Use.PROBE, policy=FacePolicy.LARGEST)
        os.kill(paused[0], signal.SIGCONT)
        monkeypatch.setattr(photo_actors, "PHOTO_SECONDS", 60.0)
        demand_engines_answers(analyst)  # whichever is asked first, the other one answers in time
    finally:
        for each in paused:
            os.kill(each, signal.SIGCONT)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_server_loses_no_call_when_an_actor_ends_and_commands_use_actors(cluster: Any, tmp_path: Path) -> None:
    shared = {"pack": "fake", "engine": "ray", "photo_actors": ACTORS, "ray_address": cluster.address}
    others = set(processes())
    with server_process(tmp_path / "data", **shared) as server, server.client() as client:
        body = {"sourceImage": b64(fake_photo(1)), "targetImage": b64(fake_photo(1, variation=1))}
        of_tenant = ("--tenant", f"tenant {server.settings.port}")
        victim, _ = sorted(set(processes()) - others)

        def match(number: int) -> int:
            if number == 10:
                os.kill(victim, signal.SIGKILL)
            return client.post("/api/v1/face/match", json=body).status_code

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(match, range(60))) == {200}
        assert "machines of the cluster: 1;" in told_by(server, "doctor")
        people = tmp_path / "people"
        for person, shot in product(range(4), range(3)):
            (people / str(person)).mkdir(parents=True, exist_ok=True)
            (people / str(person) / f"{shot}.jpg").write_bytes(fake_photo(person, variation=shot))
        server.stop()
        assert "enrolled 12, already there 0, refused 0" in told_by(
            server, "gallery", "import", str(people), *of_tenant
        )
        rates = [measured(server, people, engine) for engine in ("ray", "threads")]
        assert rates[0] == rates[1]
        listed = told_by(server, "shards", "list")
        assert listed.count("photo actor ") == ACTORS
        assert PACK in listed
    assert f"0 shards and {ACTORS} photo actors ended" in told_by(server, "shards", "remove", "--all")


def measured(server: ServerProcess, people: Path, engine: str) -> Any:
    """Give the numbers of ``likeness evaluate``."""
    report = people.with_name(f"{engine}.json")
    running = replace(server, environment=server.environment | {"LIKENESS_ENGINE": engine})
    told_by(running, "evaluate", str(people), "--json", str(report))
    return json.loads(report.read_text())


def told_by(server: ServerProcess, *command: str) -> str:
    """Run a command with a server's settings, and give what it says in one line."""
    done = subprocess.run(
        [sys.executable, "-m", "likeness", *command],
        env=server.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return " ".join((done.stdout + done.stderr).split())
