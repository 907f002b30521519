import io
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageOps, PngImagePlugin

from likeness.engine.photo import decoding as photos
from likeness.engine.photo.header import Reduction
from likeness.errors import InvalidImage, LikenessError, UnsupportedMediaType
from photo_files import chunk, png

GRADIENT = np.stack(np.meshgrid(np.arange(60) * 4, np.arange(40) * 6), axis=2).astype(np.uint8)
RGB = np.dstack([GRADIENT, np.full((40, 60), 90, np.uint8)])


def stored(picture: Pillow.Image | np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    if isinstance(picture, np.ndarray):
        picture = Pillow.fromarray(picture)
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def test_png_is_exact() -> None:
    assert np.array_equal(photos.decode(stored(RGB)), RGB)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}])
def test_jpeg_is_near(options: dict[str, bool] | dict[str, int]) -> None:
    decoded = photos.decode(stored(RGB, "JPEG", quality=95, **options))
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - RGB).mean() < 3


@pytest.mark.parametrize("progressive", [False, True])
def test_what_a_phone_appends_to_a_jpeg_counts_for_nothing(progressive: bool) -> None:
    jpeg = stored(RGB, "JPEG", quality=95, progressive=progressive)
    film = b"\xff\xda\0\x08film" * 300
    assert np.array_equal(photos.decode(jpeg + film), photos.decode(jpeg))


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
def test_jpeg_at_reduced_scale(reduction: Reduction) -> None:
    header = photos.read_header(stored(Pillow.fromarray(RGB).resize((601, 401)), "JPEG"))
    assert header.size == (601, 401)
    assert photos.decode_pixels(header, reduction=reduction).shape == (-(-401 // reduction), -(-601 // reduction), 3)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(form: str, orientation: int) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    photo = stored(RGB, form, exif=exif)
    with Pillow.open(io.BytesIO(photo)) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture))
    assert np.array_equal(photos.decode(photo), expected)
    assert photos.read_header(photo).size == expected.shape[1::-1]


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\xff\xff",
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0",
    ],
)
def test_exif_that_makes_no_sense_is_upright(exif: bytes) -> None:
    assert photos.decode(stored(RGB, "JPEG", exif=b"Exif\0\0" + exif)).shape == RGB.shape


@pytest.mark.parametrize(("kind", "layout"), [(1, "B3x"), (3, "H2x"), (4, "I"), (6, "b3x"), (8, "h2x"), (9, "i")])
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_orientation_of_any_integer_type(kind: int, layout: str, order: str) -> None:
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    tiff = mark + struct.pack(f"{order}IHHHI{layout}", 8, 1, 0x0112, kind, 1, 6)
    assert photos.read_header(stored(RGB, "JPEG", exif=b"Exif\0\0" + tiff)).orientation == 6
    elsewhere = mark + struct.pack(f"{order}IHHHI{layout}", 8, 1, 0x0112, kind, 5, 6)
    assert photos.read_header(stored(RGB, "JPEG", exif=b"Exif\0\0" + elsewhere)).orientation == 1


