import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from likeness.errors import PayloadTooLarge
from likeness.web.wire import Photo, WireModel, decode_base64


class Body(WireModel):
    id_photo: Photo


def chunks(text: str, size: int = 1 << 16) -> list[bytes]:
    content = text.encode(errors="surrogatepass")
    return [content[start : start + size] for start in range(0, len(content), size)]


def read(value: object, limit: int | None = None) -> bytes:
    return Body.model_validate({"idPhoto": value}, context={"image_bytes": limit}).id_photo


@given(st.binary(), st.integers(1, 80), st.sampled_from(["\n", "\r\n", " \t"]))
def test_base64_may_be_broken_and_prefixed(content: bytes, width: int, space: str) -> None:
    text = base64.b64encode(content).decode()
    broken = space.join(text[start : start + width] for start in range(0, len(text), width))
    assert decode_base64(chunks(broken)) == content
    assert decode_base64(chunks("data:image/jpeg;base64," + broken)) == content


@given(st.binary(max_size=64), st.integers(1, 9))
def test_base64_may_be_cut_anywhere(content: bytes, size: int) -> None:
    text = base64.b64encode(content)
    assert decode_base64(text[start : start + size] for start in range(0, len(text), size)) == content


@pytest.mark.parametrize(
    "begin",
    [
        "data:image/jpeg;base64,",
        "data:;base64,",
        "data:application/octet-stream;base64,",
        "DATA:image/PNG;charset=utf-8;name=my%20photo.png;BASE64,",
        "  data:text/plain; base64 ,",
    ],
)
def test_a_data_url_of_any_type_case_and_parameters(begin: str) -> None:
    assert decode_base64([f"{begin}AAAA".encode()]) == bytes(3)


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a===",
        "####",
        "data:text/plain,AAAA",
        "AAAA=AAA",
        "AA==AAAA",
        "-_-_",
        "AAA",
        "AAAA====",
        "A=A=",
        "=AAA",
        "AA==\nAAAA",
        "\ud800",
        "é",
    ],
)
@pytest.mark.parametrize("size", [3, 4, 64])
def test_what_is_no_base64(text: str, size: int) -> None:
    with pytest.raises(ValueError, match="base64"):
        decode_base64(chunks(text, size))
    with pytest.raises(ValidationError):
        read(text)


@given(st.binary(min_size=1, max_size=64), st.integers(1, 64))
def test_a_photo_is_measured_decoded(content: bytes, limit: int) -> None:
    if len(content) > limit:
        with pytest.raises(PayloadTooLarge):
            read(base64.b64encode(content).decode(), limit)
    else:
        assert read(base64.b64encode(content).decode(), limit) == content == read(content, limit)


@pytest.mark.parametrize("value", ["", b"", None, 3, ["AAAA"]])
def test_what_is_no_photo(value: Any) -> None:
    with pytest.raises(ValidationError):
        read(value)
