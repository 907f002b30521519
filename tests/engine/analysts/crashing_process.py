"""A photo process with a faulty engine: a photo kills it, makes it fail, makes it sleep, or calls out."""

import os
import signal
import socket
import subprocess
import time
from typing import Any

from likeness.engine.analysts.processes import main
from likeness.engine.base import Face
from likeness.engine.fake import FakeEngine


class CrashingEngine(FakeEngine):
    def analyse(self, photo: bytes, **options: Any) -> Face:
        match photo:
            case b"die":
                os.kill(os.getpid(), signal.SIGKILL)
            case b"fail":
                raise ZeroDivisionError
            case b"sleep":
                time.sleep(600)
            case b"call out":
                socket.socket(socket.AF_INET)
            case b"run":
                subprocess.run(["/bin/true"], check=True)
        return super().analyse(photo, **options)


if __name__ == "__main__":
    main(lambda _: CrashingEngine())
