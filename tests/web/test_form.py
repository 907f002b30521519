"""Multipart bodies of many clients, and of attackers."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.web import form
from likeness.web.form import read_form

PHOTO = b"\xff\xd8\xff\xe0" + random.Random(7).randbytes(300) + b"\r\n--Y\r\n\r\n"
TYPE = "multipart/form-data; boundary=X"
NAMED = b'Content-Disposition: form-data; name="a"\r\n\r\n'


def body(*parts: bytes, before: bytes = b"", after: bytes = b"--\r\n") -> bytes:
    return before + b"".join(b"--X\r\n" + part + b"\r\n" for part in parts) + b"--X" + after


DISPOSITIONS = {
    "a file name": b'form-data; name="a"; filename="photo.jpg"',
    "no file name": b'form-data; name="a"',
    "as .NET writes it": b"form-data; name=a; filename=photo.jpg; filename*=utf-8''photo.jpg",
    "a name in UTF-8": b'form-data; name="a"; filename="\xd8\xb5\xd9\x88\xd8\xb1\xd8\xa9.jpg"',
    "another case": b'Form-Data; NAME="a"; FileName="x"',
}


@pytest.mark.parametrize("disposition", DISPOSITIONS.values(), ids=DISPOSITIONS)
@pytest.mark.parametrize("head", [b"", b"Content-Type: image/jpeg\r\n", b"Content-Transfer-Encoding: binary\r\n"])
def test_a_photo_is_bytes_however_its_part_is_written(disposition: bytes, head: bytes) -> None:
    part = head + b"content-disposition: " + disposition + b"\r\n\r\n" + PHOTO
    assert read_form(body(part), TYPE) == {"a": PHOTO}


@pytest.mark.parametrize(
    "kind", [b"", b"Content-Type: text/plain; charset=UTF-8\r\n", b"Content-Type: application/json\r\n"]
)
def test_what_is_text_without_a_file_name_is_text(kind: bytes) -> None:
    assert read_form(body(kind + NAMED + "ص".encode()), TYPE) == {"a": "ص"}


@pytest.mark.parametrize("before", [b"", b"\r\n", b"for old mail programs\r\n"])
@pytest.mark.parametrize("after", [b"--", b"--\r\n", b"--\r\nwhat follows\r\n--X"])
@pytest.mark.parametrize("content_type", [TYPE, 'Multipart/Form-Data; charset=utf-8; boundary="X"'])
def test_what_stands_before_and_after_the_parts_is_passed_over(before: bytes, after: bytes, content_type: str) -> None:
    assert read_form(body(NAMED + b"1", before=before, after=after), content_type) == {"a": "1"}


@pytest.mark.parametrize(
    "part", [NAMED, NAMED.replace(b'"a"', b'"a"; filename=""'), NAMED.replace(b'"a"', b'"a"; filename="f"')]
)
def test_an_empty_part_is_left_out(part: bytes) -> None:
    assert read_form(body(part), TYPE) == {}


@given(
    st.dictionaries(st.sampled_from("abcd"), st.binary(min_size=1)), st.text("XYZ'()+_,-./:=?", min_size=1, max_size=70)
)
def test_every_content_comes_back(files: dict[str, bytes], boundary: str) -> None:
    edge = f"--{boundary}".encode()
    sent = b"".join(
        b'%b\r\nContent-Disposition: form-data; name="%b"; filename="f"\r\n\r\n%b\r\n' % (edge, name.encode(), content)
        for name, content in files.items()
    )
    assert read_form(sent + edge + b"--\r\n", f'multipart/form-data; boundary="{boundary}"') == files


@pytest.mark.parametrize("chunk_bytes", [1, 2, 5, 64])
def test_a_boundary_is_found_wherever_a_chunk_ends(chunk_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "CHUNK_BYTES", chunk_bytes)
    assert read_form(body(NAMED + PHOTO), TYPE) == {"a": PHOTO}


NOT_WELL_FORMED = {
    "empty": (b"", TYPE),
    "no part": (b"garbage", TYPE),
    "no boundary": (body(NAMED), "multipart/form-data"),
    "an endless boundary": (body(NAMED), "multipart/form-data; boundary=" + "X" * 71),
    "an endless content type": (body(NAMED), TYPE + ";" + '"' * 2000),
    "no end": (body(NAMED + b"1", after=b"\r\n"), TYPE),
    "cut short": (body(NAMED + b"1")[:-8], TYPE),
    "bare line feeds": (body(NAMED + b"1").replace(b"\r\n", b"\n"), TYPE),
    "no name": (body(b"Content-Disposition: form-data\r\n\r\n1"), TYPE),
    "no head": (body(b"\r\n1"), TYPE),
    "another disposition": (body(b'Content-Disposition: attachment; name="a"\r\n\r\n1'), TYPE),
    "an endless head": (body(b"X: " + b"a" * 5000 + b"\r\n" + NAMED), TYPE),
    "a name twice": (body(NAMED + b"1", NAMED + b"2"), TYPE),
    "too many parts": (body(*(NAMED.replace(b'"a"', b'"%d"' % nth) for nth in range(41))), TYPE),
    "a boundary that goes on": (b"--XY\r\n" + NAMED + b"1\r\n--X--", TYPE),
}


@pytest.mark.parametrize(("sent", "content_type"), NOT_WELL_FORMED.values(), ids=NOT_WELL_FORMED)
def test_what_is_no_form(sent: bytes, content_type: str) -> None:
    with pytest.raises(ValueError, match=r"form|given twice"):
        read_form(sent, content_type)
