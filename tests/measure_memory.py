"""Decode large photos in a separate process, and print the memory of each as JSON (``engine/photo/test_budgets.py``)."""

import ctypes
import gc
import json
import sys
from pathlib import Path

import cv2

from likeness.engine.photo import decoding as photos

sys.path.insert(0, str(Path(__file__).parent))
from photo_files import large_photos


def kibibytes(entry: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(entry))


def main() -> None:
    cv2.setNumThreads(1)
    trim = ctypes.CDLL(None).malloc_trim
    photos.decode(next(large_photos())[1])  # the first use loads libraries, which belong to no photo
    for name, photo in large_photos():
        gc.collect()
        trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the peak
        before = kibibytes("VmRSS:")
        photos.decode(photo)
        header = photos.read_header(photo)
        taken = (kibibytes("VmHWM:") - before) * 1024
        sys.stdout.write(json.dumps([name, header.width * header.height, header.bytes_needed, taken]) + "\n")


main()
