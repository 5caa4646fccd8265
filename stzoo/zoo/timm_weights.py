"""2D weights of timm on the Hub, by references such as `timm:mobilenetv4_conv_small.e2400_r224_in1k`."""

from __future__ import annotations

from pathlib import Path

from stzoo.errors import HubError, ModelNotFoundError, WeightsError
from stzoo.strategies.strategy import TIMM_PREFIX
from stzoo.zoo import hub
from stzoo.zoo.hub import Repository

FILE = "model.safetensors"
"""What timm calls the weights in each of its repositories."""


def is_weights(reference: str) -> bool:
    """Whether a text names weights of timm."""
    return reference.startswith(TIMM_PREFIX)


def repository(reference: str) -> Repository:
    """The repository that `timm:NAME` or `timm:NAME@REVISION` stands for. Raises `UsageError` for no such name."""
    name, at, revision = reference.removeprefix(TIMM_PREFIX).partition("@")
    return Repository(f"timm/{name}", revision) if at else Repository(f"timm/{name}")


def weights_file(reference: str, *, offline: bool | None = None) -> Path:
    """The file of weights in the Hub's cache, fetched if it is not there and the Hub may be asked.

    Raises `UsageError`, `HubError` and `ModelNotFoundError` as `hub.fetch` does, and `WeightsError` for a repository
    without such a file.
    """
    home = repository(reference)
    file = hub.fetch(home, (FILE,), offline=offline) / FILE
    if not file.exists():
        raise WeightsError(f"{home} on the Hub has no {FILE}; name another of timm's nets, or a local file")
    return file


def cached_file(reference: str) -> Path | None:
    """The same file if it is in the Hub's cache; nothing is fetched. Raises `UsageError` for an impossible name."""
    try:
        return weights_file(reference, offline=True)
    except (HubError, ModelNotFoundError, WeightsError):
        return None
