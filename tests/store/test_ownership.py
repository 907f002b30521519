"""Only one process owns a data folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from likeness.errors import SetupError
from likeness.store.ownership import is_owned, owned

HOLD = "import sys; from pathlib import Path; from likeness.store.ownership import owned\nwith owned(Path(sys.argv[1])): print('mine', flush=True); sys.stdin.read()"


def test_a_folder_has_one_owner_at_a_time(tmp_path: Path) -> None:
    assert not is_owned(tmp_path)
    with owned(tmp_path):
        assert is_owned(tmp_path)
        with pytest.raises(SetupError, match=r"another process \(pid \d+\)"), owned(tmp_path):
            pass
        assert is_owned(tmp_path)
    assert not is_owned(tmp_path)
    with owned(tmp_path):
        assert is_owned(tmp_path)


def test_a_killed_owner_lets_go(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdin
    assert holder.stdout.readline() == b"mine\n"
    assert is_owned(tmp_path)
    with pytest.raises(SetupError, match=str(holder.pid)), owned(tmp_path):
        pass
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    assert not is_owned(tmp_path)
    with owned(tmp_path):
        assert is_owned(tmp_path)
