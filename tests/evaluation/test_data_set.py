from pathlib import Path

import pytest

from likeness.errors import SetupError
from likeness.evaluation.data_set import read_folder, read_labels, read_pairs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "faces"
    for name in (
        "Ada/Ada_0001.jpg",
        "Ada/Ada_0002.JPEG",
        "Bo/Bo_0001.png",
        "Bo/notes.txt",
        "Cy/holiday.jpg",
        "Empty/x.txt",
    ):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    (root / "loose.jpg").write_bytes(b"")
    (root / "Cy" / "deeper").mkdir()
    return root


def test_a_folder_for_each_person(folder: Path) -> None:
    data_set = read_folder(folder)
    assert data_set.name == "faces"
    assert data_set.people == ("Ada", "Bo", "Cy")
    assert [photo.as_posix() for photo in data_set.photos] == [
        "Ada/Ada_0001.jpg",
        "Ada/Ada_0002.JPEG",
        "Bo/Bo_0001.png",
        "Cy/holiday.jpg",
    ]
    assert data_set.person_of == (0, 0, 1, 2)


def test_hidden_files_and_thumbnails_are_nobodys_photos(folder: Path) -> None:
    before = read_folder(folder)
    for name in ("Ada/._Ada_0001.jpg", ".trash/Ada_0003.jpg", "Bo/Bo_0001_thumb.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")
    assert read_folder(folder) == before


def test_what_gives_no_comparison_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(SetupError, match="not a folder"):
        read_folder(tmp_path / "nowhere")
    (folder / "Ada" / "Ada_0002.JPEG").unlink()
    with pytest.raises(SetupError, match="Found 3 photos of 3 people"):
        read_folder(folder)


@pytest.mark.parametrize("head", ["", "10\t300\n", "\ufeff"])
def test_pairs_of_lfw(folder: Path, tmp_path: Path, head: str) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text(f"{head}Ada\t1\t2\n\nAda\t2\tBo\t1\n", encoding="utf-8")
    pairs = read_pairs(file, read_folder(folder))
    assert (pairs.first, pairs.second, pairs.genuine) == ((0, 1), (1, 2), (True, False))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Ada 1 2\nAda 1 9\n", "line 2.*no photo 9 of Ada"),
        ("Ada 1 2\nDora 1 Bo 1\n", "line 2.*no photo 1 of Dora"),
        ("Ada one 2\n", "line 1: expected"),
        ("Ada 1\n", "line 1: expected"),
        ("3 3\n", "no pairs"),
    ],
)
def test_bad_pairs_are_reported_by_line(folder: Path, tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SetupError, match=fault):
        read_pairs(file, read_folder(folder))


def test_pairs_that_cannot_be_read(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        read_pairs(tmp_path / "none.txt", read_folder(folder))


def test_labels_by_photo_and_by_person(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("photo,sex,light\nAda,f,\nAda/Ada_0002.JPEG,f,dim\nBo,m,good\n", encoding="utf-8")
    labels = read_labels(file, read_folder(folder))
    assert labels == {"sex": ("f", "f", "m", None), "light": (None, "dim", "good", None)}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "must have a header"),
        ("photo\nAda\n", "at least one label"),
        ("name,sex\nAda,f\n", "column `photo`"),
        ("photo,sex\nDora,f\n", "line 2.*does not contain 'Dora'"),
    ],
)
def test_bad_labels_are_reported(folder: Path, tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SetupError, match=fault):
        read_labels(file, read_folder(folder))