@pytest.mark.parametrize("reduction", [1, 2])
@pytest.mark.parametrize("adobe", [True, False])
def test_inks_of_a_jpeg_are_inverted_only_where_it_says_so(adobe: bool, reduction: Reduction) -> None:
    inks = np.asarray(Pillow.fromarray(RGB).resize((120, 80)).convert("CMYK"))
    photo = stored(
        Pillow.fromarray(inks if adobe else ~inks, "CMYK"), "JPEG", quality=95
    )  # Pillow inverts the inks and declares it
    start = photo.index(b"\xff\xee")
    if not adobe:
        photo = photo[:start] + photo[start + 2 + int.from_bytes(photo[start + 2 : start + 4], "big") :]
    decoded = photos.decode_pixels(photos.read_header(photo), reduction=reduction)
    expected = np.asarray(Pillow.fromarray(RGB).resize((120 // reduction, 80 // reduction)))
    assert np.abs(decoded.astype(int) - expected).mean() < 5


def test_cmyk_and_grey_jpeg() -> None:
    assert photos.decode(stored(Pillow.fromarray(RGB).convert("CMYK"), "JPEG", quality=95)).shape == RGB.shape
    grey = photos.decode(stored(RGB[:, :, 0], "JPEG", quality=95))
    assert np.array_equal(grey[:, :, 0], grey[:, :, 2])


def test_grey_palette_and_sixteen_bit_png() -> None:
    grey = photos.decode(stored(RGB[:, :, 0]))
    assert np.array_equal(grey, np.repeat(RGB[:, :, :1], 3, axis=2))
    palette = Pillow.fromarray(RGB).quantize(16)
    assert np.array_equal(photos.decode(stored(palette)), np.asarray(palette.convert("RGB")))
    deep = RGB[:, :, 0].astype(np.uint16) * 257
    assert np.array_equal(photos.decode(stored(deep))[:, :, 1], RGB[:, :, 0])
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in RGB.reshape(40, -1).astype(np.uint16) * 257)
    assert np.array_equal(photos.decode(png(60, 40, 16, 2, rows)), RGB)


def test_alpha_lies_on_white() -> None:
    alpha = np.zeros((40, 60), np.uint8)
    alpha[:20] = 255
    for picture in (np.dstack([RGB, alpha]), np.dstack([RGB[:, :, 0], alpha])):
        decoded = photos.decode(stored(Pillow.fromarray(picture, "RGBA" if picture.shape[2] == 4 else "LA")))
        assert (decoded[20:] == 255).all()
        assert np.array_equal(decoded[:20, :, 0], RGB[:20, :, 0])


@pytest.mark.parametrize(
    ("depth", "colour", "row", "transparent"),
    [
        (1, 0, b"\x40", b"\xff\x00"),
        (2, 0, b"\x10", b"\x00\x00"),
        (8, 0, b"\x00\x09\x00\x00", b"\x00\x00"),
        (16, 0, b"\x00\x00\x09\x00\x00\x00\x00\x00", b"\x00\x00"),
        (8, 2, b"\0\0\0\x09\x09\x09\0\0\0\0\0\0", b"\0" * 6),
        (16, 2, b"\0" * 6 + b"\x09" * 6 + b"\0" * 12, b"\0" * 6),
    ],
)
def test_a_transparent_colour_is_white(depth: int, colour: int, row: bytes, transparent: bytes) -> None:
    decoded = photos.decode(png(4, 1, depth, colour, b"\0" + row, chunk(b"tRNS", transparent)))
    assert [bool((pixel == 255).all()) for pixel in decoded[0]] == [True, (depth, colour) == (1, 0), True, True]


def test_transparent_palette() -> None:
    rows = b"\0\0\x01"
    extra = (chunk(b"PLTE", bytes(range(6))), chunk(b"tRNS", b"\0\xff"))
    assert photos.decode(png(2, 1, 8, 3, rows, *extra)).tolist() == [[[255, 255, 255], [3, 4, 5]]]


def test_apng_gives_its_first_picture() -> None:
    photo = stored(Pillow.fromarray(RGB), save_all=True, append_images=[Pillow.new("RGB", (60, 40))])
    assert b"acTL" in photo
    assert np.array_equal(photos.decode(photo), RGB)


@pytest.mark.parametrize("photo", [b"", b"GIF89a", b"RIFF....WEBP", b"BM", b"<svg/>", b"\xff\xd8", b"%PDF"])
def test_other_formats(photo: bytes) -> None:
    with pytest.raises(UnsupportedMediaType):
        photos.decode(photo)


JPEG = stored(RGB, "JPEG")
PNG = stored(RGB)


@pytest.mark.parametrize(
    "photo",
    [
        JPEG[: len(JPEG) // 2],
        JPEG[:4],
        JPEG[:-20],
        JPEG[:2] + JPEG[-2:],
        JPEG.replace(b"\xff\xc0", b"\xff\xc9"),
        JPEG.replace(b"\xff\xc0", b"\xff\xfe"),
        JPEG.replace(b"\xff\xda", b"\xff\xc0\0\x0b\x08\0\x10\0\x10\x01\0\x11\0\xff\xda", 1),
        JPEG.replace(b"\0\x28\0\x3c\x03", b"\0\0\0\x3c\x03"),
        JPEG.replace(b"\0\x28\0\x3c\x03", b"\0\x28\0\x3c\x02"),
        JPEG.replace(b"\0\x28\0\x3c\x03", b"\x20\x00\x10\0\x03"),
        JPEG[:-2] + JPEG[JPEG.index(b"\xff\xda") : -2] * 200 + b"\xff\xd9",
        PNG[: len(PNG) // 2],
        PNG[:8],
        PNG[:-4],
        PNG.replace(b"IDAT", b"IDAU"),
        PNG[:60] + b"\x55" + PNG[61:],
        b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", b"") * 60_000,
        png(0, 5, 8, 0, b""),
        png(2, 2, 3, 0, b"\0" * 6),
        png(2, 2, 8, 3, b"\0" * 6),
        png(4000, 4000, 8, 2, b"\0" * 100),
        png(60, 40, 8, 2, b"\0" * 100),
        png(2, 2, 8, 2, b"\x09" * 14),
    ],
    ids=range(24),
)
def test_damage_and_lies(photo: bytes) -> None:
    with pytest.raises(InvalidImage):
        photos.decode(photo)


@pytest.mark.parametrize(("width", "height"), [(50_001, 1000), (2**31 - 1, 2**31 - 1), (65535, 65535)])
def test_bombs_are_refused_before_pixels_are_allocated(width: int, height: int) -> None:
    bomb = png(width, height, 8, 2, bytes(100_000))
    lie = JPEG.replace(b"\0\x28\0\x3c\x03", struct.pack(">HHB", min(height, 65535), min(width, 65535), 3))
    tracemalloc.start()
    for photo in (bomb, lie):
        with pytest.raises(InvalidImage):
            photos.decode(photo)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_compressed_texts_and_profiles_are_never_inflated() -> None:
    bombs = PngImagePlugin.PngInfo()
    bombs.add_text("comment", "a" * 30_000_000, zip=True)
    bombs.add_itxt("comment", "a" * 30_000_000, zip=True)
    photo = stored(Pillow.fromarray(RGB), pnginfo=bombs, icc_profile=b"\0" * 30_000_000)
    assert len(photo) < 200_000
    tracemalloc.start()
    assert np.array_equal(photos.decode(photo), RGB)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@settings(max_examples=150)
@given(st.sampled_from([JPEG, PNG, stored(RGB, "JPEG", progressive=True)]), st.data())
def test_flipped_bytes_never_do_worse_than_refusal(photo: bytes, data: st.DataObject) -> None:
    damaged = bytearray(photo)
    for position in data.draw(st.lists(st.integers(0, len(photo) - 1), min_size=1, max_size=6)):
        damaged[position] = data.draw(st.integers(0, 255))
    try:
        image = photos.decode(bytes(damaged[: data.draw(st.integers(1, len(photo)))]))
    except LikenessError:
        return
    assert image.ndim == 3
    assert image.shape[2] == 3


@pytest.mark.data
def test_hostile_files_are_decoded_or_refused(data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    outcomes = {"decoded": 0, "InvalidImage": 0, "UnsupportedMediaType": 0}
    for file in sorted((data / "hostile").rglob("*.*")):
        try:
            image = photos.decode(file.read_bytes())
        except LikenessError as error:
            outcomes[type(error).__name__] += 1
        else:
            assert image.dtype == np.uint8
            outcomes["decoded"] += 1
    assert outcomes["decoded"] > 300
    assert outcomes["InvalidImage"] > 10
    assert outcomes["UnsupportedMediaType"] > 15
    assert capfd.readouterr().err == ""
