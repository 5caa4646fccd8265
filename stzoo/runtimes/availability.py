"""What a net can be run with here: the runtimes that are installed, a GPU, threads. Nothing of them is imported."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import sys

from stzoo.pool import processors


def is_there(runtime: str) -> bool:
    """Whether a runtime is installed; it is not imported."""
    return importlib.util.find_spec(runtime) is not None


@functools.cache
def has_gpu() -> bool:
    """Whether NVIDIA's driver shows a GPU to this process; it is asked directly, without torch."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False


def threads() -> int:
    """How many threads a net is computed with: OMP_NUM_THREADS, as for torch, or one a processor."""
    number = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(number)) if number.isdecimal() else processors()
