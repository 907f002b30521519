import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from likeness.errors import PayloadTooLarge
from likeness.kit.wire import Photo, WireModel, decode_base64


class Body(WireModel):
    id_photo: Photo


def read(value: object, limit: int | None = None) -> bytes:
    return Body.model_validate({"idPhoto": value}, context={"image_bytes": limit}).id_photo


@given(st.binary(), st.integers(1, 80), st.sampled_from(["\n", "\r\n", " \t"]))
def test_base64_may_be_broken_and_prefixed(content, width, space):
    text = base64.b64encode(content).decode()
    broken = space.join(text[start : start + width] for start in range(0, len(text), width))
    assert decode_base64(broken) == content
    assert decode_base64("data:image/jpeg;base64," + broken) == content


@pytest.mark.parametrize("text", ["a", "a===", "####", "data:text/plain;base64,AAAA", "AAAA=AAA", "-_-_"])
def test_what_is_no_base64(text):
    with pytest.raises(ValueError, match="base64"):
        decode_base64(text)
    with pytest.raises(ValidationError):
        read(text)


@given(st.binary(min_size=1, max_size=64), st.integers(1, 64))
def test_a_photo_is_measured_decoded(content, limit):
    if len(content) > limit:
        with pytest.raises(PayloadTooLarge):
            read(base64.b64encode(content).decode(), limit)
    else:
        assert read(base64.b64encode(content).decode(), limit) == content == read(content, limit)


@pytest.mark.parametrize("value", ["", b"", None, 3, ["AAAA"]])
def test_what_is_no_photo(value):
    with pytest.raises(ValidationError):
        read(value)
