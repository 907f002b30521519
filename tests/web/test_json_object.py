"""JSON of an untrusted caller: it is refused by its structure before it is parsed, or read as ``json`` reads it."""

import base64
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.web import json_object
from likeness.web.json_object import LONG_BYTES, LongText, read_object
from likeness.web.wire import decode_base64

LARGEST = 14_000_000
PHOTO = random.Random(7).randbytes(700_000)
TEXT = base64.b64encode(PHOTO)

leaves = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(st.characters(exclude_categories=["Cs"]))
objects = st.dictionaries(st.text(max_size=9), leaves | st.dictionaries(st.text(max_size=9), leaves), max_size=9)


@given(objects, st.sampled_from([None, 2]), st.booleans())
def test_an_ordinary_object_is_read_as_it_is(fields: Any, indent: int | None, escaped: bool) -> None:
    body = json.dumps(fields, indent=indent, ensure_ascii=escaped)
    assert read_object(body.encode(errors="surrogatepass")) == fields


def text_of(value: LongText) -> bytes:
    return b"".join(value.chunks()) if isinstance(value, LongText) else value.encode()


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from([r"\/", r"\u002b", r"\r\n", "A" * 997, "9=" * 5, "\\u003d"]), max_size=120),
    st.integers(7, 300),
)
def test_a_long_text_is_the_text_that_json_reads(parts: list[str], chunk_bytes: int) -> None:
    text = "".join(parts) + "A" * LONG_BYTES
    body = f'{{"idPhoto": "{text}", "level": 3}}'.encode()
    before = json_object.CHUNK_BYTES
    json_object.CHUNK_BYTES = chunk_bytes  # so that chunks end at every place of an escape
    try:
        fields = read_object(body)
        assert isinstance(fields["idPhoto"], LongText)
        assert text_of(fields["idPhoto"]).decode() == json.loads(body)["idPhoto"]
    finally:
        json_object.CHUNK_BYTES = before


ESCAPES = {
    "plain": TEXT,
    "slashes escaped": TEXT.replace(b"/", rb"\/"),
    "HTML's characters escaped": TEXT.replace(b"+", rb"\u002B").replace(b"=", rb"\u003d"),
    "lines of 76": rb"\r\n".join(TEXT[start : start + 76] for start in range(0, len(TEXT), 76)),
    "a data URL": b"data:image/png;base64," + TEXT,
}


@pytest.mark.parametrize("text", ESCAPES.values(), ids=ESCAPES)
def test_a_photo_is_read_however_it_is_escaped(text: bytes) -> None:
    fields = read_object(b'{"idPhoto":"%b","externalId":"a"}' % text)
    assert decode_base64(fields["idPhoto"].chunks()) == PHOTO
    assert fields["externalId"] == "a"


def many(part: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    return before + part * (LARGEST // len(part)) + after


COSTLY = {
    "brackets": many(b"[],", b'{"a":['),
    "deep lists": many(b"["),
    "deep objects": many(b'{"a":'),
    "commas": many(b","),
    "members": many(b'"a":1,', b"{"),
    "short texts": many(b'"",', b'{"a":['),
    "quotes": many(b'"'),
    "a huge integer": many(b"9", b'{"a":', b"}"),
    "space": many(b" ", b"{", b"}"),
    "escaped quotes": many(rb"\"", b'{"a":"', b'"}'),
    "backslashes": many(rb"\\", b'{"a":"', b'"}'),
    "texts as long as short ones may be": many(b'"' + b"a" * (LONG_BYTES - 2) + b'",', b'{"a":['),
    "long texts": many(b'"' + b"a" * LONG_BYTES + b'",', b'{"a":['),
}


@pytest.mark.parametrize("body", COSTLY.values(), ids=COSTLY)
def test_a_costly_body_is_refused_before_it_is_parsed(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("it was parsed"))
    with pytest.raises(ValueError, match="The body "):
        read_object(body)


def test_what_is_parsed_is_little() -> None:
    """An accepted body gives ``json`` at most this much to parse, with all brackets and escapes."""
    sizes = []
    loads = json.loads

    def noted(text: str, **named: Any) -> Any:
        sizes.append(len(text))
        return loads(text, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json, "loads", noted)
        for room in range(0, 20_000, 250):
            for inside in (b"[],", b"1,", b'"",', b" "):
                with_text = b'{"a":"' + b"x" * 20_000 + b'","b":[' + inside * (room // len(inside)) + b"1]}"
                try:
                    read_object(with_text)
                except ValueError:
                    continue
    assert 16_000 < max(sizes) - 20_000 <= json_object.STRUCTURE_BYTES


def test_labels_of_full_length_fit() -> None:
    labels = {f"{nth:02}" + "é" * 254: "\U0001f600" * 1024 for nth in range(32)}
    assert read_object(json.dumps({"idPhoto": "AAAA", "metadata": labels}).encode())["metadata"] == labels


@pytest.mark.parametrize(("written", "read"), [("3.0", 3), ("-3.0e0", -3), ("3.5", 3.5), ("30E-1", 3), ("1e2", 100)])
def test_a_whole_number_is_whole_however_it_is_written(written: str, read: float) -> None:
    value = read_object(f'{{"a":{written}}}'.encode())["a"]
    assert (value, type(value)) == (read, type(read))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"3",
        b'"a"',
        b"{",
        b'{"a":"b}',
        b'{"a":"\\',
        b'{"a":"b\n"}',
        b'{"a":"\\x"}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1,"a":1}',
        b'{"b":{"a":1,"a":1}}',
        b'{"a":"\xff"}',
        b'{"a":' + b"9" * 33 + b"}",
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
        '{"a":1}'.encode("utf-16"),
        b'{"a":"' + b"a" * LONG_BYTES + b'\\"}',
    ],
)
def test_what_is_no_object_of_ours(body: bytes) -> None:
    with pytest.raises(ValueError, match="The body "):
        read_object(body)


def test_a_long_text_is_no_label() -> None:
    long_text = "a" * (LONG_BYTES + 1)
    assert isinstance(read_object(json.dumps({"b": {"a": long_text}}).encode())["b"]["a"], LongText)


def test_a_byte_order_mark_is_passed_over() -> None:
    assert read_object(b'\xef\xbb\xbf{"a":1}') == {"a": 1}


@pytest.mark.parametrize("body", ['{"%s": 1}', '{"a": ["%s"]}', '{"a": [[{"%s": "b"}]]}', '["%s"]'])
def test_a_long_text_that_is_no_value_of_a_member_is_refused(body: str) -> None:
    with pytest.raises(ValueError, match="a long text that is not the value of a member"):
        read_object((body % ("A" * (LONG_BYTES + 1))).encode())


@pytest.mark.parametrize("other", [b"\xca", b"\x00\x00", "é".encode()[:1]])
def test_an_escape_beside_bytes_of_no_text_is_refused_with_a_reason(other: bytes) -> None:
    value = read_object(b'{"a": "%b\\n%b"}' % (b"A" * LONG_BYTES, other))["a"]
    with pytest.raises(ValueError, match=r"malformed escape|not ASCII"):
        text_of(value)
