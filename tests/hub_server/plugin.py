"""Fixtures: a Hub for one test, and a client that knows no other and has a cache of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.utils import _detect_agent

from hub_server import HubServer

NOWHERE = "http://127.0.0.1:9"
"""An endpoint at which nobody listens: what the client takes that is not told another."""


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hub cache, no token, no endpoint that could be reached, and no patience between attempts."""
    home = tmp_path / "hf"
    for name, value in {
        "HF_HOME": str(home),
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_STORED_TOKENS_PATH": str(home / "stored_tokens"),
        "ENDPOINT": NOWHERE,
        "HUGGINGFACE_CO_URL_TEMPLATE": f"{NOWHERE}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_OFFLINE": False,
    }.items():
        monkeypatch.setattr(constants, name, value)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT", "STZOO_HUB_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(_detect_agent, "_registry", _detect_agent._EMPTY_REGISTRY)
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.01)))
    return home / "hub"


@pytest.fixture
def server(tmp_path: Path, hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub that is empty, and the one that HF_ENDPOINT names."""
    hub = HubServer(tmp_path / "server")
    hub.start()
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    try:
        yield hub
    finally:
        huggingface_hub.close_session()
        hub.stop()
