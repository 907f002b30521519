"""Serves the folder of its argument, matches two photos, and stays until telemetry would have reported."""

import sys
import time
from pathlib import Path

from likeness.cli.demo.photos import load_photos
from processes import server_process

LIFE_SECONDS = 15
"""ONNX Runtime's telemetry looks up its maker's name nine seconds after the import. The start takes some seconds too."""

photos = load_photos()
with server_process(Path(sys.argv[1]), start=False, pack="builtin", workers=1) as server:
    begun = time.monotonic()
    server.start()
    with server.client() as http:
        files = {"sourceImage": photos.astronaut, "targetImage": photos.astronaut_again["cropped"]}
        reply = http.post("/api/v1/face/match", files={name: (f"{name}.jpg", photo) for name, photo in files.items()})
    assert reply.status_code == 200, reply.text
    assert reply.json()["match"] is True
    time.sleep(max(0.0, begun + LIFE_SECONDS - time.monotonic()))
