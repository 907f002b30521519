"""What is fuzzed: each target takes any bytes, and fails if the code breaks its promise.

A promise is more than the absence of a crash: what is refused raises the documented error, and what is accepted agrees
with an independent reading of the same bytes.
"""

import json
import math
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.engine.photo.decoding import decode_pixels, read_header
from likeness.engine.photo.header import Reduction
from likeness.errors import InvalidImage, InvalidInput, UnsupportedMediaType
from likeness.index import compiled
from likeness.index.exact import ExactIndex
from likeness.index.reference import ReferenceIndex
from likeness.index.scans import CompiledScan
from likeness.sessions.capture.messages import read_command, read_hello, split_frame
from likeness.web.form import MOST_PARTS, read_form
from likeness.web.json_object import LONG_BYTES, LongText, read_object
from likeness.web.wire import decode_base64

REDUCTIONS: tuple[Reduction, ...] = (1, 2, 4, 8)
PIXELS = 1 << 20
"""Larger photos are not decoded here: each would take a second."""


def photo(data: bytes) -> None:
    """Decode a photo. The pixels have the header's size."""
    try:
        header = read_header(data)
        header.check_memory()
        if header.width * header.height > PIXELS:
            return
        for reduction in REDUCTIONS:
            pixels = decode_pixels(header, reduction=reduction)
            width, height = header.size
            assert pixels.dtype == np.uint8
            assert pixels.shape == (-(-height // reduction), -(-width // reduction), 3), (pixels.shape, header.size)
    except (InvalidImage, UnsupportedMediaType):
        pass


def form(data: bytes) -> None:
    """Read a form. The first line is its content type. Every value is a piece of the body."""
    content_type, _, body = data.partition(b"\n")
    try:
        fields = read_form(body, content_type.decode("latin-1"))
    except UnicodeError:
        raise
    except ValueError:
        return
    assert len(fields) <= MOST_PARTS
    for name, value in fields.items():
        assert isinstance(name, str)
        assert (value.encode() if isinstance(value, str) else value) in body


def json_object(data: bytes) -> None:
    """Read a JSON body. What is accepted is what Python's own parser reads."""
    try:
        fields = _plain(read_object(data))
    except (UnicodeDecodeError, json.JSONDecodeError):
        if not _is_long_and_not_utf8(data):
            raise
        return
    except ValueError:
        return
    # A line may be broken within a long text: it is base64, in which white space has no meaning.
    assert fields == json.loads(data.decode("utf-8-sig"), strict=False)


def _is_long_and_not_utf8(data: bytes) -> bool:
    """Whether the reader leaves the judgement of a long text's bytes to the reader of that text."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return len(data) > LONG_BYTES
    return False


def _plain(value: Any) -> Any:
    if isinstance(value, LongText):
        text = b"".join(value.chunks())
        with_photo(text)
        return text.decode(errors="surrogatepass")
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def with_photo(text: bytes) -> None:
    """Decode a photo's base64, whole and in small chunks. Both give the same bytes or the same refusal."""

    def read(size: int) -> bytes | None:
        try:
            return decode_base64([text[start : start + size] for start in range(0, len(text), size)])
        except ValueError:
            return None

    if text:
        assert read(len(text)) == read(max(1024, len(text) // 3))


def message(data: bytes) -> None:
    """Read a message of the capture socket. The first byte says which kind."""
    kind, content = data[:1], data[1:]
    with suppress(InvalidInput):
        if kind == b"f":
            header, jpeg = split_frame(content)
            assert content.endswith(jpeg)
            assert jpeg
            assert header.t is None or math.isfinite(header.t)
            assert header.flash is None or 0 <= header.flash <= 1000
        else:
            (read_hello if kind == b"h" else read_command)(content.decode(errors="replace"))


class _Bytes:
    """Draws numbers from bytes. After the end, every number is 0."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def below(self, limit: int) -> int:
        self._at += 2
        return int.from_bytes(self._data[self._at - 2 : self._at], "little") % limit

    def floats(self, count: int) -> NDArray[np.float32]:
        """Give finite numbers, with every bit drawn."""
        self._at += 4 * count
        found = self._data[self._at - 4 * count : self._at].ljust(4 * count, b"\0")
        numbers = np.frombuffer(found, "<f4").copy()
        numbers[~np.isfinite(numbers)] = 1.0
        return np.clip(numbers, -16, 16)


def scan(data: bytes) -> None:
    """Search with a compiled kernel after any history. The answers are those of plain sums."""
    if not compiled.BUILT:
        return
    drawn = _Bytes(data)
    kernels = compiled.kernels()
    dimension = (1, 2, 3, 8, 65, 128)[drawn.below(6)]
    kernel = kernels[drawn.below(len(kernels))][0]
    exact = ExactIndex(dimension, scan=CompiledScan(kernel), chunk_rows=64)
    reference = ReferenceIndex(dimension)
    for _ in range(8):
        if not drawn:
            break
        for step in _steps(drawn, dimension):
            assert step(exact) == step(reference)
    for call in _raw_steps(_Bytes(data), dimension, kernel):
        call()


def _steps(drawn: _Bytes, dimension: int) -> Iterator[Callable[[Any], Any]]:
    kind, key, few = drawn.below(6), drawn.below(64), drawn.below(48)
    row = drawn.floats(dimension)
    least = (-math.inf, -1.0, 0.0, 1e-45, 0.3, 1.0, math.inf)[drawn.below(7)]
    match kind:
        case 0 | 1:
            yield lambda index: index.add(key, row)
        case 2:
            rows = np.stack([np.roll(row, turn) * (1 - turn / 256) for turn in range(few)]) if few else row[None][:0]
            yield lambda index: index.add_many(range(key, key + len(rows)), rows.astype(np.float32))
        case 3:
            yield lambda index: index.remove(key)
        case 4:
            yield lambda index: index.search(row, k=1 + few, minimum_score=least)
        case _:
            yield lambda index: index.above(row, least)


def _raw_steps(drawn: _Bytes, dimension: int, kernel: str) -> Iterator[Callable[[], None]]:
    """Call the compiled module with buffers whose sizes may not fit. It checks them before it reads."""
    counts = [drawn.below(200) for _ in range(8)]
    rows, pitch, half = counts[0], 64 * (counts[1] % 4), 64 * (counts[2] % 3)
    codes, halves = np.zeros((rows, pitch), np.uint8), np.zeros((counts[3], half), np.uint8)
    terms, half_terms = np.zeros(counts[4], np.uint32), np.zeros(counts[5], np.uint32)
    vectors = np.zeros((counts[6] % 9, dimension), np.float32)

    def attempt(call: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            with suppress(ValueError, TypeError, BufferError, OverflowError):
                call()

        return run

    signs = np.ones(counts[7] % 130, np.float32)
    yield attempt(lambda: compiled.encode(vectors, signs, counts[7], codes, terms, halves, half_terms))
    part = (codes, terms, halves, half_terms, None, None, counts[7])
    factors, wanted = np.zeros((counts[6] % 9, pitch), np.int8), np.ones(counts[6] % 9, np.int64)
    bounds = np.zeros((counts[6] % 9, 7))
    yield attempt(lambda: compiled.scan(kernel, (part,), vectors, factors, wanted, bounds))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "photo": photo,
    "form": form,
    "json": json_object,
    "message": message,
    "scan": scan,
}


def packed(header: bytes, content: bytes) -> bytes:
    """Pack a frame's message."""
    return b"f" + struct.pack(">H", len(header)) + header + content
