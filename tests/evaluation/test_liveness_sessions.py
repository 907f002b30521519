import pytest

from likeness.errors import SetupError
from likeness.evaluation.liveness_sessions import people_in


def test_a_person_comes_once(tmp_path):
    for name in ("alone.jpg", "ann/1.jpg", "ann/2.jpg", "bob/1.png", "bob/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [photo.relative_to(tmp_path).as_posix() for photo in people_in(tmp_path)] == [
        "alone.jpg",
        "ann/1.jpg",
        "bob/1.png",
    ]


def test_nobody_is_a_fault_of_the_set_up(tmp_path):
    with pytest.raises(SetupError):
        people_in(tmp_path)
