"""The first inputs of each target, from which the fuzzer goes on. ``python tests/fuzz/seeds.py`` writes them."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from fuzz.targets import packed

CORPUS = Path(__file__).with_name("corpus")


def _photos() -> Iterator[bytes]:
    grey = np.arange(24 * 17, dtype=np.uint16).reshape(17, 24)
    picture = Pillow.fromarray(np.dstack([grey % 256, grey * 3 % 256, grey * 7 % 256]).astype(np.uint8))
    exif = Pillow.Exif()
    exif[0x0112] = 6

    def saved(image: Pillow.Image, form: str, **options: object) -> bytes:
        file = io.BytesIO()
        image.save(file, form, **options)
        return file.getvalue()

    for mode in ("RGB", "L", "CMYK"):
        yield saved(picture.convert(mode), "JPEG", quality=40)
    yield saved(picture, "JPEG", quality=40, progressive=True, exif=exif)
    yield saved(picture, "JPEG", quality=40, restart_marker_blocks=1, subsampling=2)
    for mode in ("RGB", "RGBA", "L", "LA", "P", "1"):
        yield saved(picture.convert(mode), "PNG")
    yield saved(Pillow.fromarray(grey), "PNG")
    yield saved(picture, "PNG", transparency=(1, 2, 3))
    yield saved(picture.convert("P"), "PNG", transparency=b"\x00\x80\xff")


def _forms() -> Iterator[bytes]:
    part = b'--b\r\nContent-Disposition: form-data; name="idPhoto"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\nx\r\n'
    text = b'--b\r\nContent-Disposition: form-data; name="externalId"\r\n\r\nabc\r\n'
    yield b"multipart/form-data; boundary=b\n" + part + text + b"--b--\r\n"
    yield b'multipart/form-data; boundary="b"\npreamble\r\n' + text + b"--b--\r\nepilogue"
    yield b"multipart/form-data; boundary*=utf-8''b\n" + text.replace(b"name=", b"name*=utf-8''") + b"--b--"
    yield b"multipart/form-data; boundary=b\n--b\r\n\r\nx\r\n--b--"


def _objects() -> Iterator[bytes]:
    yield b'{"idPhoto": "%b", "insert": true, "candidates": 3.0}' % (b"QUJD" * 9000)
    yield b'{"a": {"b": ["\\u00e9\\n", 1e3, null, -0.5, {}]}, "c": ""}'
    yield b'\xef\xbb\xbf {"a":"data:image/png;base64,QUJD"}'
    yield b'{"idPhoto": "%b"}' % (b"QU\\nJD\\u002b" * 3500)


def _messages() -> Iterator[bytes]:
    yield b"h" + json.dumps({"type": "hello", "token": "t", "device": "d" * 20, "maxAttempts": 2}).encode()
    for text in (
        {"type": "start", "flash": False, "camera": "c"},
        {"type": "qr"},
        {"type": "take"},
        {"type": "cancel"},
    ):
        yield b"c" + json.dumps(text).encode()
    yield packed(b'{"t": 12.5, "flash": 3}', b"\xff\xd8\xff")
    yield packed(b"{}", b"x")


def _scans() -> Iterator[bytes]:
    random = np.random.default_rng(0)
    for length in (64, 300, 1500):
        yield random.bytes(length)


SEEDS = {"photo": _photos, "form": _forms, "json": _objects, "message": _messages, "scan": _scans}


def main() -> None:
    for name, seeds in SEEDS.items():
        folder = CORPUS / name
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds()):
            (folder / f"seed-{number:02}").write_bytes(seed)


if __name__ == "__main__":
    main()
