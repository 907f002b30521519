"""The parser of a ``multipart/form-data`` body (RFC 7578, RFC 2046 §5.1) in memory.

So a face is never on the disk unencrypted.
"""

from collections.abc import Iterator
from email.message import Message
from email.parser import BytesHeaderParser
from functools import lru_cache

from likeness.web.json_object import CHUNK_BYTES

MOST_PARTS = 40
LONGEST_HEAD_BYTES = 4096
LONGEST_CONTENT_TYPE = 1024


def read_form(body: bytes | bytearray, content_type: str) -> dict[str, bytes | str]:
    """Give the parts by name: a file's content as bytes, any other part as text.

    A part is a file if it has a file name, or if its content is not text. Empty parts are skipped. Raises ValueError,
    whose message is a sentence without its full stop.
    """
    fields: dict[str, bytes | str] = {}
    names = set[str]()
    for head, content in _parts(body, _boundary(content_type)):
        name, is_file = _head(head)
        if name in names:
            raise ValueError(f"{name[:64]} is given twice")
        names.add(name)
        if content:
            fields[name] = content if is_file else _text(content)
    return fields


@lru_cache(maxsize=64)
def _head(head: bytes) -> tuple[str, bool]:
    """Give a part's name, and whether it is a file. Callers send the same few heads again and again."""
    message = BytesHeaderParser().parsebytes(head)
    name = message.get_param("name", header="content-disposition")
    if not isinstance(name, str) or message.get_content_disposition() != "form-data":
        raise ValueError("A part of the form has no name")
    return name, message.get_filename() is not None


@lru_cache(maxsize=64)
def _boundary(content_type: str) -> bytes:
    message = Message()
    if len(content_type) <= LONGEST_CONTENT_TYPE:
        message["Content-Type"] = content_type
    boundary = message.get_boundary("")
    if not 1 <= len(boundary) <= 70 or not boundary.isascii():
        raise ValueError("The form's content type has no boundary")
    return boundary.encode()


def _parts(body: bytes | bytearray, boundary: bytes) -> Iterator[tuple[bytes, bytes]]:
    delimiter = b"\r\n--" + boundary
    at = len(delimiter) - 2 if body.startswith(delimiter[2:]) else _after(body, delimiter, 0)  # after a preamble
    for _ in range(MOST_PARTS):
        if body.startswith(b"--", at):  # bytes after the last part are ignored
            return
        start = _after(body, b"\r\n", at, within=LONGEST_HEAD_BYTES)
        if body[at : start - 2].strip(b" \t"):
            raise ValueError("The form is not well-formed")
        # A part may have no head. Then its empty line comes first.
        content = (
            start + 2
            if body.startswith(b"\r\n", start)
            else _after(body, b"\r\n\r\n", start, within=LONGEST_HEAD_BYTES)
        )
        at = _after(body, delimiter, content - 2)
        with memoryview(body) as view:  # a slice of a bytearray would be one, too, and copied once more to bytes
            yield bytes(view[start:content]), bytes(view[content : at - len(delimiter)])
    raise ValueError(f"A form may have at most {MOST_PARTS} parts")


def _after(body: bytes | bytearray, mark: bytes, start: int, *, within: int | None = None) -> int:
    end = len(body) if within is None else min(start + within, len(body))
    for at in range(start, end, CHUNK_BYTES):
        found = body.find(mark, at, min(at + CHUNK_BYTES + len(mark) - 1, end))
        if found >= 0:
            return found + len(mark)
    raise ValueError("The form is not well-formed")


def _text(content: bytes) -> bytes | str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content
