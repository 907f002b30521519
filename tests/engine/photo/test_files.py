from pathlib import Path

import pytest

from likeness.engine.fake import fake_photo
from likeness.engine.photo.files import passed_over

JPEG, PNG = fake_photo(1, size=(64, 48)), fake_photo(1, size=(64, 48), format="PNG")


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("1.jpg", JPEG, None),
        ("1.JPEG", JPEG, None),
        ("damaged.png", b"", None),
        ("scan", JPEG, None),
        ("1.jfif", PNG, None),
        ("thumbelina.jpg", JPEG, None),
        (".1.jpg", JPEG, "hidden"),
        (".cache/1.jpg", JPEG, "hidden"),
        ("1_thumb.jpg", JPEG, "thumbnail"),
        ("Thumbs.db", b"", "thumbnail"),
        ("@eaDir/1.jpg", JPEG, "thumbnail"),
        ("notes.txt", b"not a photo", "no photo"),
        ("empty", b"", "no photo"),
    ],
)
def test_a_photo_is_known_by_its_ending_or_its_first_bytes(
    tmp_path: Path, name: str, content: bytes, kind: str | None
) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    assert passed_over(tmp_path, Path(name)) == kind
