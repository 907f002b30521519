"""A photo process with a faulty engine: one photo kills it, another makes it fail, and it never answers a third."""

import os
import signal
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
        return super().analyse(photo, **options)


if __name__ == "__main__":
    main(lambda _: CrashingEngine())
