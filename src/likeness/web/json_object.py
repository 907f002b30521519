"""Reading a JSON object from a stranger without holding the interpreter for more than a moment.

``json.loads`` keeps the interpreter until it is done, on a thread too: twelve seconds for 13 MB of brackets. What this
API takes is flat, and only its photos are long. So the long texts are taken out first, chunk by chunk; what is left
must be little, and only that is parsed. A body is refused as soon as too much is left.
"""

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

LONG_BYTES = 32 * 1024
"""A text with more bytes than this is long; no member but a photo may be."""
SHORT_TEXTS_BYTES = 512 * 1024
"""Most bytes of all short texts: room for 32 labels of full length, every character escaped."""
STRUCTURE_BYTES = 16 * 1024
"""Most bytes beside what texts hold: quotes, punctuation, numbers, indentation."""
MOST_LONG_TEXTS = 8
LONGEST_NUMBER = 32
CHUNK_BYTES = 64 * 1024
"""What compiled code is given at once: it keeps the interpreter until it is done."""
LONGEST_ESCAPE = len(rb"\u002b")
_SHORT_TEXT = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)


@dataclass(frozen=True, slots=True)
class LongText:
    """A text as it stands in the body, between its quotes."""

    escaped: memoryview

    def chunks(self) -> Iterator[bytes]:
        """Give the text itself, in UTF-8, chunk by chunk.

        Raises ValueError when its escapes are none that base64 may have.
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
                    chunk = json.loads(b'"%b"' % chunk).encode(errors="surrogatepass")
                except json.JSONDecodeError as error:
                    raise ValueError("has a malformed escape") from error
            yield chunk


def read_object(body: bytes) -> dict[str, Any]:
    """Give the members of a JSON object (RFC 8259); a long text is a :class:`LongText`.

    Raises ValueError, as a sentence without its end.

    A whole number may be written as ``3.0``; a name may be given once.
    """
    placeholder = secrets.token_hex(16)  # nobody can have written it into the body
    little, long_texts = _take_out_long_texts(body.removeprefix(b"\xef\xbb\xbf"), placeholder)

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = {name: long_texts.get(value, value) if isinstance(value, str) else value for name, value in pairs}
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
    if not isinstance(fields, dict):
        raise ValueError("The body must be a JSON object")  # noqa: TRY004  one kind of refusal
    return fields


def _take_out_long_texts(body: bytes, placeholder: str) -> tuple[bytes, dict[str, LongText]]:
    little, long_texts = bytearray(), dict[str, LongText]()
    view = memoryview(body)
    room, room_for_texts, at = STRUCTURE_BYTES, SHORT_TEXTS_BYTES, 0
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
            raise ValueError("The body has too much text beside its photos")
        if room < 0:
            break
    if len(body) - at > room:
        raise ValueError("The body has too many members or too much space between them")
    return bytes(little + body[at:]), long_texts


def _end_of_text(body: bytes, start: int) -> int:
    """Give where the closing quote is. A long text has none that is escaped: no base64 has."""
    within = min(start + LONG_BYTES, len(body))
    quote = body.find(b'"', start, within)
    short = within if quote < 0 else quote
    if body.find(b"\\", start, short) >= 0:  # looking for one is ten times as fast as matching
        text = _SHORT_TEXT.match(body, start, within)
        assert text  # at the least nothing
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
