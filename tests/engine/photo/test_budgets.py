"""No photo takes more memory or time than its budget, and the photos of phones are accepted."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from likeness.engine.photo import decoding as photos
from likeness.engine.photo import header as headers
from likeness.engine.photo.header import Reduction
from likeness.errors import InvalidImage
from photo_files import PALETTE, chunk, empty_png, plain_jpeg, png

MEASURE = Path(__file__).parents[2] / "measure_memory.py"


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="only Linux reports the peak of a process's memory"
)
def test_no_kind_of_photo_takes_more_memory_than_its_header_tells_nor_than_eight_bytes_a_pixel() -> None:
    measured = subprocess.run([sys.executable, MEASURE], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in measured.stdout.splitlines()]
    assert len(lines) == 13
    for name, pixels, estimated, taken in lines:
        assert estimated <= max(8 * pixels, headers.BYTES_SMALL), name
        assert estimated <= headers.BYTES_MAX, name
        assert taken <= estimated, name


@pytest.mark.parametrize(
    "photo",
    [
        empty_png(12_001, 10, 8, 0),
        empty_png(10, 12_001, 8, 0),
        plain_jpeg(12_001, 8),
        png(1, 50_000_000, 1, 0, bytes(100_000)),
        empty_png(6144, 4097, 1, 0),
        empty_png(7071, 7071, 1, 0),
        plain_jpeg(8192, 6145),
        empty_png(6144, 4096, 16, 6),
        plain_jpeg(8192, 6144, progressive=True, subsampling=0),
        plain_jpeg(5120, 4096, "CMYK", progressive=True),
    ],
    ids=[
        "wide",
        "high",
        "wide JPEG",
        "one column",
        "large PNG",
        "bomb",
        "large JPEG",
        "deep PNG",
        "coefficients",
        "inks",
    ],
)
def test_a_photo_beyond_a_budget_is_refused_by_its_header(photo: bytes) -> None:
    with pytest.raises(InvalidImage):
        photos.read_header(photo)


@pytest.mark.parametrize("size", [(8192, 6144), (8160, 6144), (12_000, 4000), (500, 8000)])
def test_what_phones_take_is_let_in(size: tuple[int, int]) -> None:
    header = photos.read_header(plain_jpeg(*size))
    assert header.size == size
    assert header.bytes_needed <= 8 * size[0] * size[1] + headers.BYTES_SMALL


@pytest.mark.parametrize("filler", [b"\xff" * 5_000_000, b"\xff\xfe\0\2" * 4_000, b"\xff\x01" * 4_000])
def test_fill_bytes_and_empty_segments_before_the_pixels_mean_nothing(filler: bytes) -> None:
    plain = plain_jpeg(64, 48)
    assert np.array_equal(photos.decode(plain[:2] + filler + plain[2:]), photos.decode(plain))


@pytest.mark.parametrize("filler", [b"\xff\xfe\0\2", b"\xff\x01", b"\xff\xd0", b"\xff\xe0\0\2"])
def test_pieces_that_each_cost_a_step_are_bounded_in_number(filler: bytes) -> None:
    plain = plain_jpeg(64, 48)
    with pytest.raises(InvalidImage, match="too many segments"):
        photos.read_header(plain[:2] + filler * 6_000 + plain[2:])
    with pytest.raises(InvalidImage, match="too many"):
        photos.read_header(plain[:-2] + b"\xff\xda\0\x08scan.." * 200 + filler * 6_000 + plain[-2:])


def test_a_large_photo_is_halved_while_it_is_decoded() -> None:
    assert photos.decode(empty_png(6144, 4096, 8, 2)).shape == (2048, 3072, 3)
    assert photos.decode(plain_jpeg(4097, 3072)).shape == (1536, 2049, 3)
    assert photos.decode(plain_jpeg(4096, 3072)).shape == (3072, 4096, 3)


@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("size", [(64, 48), (61, 43), (700, 900)])
def test_a_png_is_averaged_down_in_bands(
    size: tuple[int, int], reduction: Reduction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "_BAND_PIXELS", 2_000)
    pixels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = photos.read_header(png(*size, 8, 2, rows))
    expected = np.asarray(Pillow.fromarray(pixels).reduce(reduction))
    assert np.array_equal(photos.decode_pixels(header, reduction=reduction), expected)
    assert photos.Picture(header).at(reduction).shape == expected.shape


@pytest.mark.parametrize(
    ("depth", "colour", "extra"), [(1, 0, ()), (8, 3, (PALETTE, chunk(b"tRNS", b"\0\xff"))), (16, 6, ())]
)
def test_bands_and_the_whole_are_the_same(
    depth: int, colour: int, extra: tuple[()] | tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = empty_png(70, 50, depth, colour, *extra)
    whole = photos.decode(photo)
    monkeypatch.setattr(photos, "_BAND_PIXELS", 100)
    assert np.array_equal(photos.decode(photo), whole)
