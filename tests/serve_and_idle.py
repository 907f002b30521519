"""Serves the folder that is its argument, matches two photos, and idles longer than telemetry waits before it reports."""

import sys
import time
from pathlib import Path

from likeness.cli.demo.photos import load_photos
from processes import server_process

IDLE_SECONDS = 15
"""ONNX Runtime's telemetry asks for its maker's name nine seconds after it was imported."""

photos = load_photos()
with server_process(Path(sys.argv[1]), pack="builtin", workers=1) as server, server.client() as http:
    files = {"sourceImage": photos.astronaut, "targetImage": photos.astronaut_again["cropped"]}
    reply = http.post("/api/v1/face/match", files={name: (f"{name}.jpg", photo) for name, photo in files.items()})
    assert reply.status_code == 200, reply.text
    assert reply.json()["match"] is True
    time.sleep(IDLE_SECONDS)
