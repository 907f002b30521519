import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.errors import InvalidInput
from likeness.web.pagination import Cursors

CURSORS = Cursors(b"k" * 32)
positions = st.integers(0, 2**63 - 1)


@given(positions, st.text())
def test_a_cursor_comes_back_as_it_was(position: int, audience: str) -> None:
    try:
        cursor = CURSORS.write(position, audience)
    except UnicodeEncodeError:
        return  # no tenant's name is half a surrogate pair
    assert CURSORS.read(cursor, audience) == position
    assert cursor.isascii()
    assert len(cursor) <= 64


@given(positions, st.data())
def test_a_changed_cursor_is_refused(position: int, data: st.DataObject) -> None:
    raw = bytearray(base64.urlsafe_b64decode(CURSORS.write(position, "tenant")))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InvalidInput, match="of an earlier page"):
        CURSORS.read(base64.urlsafe_b64encode(raw).decode(), "tenant")


@given(st.text(max_size=64))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        CURSORS.read(text, "tenant")


def test_a_cursor_is_for_one_audience_and_one_deployment() -> None:
    cursor = CURSORS.write(7, "tenant")
    for cursors, audience in ((CURSORS, "other"), (Cursors(b"x" * 32), "tenant")):
        with pytest.raises(InvalidInput):
            cursors.read(cursor, audience)
