"""The memory of a served process of `builtin`, idle and under load.

    python benchmarks/memory.py [--quick] [--json PATH]

`likeness serve` runs in a process of its own, with as many workers as there are cores. Eight clients make matches and searches of photos of
many sizes and kinds: baseline and progressive JPEGs of up to 24 megapixels, PNGs of up to 12. Then they send the photos that take the most
memory of all that are let in, which show nobody.
The kernel tells what is resident, and the greatest that was resident during a load (`VmHWM`).

Needs the group `demo` (photos).
"""

import argparse
import io
import itertools
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pillow

from calls import FORM, INSERT, JSON, MATCH, SEARCH, Connection, Process, body_of, expect, request_of, serving
from cores import cores
from engine import portrait
from figures import Report
from likeness.cli.demo.photos import load_photos

MOST_IDLE_MB, MOST_LOADED_MB = 350, 500
CLIENTS = 8
SETTLING_SECONDS = 3
FULL_SECONDS, QUICK_SECONDS = 60.0, 5.0
MOST_PHOTO_BYTES = 5 << 20
ANSWERS = {200, 400}
"""Of photos that show nobody, too."""


# --- Photos


def usual_photos() -> list[bytes]:
    """Give photos as callers send them, from 0.1 to 24 megapixels."""
    photos = load_photos()
    sizes = (320, 240), (640, 480), (480, 640), (1024, 768), (1200, 1600), (1632, 1224), (1920, 1080)
    large = portrait(photos, (4032, 3024))
    made = [portrait(photos, size) for size in (*sizes, (3024, 4032), (6000, 4000))]
    made += [large, progressive(large), progressive(made[-1]), photos.group]
    return [*made, *(png(large, size) for size in ((816, 612), (2000, 1500), (4000, 3000)))]


def costly_photos() -> list[bytes]:
    """Give photos of some kilobytes that take nearly as much memory as a photo may."""
    grey = Pillow.new("RGB", (6144, 4096), (120, 120, 120))
    clear = Pillow.new("RGBA", (4096, 3072), (120, 120, 120, 100))
    inks = Pillow.new("CMYK", (4096, 3072), (120, 120, 120, 0))
    return [
        stored(grey, "PNG"),
        stored(grey.convert("L"), "PNG"),
        stored(clear, "PNG"),
        stored(inks, "JPEG"),
        stored(grey.resize((8192, 6144)), "JPEG", progressive=True),
        stored(grey.resize((6000, 4500)), "JPEG", progressive=True, subsampling=0),
    ]


def stored(picture: Pillow.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def progressive(jpeg: bytes) -> bytes:
    return stored(Pillow.open(io.BytesIO(jpeg)), "JPEG", progressive=True, quality=85)


def png(jpeg: bytes, size: tuple[int, int]) -> bytes:
    """Give a photo as a PNG of ``size``, in fewer colours, so that it is not too large to be sent."""
    image = np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))
    few = np.asarray(cv2.resize(image, size), np.uint8) & np.uint8(0xF0)
    return bytes(cv2.imencode(".png", few)[1])


# --- The server


class Memory:
    """What a process has of memory, in MB, as the kernel tells it."""

    def __init__(self, process: Process) -> None:
        self._folder = Path(f"/proc/{process.pid}")

    def resident(self) -> float:
        return self._read("status", "VmRSS")

    def own(self) -> float:
        """Give what is resident and shared with no other process."""
        return self._read("smaps_rollup", "Private_Dirty") + self._read("smaps_rollup", "Private_Clean")

    def peak(self) -> float:
        return self._read("status", "VmHWM")

    def forget_peak(self) -> None:
        (self._folder / "clear_refs").write_text("5")

    def _read(self, file: str, name: str) -> float:
        lines = (self._folder / file).read_text().splitlines()
        return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) / 1024


def load(port: int, token: str, photos: list[bytes], seconds: float) -> int:
    """Make matches and searches of the photos with all clients; give how many calls were made."""
    requests = []
    for photo, other in zip(photos, [*photos[1:], photos[0]], strict=True):
        for kind in (FORM, JSON):
            requests.append(request_of(MATCH, kind, body_of(kind, sourceImage=photo, targetImage=other), token))
            requests.append(request_of(SEARCH, kind, body_of(kind, idPhoto=photo), token))
    turn, end, statuses = itertools.count(), time.monotonic() + seconds, list[int]()

    def go_on() -> None:
        connection = Connection(port)
        while time.monotonic() < end:
            statuses.append(connection.call(requests[next(turn) % len(requests)])[0])
        connection.close()

    threads = [threading.Thread(target=go_on) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if unexpected := set(statuses) - ANSWERS:
        raise SystemExit(f"calls were answered with {sorted(unexpected)}")
    return len(statuses)


def measure_server(report: Report, seconds: float) -> None:
    usual, costly = usual_photos(), costly_photos()
    assert max(map(len, usual + costly)) <= MOST_PHOTO_BYTES
    with serving("likeness", "serve", script="-m", pack="builtin", workers=cores(), entries=0) as (
        process,
        port,
        token,
    ):
        memory = Memory(process)
        time.sleep(SETTLING_SECONDS)
        report.at_most("idle: resident", memory.resident(), "MB", MOST_IDLE_MB)
        report.add("idle: shared with no other process", memory.own(), "MB")
        report.at_most("start: peak", memory.peak(), "MB", MOST_LOADED_MB)
        connection = Connection(port)
        expect(connection.call(request_of(INSERT, FORM, body_of(FORM, idPhoto=usual[1]), token)))
        connection.close()
        for name, photos in (("loaded", usual), ("loaded with the costliest photos", costly)):
            memory.forget_peak()
            report.add(f"{name}: calls", load(port, token, photos, seconds), "")
            report.at_most(f"{name}: peak", memory.peak(), "MB", MOST_LOADED_MB)
            time.sleep(SETTLING_SECONDS)
            report.at_most(f"{name}: resident afterwards", memory.resident(), "MB", MOST_IDLE_MB)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few seconds of load; ends within a minute")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    report = Report(f"memory: a served process of builtin, {cores()} workers")
    measure_server(report, QUICK_SECONDS if options.quick else FULL_SECONDS)
    if not report.publish(options.json):
        sys.exit(1)


if __name__ == "__main__":
    main()
