"""The server killed with SIGKILL at any moment under mixed load."""

import os
import random
import threading
from pathlib import Path

import pytest

from faults.ledger import Ledger, Load, Rush, check, check_integrity, check_trail, search
from processes import server_process

ROUNDS = int(os.environ.get("LIKENESS_FAULT_ROUNDS", "3"))
SAMPLE = 40

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.timeout(60 + 40 * ROUNDS)]


def test_what_was_answered_outlives_a_kill_at_any_moment(tmp_path: Path) -> None:
    rng = random.Random(2024)
    ledger = Ledger()
    answered = 0
    with server_process(tmp_path, pack="fake", workers=2, log_level="error") as server:
        for number in range(ROUNDS):
            rush = Rush(server, person=next(ledger.people))
            rushing = threading.Thread(target=rush.run)
            load = Load(server, ledger, seed=number)
            if number % 2:
                rushing.start()
            load.run(server.kill, answers=rng.randrange(1, 60))
            if number % 2:
                rushing.join()
            answered += load.answered
            check_integrity(tmp_path)
            server.start()
            rush.run()
            assert len(rush.ids) == 1, "one face has several entries"
            with server.client() as http:
                alike = search(http, rush.person, candidates=5)
            candidates = [each for each in alike["candidates"] if each["matchLevel"] >= 4]  # type: ignore[attr-defined]
            assert len(candidates) == 1, "one face has several entries"
            check(server, ledger, people=SAMPLE, seed=number)
        check(server, ledger)
    check_trail(tmp_path, ledger)
    assert answered > 10 * ROUNDS
