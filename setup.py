"""The part of the build that pyproject.toml cannot describe: the optional compiled scan.

Without a compiler the build continues without it, and the index scans with faiss. The module uses the stable ABI, so
one wheel serves every CPython from 3.11 on. It finds the processor's abilities at run time.
"""

import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup

STABLE_ABI = not sysconfig.get_config_var("Py_GIL_DISABLED")  # free-threaded builds have none
FOLDER = Path("src/likeness/index/native")

setup(
    ext_modules=[
        Extension(
            "likeness.index._native",
            sources=sorted(path.as_posix() for path in FOLDER.glob("*.c")),
            depends=sorted(path.as_posix() for path in FOLDER.glob("*.h")),
            define_macros=[] if STABLE_ABI else [("LIKENESS_FULL_API", "1")],
            extra_compile_args=["/O2", "/std:c11"] if sys.platform == "win32" else ["-O3", "-std=c11"],
            libraries=[] if sys.platform == "win32" else ["m"],
            py_limited_api=STABLE_ABI,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE_ABI else {},
)
