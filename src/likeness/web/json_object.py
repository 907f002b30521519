"""The parser of a JSON object from an untrusted caller. It never holds the interpreter for long.

``json.loads`` holds the interpreter until it ends, also on a thread: twelve seconds for 13 MB of brackets. The bodies
of this API are flat, and only their photos are long. So the long texts are taken out first, chunk by chunk. Only the
rest is parsed, and it must be small. A body is refused as soon as its rest is too large.
"""

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

LONG_BYTES = 32 * 1024
"""A text with more bytes than this is long. Only a photo may be long."""
SHORT_TEXTS_BYTES = 512 * 1024
"""Most bytes of all short texts: room for 32 labels of full length, every character escaped."""
STRUCTURE_BYTES = 16 * 1024
"""Most bytes outside of texts: quotes, punctuation, numbers, indentation."""
MOST_LONG_TEXTS = 8
LONGEST_NUMBER = 32
PLACEHOLDER = secrets.token_hex(16)
"""Stands for a long text while the rest is parsed. It is random and stays in the process, so no body can have it."""
CHUNK_BYTES = 64 * 1024
"""Bytes that compiled code gets at once, because it holds the interpreter until it ends."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LONGEST_ESCAPE = len(rb"\u002b")
_SHORT_TEXT = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)


@dataclass(frozen=True, slots=True)
class LongText:
    """A text as the body has it, between its quotes."""

    escaped: memoryview

    def chunks(self) -> Iterator[bytes]:
        """Give the text in UTF-8, chunk by chunk.

        Raises ValueError for a malformed escape, and for an escape beside bytes that are not UTF-8.
        """
        at = 0
        while at < len(self.escaped):
            chunk = bytes(self.escaped[at : at + CHUNK_BYTES])
            at += len(chunk)
            if b"\\" in chunk:
                cut = chunk.rfind(b"\\", len(chunk) - LONGEST_ESCAPE) if at < len(self.escaped) else -1
                if cut >= 0:
                    at -= len(chunk) - cut
                    chunk = chunk[:cut]
                try:
                    chunk = json.loads((b'"%b"' % chunk).decode()).encode(errors="surrogatepass")
                except json.JSONDecodeError as error:
                    raise ValueError("has a malformed escape") from error
                except UnicodeDecodeError as error:  # a long text is base64, which is ASCII
                    raise ValueError("has bytes that are not ASCII") from error
            yield chunk


def read_object(body: bytes | bytearray) -> dict[str, Any]:
    """Give the members of a JSON object (RFC 8259). A long text is a :class:`LongText`.

    A whole number may be written as ``3.0``. A name may occur once. Raises ValueError, whose message is a sentence
    without its full stop.
    """
    little, long_texts = _take_out_long_texts(body, PLACEHOLDER)
    taken = set[str]()

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = {name: long_texts.get(value, value) if isinstance(value, str) else value for name, value in pairs}
        taken.update(value for _, value in pairs if isinstance(value, str) and value in long_texts)
        if len(found) != len(pairs):
            raise ValueError("The body has a member twice")
        return found

    try:
        fields = json.loads(
            little.decode(),
            parse_int=_whole_number,
            parse_float=_number,
            parse_constant=_no_number,
            object_pairs_hook=members,
        )
    except RecursionError as error:
        raise ValueError("The body is nested too deeply") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError("The body is not well-formed JSON in UTF-8") from error
    if taken != long_texts.keys():
        raise ValueError("The body has a long text that is not the value of a member")
    if not isinstance(fields, dict):
        raise ValueError("The body must be a JSON object")  # noqa: TRY004  every refusal is a ValueError
    return fields


def _take_out_long_texts(body: bytes | bytearray, placeholder: str) -> tuple[bytes, dict[str, LongText]]:
    little, long_texts = bytearray(), dict[str, LongText]()
    view = memoryview(body)
    room, room_for_texts = STRUCTURE_BYTES, SHORT_TEXTS_BYTES
    at = len(BYTE_ORDER_MARK) if body.startswith(BYTE_ORDER_MARK) else 0
    while True:
        quote = body.find(b'"', at, at + room + 1)
        if quote < 0:
            break
        room -= quote - at + 2
        end = _end_of_text(body, quote + 1)
        if end - quote > LONG_BYTES:
            if len(long_texts) == MOST_LONG_TEXTS:
                raise ValueError("The body has too many long texts")
            name = f"{placeholder}{len(long_texts)}"
            long_texts[name] = LongText(view[quote + 1 : end])
            little += body[at:quote] + f'"{name}"'.encode()
        else:
            room_for_texts -= end - quote
            little += body[at : end + 1]
        at = end + 1
        if room_for_texts < 0:
            raise ValueError("The body has too much text apart from its photos")
        if room < 0:
            break
    if len(body) - at > room:
        raise ValueError("The body has too many members or too much space between them")
    return bytes(little + body[at:]), long_texts


def _end_of_text(body: bytes | bytearray, start: int) -> int:
    """Give the position of the closing quote. A long text must have no escaped quote, as base64 has none."""
    within = min(start + LONG_BYTES, len(body))
    quote = body.find(b'"', start, within)
    short = within if quote < 0 else quote
    if body.find(b"\\", start, short) >= 0:  # this search is ten times as fast as the match
        text = _SHORT_TEXT.match(body, start, within)
        assert text  # it matches at least the empty text
        short = text.end()
    end = body.find(b'"', short)
    if end < 0 or (end > short and body[end - 1] == ord("\\")):
        raise ValueError("The body is not well-formed JSON")
    return end


def _whole_number(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError("The body has a number with too many digits")
    return int(digits)


def _number(digits: str) -> int | float:
    number = float(digits)
    return int(number) if number.is_integer() else number


def _no_number(name: str) -> float:
    raise ValueError(f"The body is not well-formed JSON: it has {name}")
