import io
import struct
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pillow

from likeness.engine.photo import decoding as photos
from likeness.errors import InvalidImage, LikenessError, UnsupportedMediaType

GRADIENT = np.stack(np.meshgrid(np.arange(240), np.arange(320) // 2), axis=2).astype(np.uint8)
GREY = GRADIENT[:, :, 0]
RGB = np.dstack([GRADIENT, np.full((320, 240), 90, np.uint8)])


def stored(pixels: NDArray[np.uint8], **options: Any) -> bytes:
    out = io.BytesIO()
    Pillow.fromarray(pixels).save(out, "JPEG2000", **options)
    return out.getvalue()


def decode(photo: bytes) -> NDArray[np.uint8]:
    return photos.decode(photo, jpeg_2000=True)


CHIP = stored(GREY, quality_mode="rates", quality_layers=[5])
CODE = stored(GREY, no_jp2=True)
SIZ, COD = CODE.index(b"\xff\x51"), CODE.index(b"\xff\x52")


def patched(place: int, layout: str, *values: int) -> bytes:
    """Give the codestream with other numbers at a place."""
    piece = struct.pack(layout, *values)
    return CODE[:place] + piece + CODE[place + len(piece) :]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"no_jp2": True},
        {"num_resolutions": 1},
        {"tile_size": (128, 128)},
        {"quality_mode": "rates", "quality_layers": [40, 20, 2], "progression": "RLCP"},
        {"codeblock_size": (32, 32), "precinct_size": (128, 128)},
        {"plt": True, "comment": "a comment"},
    ],
)
@pytest.mark.parametrize("pixels", [GREY, RGB])
def test_pixels_are_those_of_the_file(options: dict[str, Any], pixels: NDArray[np.uint8]) -> None:
    decoded = decode(stored(pixels, **options))
    expected = pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
    assert decoded.shape == (320, 240, 3)
    assert np.abs(decoded.astype(int) - expected).mean() < 1.5


def test_another_encoder_is_understood() -> None:
    _, file = cv2.imencode(".jp2", RGB[:, :, ::-1], [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 200])
    assert np.abs(decode(file.tobytes()).astype(int) - RGB).mean() < 3


def test_it_is_refused_where_the_deployment_does_not_accept_it() -> None:
    for photo in (CHIP, CODE):
        with pytest.raises(UnsupportedMediaType, match="JPEG 2000"):
            photos.decode(photo)


def test_a_small_picture_of_it_is_averaged() -> None:
    with photos.Picture(photos.read_header(CHIP, jpeg_2000=True)) as picture:
        assert picture.at(2).shape == (160, 120, 3)
        assert (
            np.abs(picture.at(4)[:, :, 0].astype(int) - cv2.resize(GREY, (60, 80), interpolation=cv2.INTER_AREA)).max()
            < 4
        )


@pytest.mark.parametrize(
    ("photo", "message"),
    [
        (patched(SIZ + 6, ">2I", 1 << 20, 1 << 20), "pixels"),
        (patched(SIZ + 6, ">2I", 2000, 2000), "less data"),
        (patched(SIZ + 22, ">2I", 1, 1), "too many tiles"),
        (patched(SIZ + 38, ">H", 2), "neither grey nor RGB"),
        (patched(SIZ + 40, "B", 15), "8 bits"),
        (patched(SIZ + 41, "B", 2), "8 bits"),
        (patched(COD + 6, ">H", 65535), "too many parts"),
        (patched(COD + 9, "B", 32), "not supported"),
        (patched(COD + 10, "B", 9), "not supported"),
        (CODE[: SIZ + 30], "damaged"),
        (b"\xff\x4f\xff\x51", "damaged"),
        (CHIP[:60], "damaged"),
        (CHIP.replace(b"colr\x01\0\0\0\0\0\x11", b"colr\x01\0\0\0\0\0\x12"), "neither grey nor RGB"),
        (CODE[:COD] + b"\xff\x5f\0\x02" + CODE[COD:], "not supported"),
    ],
)
def test_what_no_portrait_needs_is_refused_before_it_is_decoded(photo: bytes, message: str) -> None:
    with pytest.raises(InvalidImage, match=message):
        photos.read_header(photo, jpeg_2000=True)


@pytest.mark.parametrize(("precincts", "code_block"), [(0x33, 4), (0xFF, 0), (0x00, 4)])
def test_many_precincts_and_code_blocks_are_refused(precincts: int, code_block: int) -> None:
    code = stored(np.zeros((2000, 2000), np.uint8), no_jp2=True, num_resolutions=1, quality_layers=[1])
    start = code.index(b"\xff\x52")
    end = start + 2 + int.from_bytes(code[start + 2 : start + 4], "big")
    coding = bytearray(code[start + 4 : end])
    coding[0] |= 1
    coding[6:8] = bytes((code_block, code_block))
    coding += bytes((precincts,)) * (coding[5] + 1)
    many = code[:start] + b"\xff\x52" + struct.pack(">H", len(coding) + 2) + coding + code[end:] + bytes(9000)
    with pytest.raises(InvalidImage, match="too many parts"):
        photos.read_header(many, jpeg_2000=True)


def test_a_tile_may_not_change_how_it_is_coded() -> None:
    sod = CODE.index(b"\xff\x93")
    style = CODE[COD : COD + 2 + int.from_bytes(CODE[COD + 2 : COD + 4], "big")]
    with pytest.raises(InvalidImage, match="not supported"):
        photos.read_header(CODE[:sod] + style + CODE[sod:], jpeg_2000=True)


def test_a_picture_that_needs_too_much_memory_is_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (1800, 1800, 3), np.uint8)
    grey = stored(noise[:, :, 0], quality_mode="rates", quality_layers=[60])
    assert decode(grey).shape == (1800, 1800, 3)
    with pytest.raises(InvalidImage, match="too much memory"):
        photos.read_header(stored(noise, quality_mode="rates", quality_layers=[60]), jpeg_2000=True)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_is_an_error_of_ours(data: st.DataObject) -> None:
    photo = bytearray(data.draw(st.sampled_from([CHIP, CODE])))
    for _ in range(data.draw(st.integers(1, 6))):
        photo[data.draw(st.integers(12, min(len(photo), 400) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode(bytes(photo[: data.draw(st.integers(20, len(photo)))]))
    except LikenessError:
        return
    assert decoded.dtype == np.uint8
