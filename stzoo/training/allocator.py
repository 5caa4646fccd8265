"""What a CPU's training frees stays with its process, for the next step."""

from __future__ import annotations

import ctypes

# Of malloc.h: mallopt's parameters.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_PAD_BYTES = 256 << 20


def keep_freed_memory() -> None:
    """Lets this process keep the memory of what it frees, where the C library is glibc; elsewhere it does nothing.

    By itself glibc gives every large block back, and the system clears it anew for the next layer: a fifth of the time
    of a step. The most that is held at once hardly changes, but it is held until the process ends.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # Windows has no such handle, macOS and musl no such function
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, -1)
    mallopt(_TOP_PAD, _PAD_BYTES)
