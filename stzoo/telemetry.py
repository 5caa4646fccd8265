"""Nothing leaves the machine but what a Hub is asked for: libraries that report their use are told not to.

onnxruntime and the Hub's client read an environment variable when they are imported, Ray when it starts. openvino's
reporter knows no such variable; it is kept from being imported.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

VARIABLES = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "RAY_USAGE_STATS_ENABLED": "0"}
"""What is set where the user has not said otherwise."""

_REPORTER = "openvino_telemetry"


def switch_off() -> None:
    """Sets the variables, for this process and those that it starts; must come before the libraries are imported."""
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def without_openvinos() -> Iterator[None]:
    """Lets openvino be imported as if its reporter were not installed; a reporter that somebody has imported stays."""
    if _REPORTER in sys.modules:
        yield
        return
    sys.modules[_REPORTER] = None  # type: ignore[assignment]  # which makes its import fail
    try:
        yield
    finally:
        sys.modules.pop(_REPORTER, None)
