"""Nets of timm as backbones: taken apart, learnt, pruned, merged, exported, and filled with their own 2D weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import timm
import torch
from torch import Tensor, nn

from stzoo import nets
from stzoo.errors import UsageError, WeightsError
from stzoo.nets import Architecture, timm as timm_nets
from stzoo.nets.classifier import Classifier
from stzoo.nets.fusion import named_gates
from stzoo.nets.images import Images, Portable
from stzoo.nets.inflate import inflate
from stzoo.nets.layout import Volumes, laid_out
from stzoo.nets.reestimation import reestimate_batch_norm
from stzoo.space.trie import Trie

WORKING = {
    "convnext_atto": (12, 0),
    "fastvit_t8": (10, 0),
    "ghostnet_050": (0, 0),
    "mobilenetv2_035": (16, 6),
    "mobilenetv3_small_050": (10, 5),
    "mobilenetv4_conv_small_035": (0, 0),
    "regnetx_002": (13, 0),
    "repvit_m0_9": (26, 0),
    "res2net50_14w_8s": (16, 0),
    "rexnet_100": (16, 5),
    "starnet_s050": (0, 0),
    "test_byobnet": (3, 0),
    "tinynet_e": (9, 6),
}
"""Nets of a family each: their sites, and how many of these cannot be closed."""

REFUSED = {
    "densenet121": "it has no residual sums",
    "resnet18": "no residual branch has a plain pointwise convolution",
    "vit_tiny_patch16_224": "its pointwise layers are linear",
    "vovnet39a": "it has no residual sums",
}

SIZE, FRAMES = 64, 3
of_every_net = pytest.mark.parametrize("name", WORKING)


@pytest.fixture(params=WORKING, scope="module")
def name(request: pytest.FixtureRequest) -> str:
    return f"timm:{request.param}"


@pytest.fixture(scope="module")
def flat(name: str) -> nn.Module:
    """timm's own net, with statistics that no net has at first."""
    torch.manual_seed(1)
    net = timm.create_model(name.removeprefix("timm:"), num_classes=5)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.1, 0.1)
                module.running_var.uniform_(0.8, 1.2)
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.1, 0.1)
    return net


@pytest.fixture(scope="module")
def template(name: str, flat: nn.Module) -> Classifier:
    net = nets.template(name, 5)
    inflate(net, flat.state_dict(), keep_head=True)
    return net.eval()


@pytest.fixture(scope="module")
def clips() -> Tensor:
    return torch.randn(2, 3, FRAMES, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def over_frames(net: nn.Module, clips: Tensor) -> Tensor:
    """The logits of the mean over frames of what enters the classifier of a net of timm."""
    net = timm.utils.reparameterize_model(net).eval()
    images = clips.transpose(1, 2).flatten(0, 1).to(memory_format=torch.channels_last)
    features = net.forward_head(net.forward_features(images), pre_logits=True)
    return net.get_classifier()(features.reshape(len(clips), FRAMES, -1).mean(1))


def strategies(template: Classifier) -> Iterator[nets.Architecture]:
    shape = nets.architecture(template)
    yield shape


def test_s_everywhere_is_the_net_of_timm_averaged_over_frames(
    template: Classifier, flat: nn.Module, clips: Tensor
) -> None:
    shape = nets.architecture(template)
    net = nets.prune(template, shape.uniform("S"))
    with torch.no_grad():
        assert torch.equal(net(clips), over_frames(flat, clips))
