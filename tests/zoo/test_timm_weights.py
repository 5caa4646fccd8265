"""References to weights of timm; what becomes of the weights is tested where runs begin."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub_server import HubServer
from stzoo.errors import HubError, ModelNotFoundError, UsageError, WeightsError
from stzoo.nets.imagenet import TIMM_IMAGENET
from stzoo.zoo import timm_weights


def test_a_reference_names_a_repository_of_timm_and_perhaps_a_revision() -> None:
    assert str(timm_weights.repository("timm:net.in1k")) == "timm/net.in1k"
    assert str(timm_weights.repository("timm:net.in1k@v2")) == "timm/net.in1k@v2"
    for reference in TIMM_IMAGENET.values():
        assert timm_weights.is_weights(reference)
        assert timm_weights.repository(reference)
    assert not timm_weights.is_weights("timm/net.in1k")


@pytest.mark.parametrize("reference", ["timm:", "timm:../net", "timm:a/b", "timm:net@"])
def test_impossible_names_are_refused(reference: str, hub_cache: Path) -> None:
    with pytest.raises(UsageError, match="is not"):
        timm_weights.cached_file(reference)


def test_what_is_not_there_is_said(server: HubServer, tmp_path: Path, hub_cache: Path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    server.put("timm/net", folder)
    with pytest.raises(WeightsError, match=r"timm/net on the Hub has no model\.safetensors"):
        timm_weights.weights_file("timm:net")
    with pytest.raises(ModelNotFoundError, match="timm/other"):
        timm_weights.weights_file("timm:other")
    with pytest.raises(HubError):
        timm_weights.weights_file("timm:third", offline=True)
    assert timm_weights.cached_file("timm:third") is None
