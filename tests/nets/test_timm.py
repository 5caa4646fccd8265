"""Nets of timm as backbones: taken apart, learnt, pruned, merged, exported, and filled with their own 2D weights."""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path

import pytest
import timm
import torch
from timm.utils import reparameterize_model
from torch import Tensor, nn

from stzoo import nets
from stzoo.contract import InputContract
from stzoo.errors import MissingPackageError, UsageError, WeightsError
from stzoo.export.to_onnx import compare, export
from stzoo.nets.classifier import Classifier
from stzoo.nets.fusion import named_gates, set_noise
from stzoo.nets.images import Images, Portable
from stzoo.nets.inflate import inflate
from stzoo.nets.layout import Volumes, laid_out
from stzoo.nets.norm import Statistics
from stzoo.nets.reestimation import reestimate_batch_norm
from stzoo.nets.timm_library import pretrained
from stzoo.space.trie import Trie
from stzoo.strategies.strategy import Strategy

WORKING = {
    "convnext_atto": (12, 0),
    "fastvit_t8": (10, 0),
    "mnasnet_small": (15, 5),
    "mobilenetv2_035": (16, 6),
    "mobilenetv3_small_050": (10, 3),
    "regnetx_002": (13, 0),
    "repvit_m0_9": (26, 0),
    "test_byobnet": (3, 0),
    "test_resnet": (1, 0),
    "tinynet_e": (9, 6),
}
"""Nets of a family each: their sites, and how many of these cannot be closed."""

REFUSED = {
    "test_efficientnet": "it has no residual sums",
    "dla34": "its classifier is no linear layer",
    "resnet18": "no residual branch has a plain pointwise convolution",
    "test_vit": "torch.fx cannot follow its code",
    "test_mambaout": "its pointwise layers are linear",
}

FRAMES = 3


@pytest.fixture(scope="module")
def clips() -> Tensor:
    return torch.randn(2, 3, FRAMES, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=WORKING, scope="module")
def name(request: pytest.FixtureRequest) -> str:
    return f"timm:{request.param}"


@pytest.fixture(scope="module")
def flat(name: str) -> nn.Module:
    """timm's own net, with statistics that no net has at first, and no branch that begins at next to nothing."""
    torch.manual_seed(1)
    net: nn.Module = timm.create_model(name.removeprefix("timm:"), num_classes=5)
    with torch.no_grad():
        for norm in net.modules():
            if isinstance(norm, nn.BatchNorm2d):
                assert norm.running_mean is not None
                assert norm.running_var is not None
                norm.running_mean.uniform_(-0.1, 0.1)
                norm.running_var.uniform_(0.8, 1.2)
                norm.weight.uniform_(0.5, 1.5)
        for path, scale in net.named_parameters():
            if path.endswith("gamma"):
                scale.uniform_(0.5, 1.5)
    return net


@pytest.fixture(scope="module")
def template(name: str, flat: nn.Module) -> Classifier:
    net = nets.template(name, 5)
    inflate(net, flat.state_dict(), keep_head=True)
    return net.eval()


def mixed(template: Classifier, start: int = 0) -> Strategy:
    """A strategy with all units in turn, and none where a site may be closed."""
    shape = nets.architecture(template)
    ways = itertools.cycle(("S", "ST", "none", "S+ST")[start:] + ("S", "ST", "none", "S+ST")[:start])
    units = ((site, next(ways)) for site in shape.sites)
    return Strategy(
        shape.backbone, {site.name: unit if unit != "none" or site.closable else "ST" for site, unit in units}
    )


def test_every_family_has_its_sites(name: str, template: Classifier) -> None:
    sites = nets.architecture(template).sites
    assert (len(sites), sum(not site.closable for site in sites)) == WORKING[name.removeprefix("timm:")]
    assert len({site.name for site in sites}) == len(sites)
    assert not any("stem" in site.name for site in sites)
    stages = [site.stage for site in sites]
    assert stages == sorted(stages)
    strategy = mixed(template)
    assert Strategy.from_text(strategy.text()) == strategy


def test_s_everywhere_is_the_net_of_timm_averaged_over_frames(
    template: Classifier, flat: nn.Module, clips: Tensor
) -> None:
    net = nets.prune(template, nets.architecture(template).uniform("S"))
    plain = reparameterize_model(flat).eval()
    images = clips.transpose(1, 2).flatten(0, 1).to(memory_format=torch.channels_last)
    with torch.no_grad():
        features = plain.forward_head(plain.forward_features(images), pre_logits=True)  # type: ignore[operator]
        averaged = features.reshape(len(clips), FRAMES, -1).mean(dim=1)
        expected = plain.get_classifier()(averaged)  # type: ignore[operator]
        torch.testing.assert_close(net(clips), expected, rtol=1e-5, atol=1e-6)


def test_nets_are_cut_out_and_merged_with_the_same_outputs(template: Classifier, clips: Tensor) -> None:
    strategies = [mixed(template), mixed(template, 3), nets.architecture(template).all_open]
    with torch.no_grad():
        cut = [nets.prune(template, strategy) for strategy in strategies]
        logits = [net(clips) for net in cut]
        assert not torch.allclose(logits[0], logits[2])
        for net, there in zip(cut, logits, strict=True):
            torch.testing.assert_close(nets.merge(net)(clips), there, rtol=1e-4, atol=1e-4)
        for way in (Images(len(clips)), Portable(len(clips)), Volumes()):
            with laid_out(way):
                torch.testing.assert_close(cut[0](clips), logits[0], rtol=1e-4, atol=1e-4)


def test_along_a_trie_every_net_says_to_the_bit_what_it_says_alone(template: Classifier, clips: Tensor) -> None:
    """Its batch norm estimated anew along it, where it has any. At the first site both strategies are the same."""
    strategies = list(dict.fromkeys([mixed(template, 3), nets.architecture(template).all_open]))
    trie, cut = Trie(template, strategies), [nets.prune(template, strategy) for strategy in strategies]
    with torch.no_grad():
        before = trie(clips)
        for net in (trie, *cut):
            reestimate_batch_norm(net, [clips])
        after = trie(clips)
        assert torch.equal(after, torch.stack([net(clips) for net in cut]))
    has_norms = any(isinstance(module, Statistics) for module in trie.modules())
    assert torch.equal(before, after) != has_norms


def test_every_gate_of_a_new_template_has_a_gradient(name: str, clips: Tensor) -> None:
    net = nets.template(name, 5)
    gates = list(named_gates(net))
    set_noise(net, torch.full((len(clips), len(gates)), 0.9))
    net(clips).square().sum().backward()
    assert all(gate.logit.grad is not None and gate.logit.grad.abs() > 0 for *_, gate, _ in gates)


@pytest.mark.parametrize("name", REFUSED)
def test_other_nets_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(UsageError, match=f"^timm:{name} cannot be a backbone: .*{REFUSED[name]}"):
        _ = nets.Architecture(f"timm:{name}", 2, {}).sites


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnet2", "Did you mean"),
        ("resnet26.bt_in1k", 'Did you mean "timm:resnet26"'),
        ("hf-hub:someone/net", "no net called"),
        ("../net", "no net called"),
        ("", "no net called"),
    ],
)
def test_only_names_of_timm_are_taken(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        nets.backbone(f"timm:{name}")


def test_without_timm_one_sentence_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"timm is not installed here.*pip install 'stzoo\[timm\]'"):
        nets.backbone("timm:resnet26")


def test_a_recorded_net_is_refused_where_timm_builds_another() -> None:
    architecture = nets.Architecture("timm:test_resnet", 2, {})
    recorded = architecture.recorded
    assert recorded["timm"] == timm.__version__
    assert nets.Architecture("timm:test_resnet", 2, recorded).sites == architecture.sites
    with pytest.raises(UsageError, match=r"another test_resnet than this net is, which was made with timm 0\.1"):
        _ = nets.Architecture("timm:test_resnet", 2, {"timm": "0.1", "graph": "0" * 64}).sites


def test_weights_of_another_net_are_refused() -> None:
    net = nets.template("timm:test_resnet", 2)
    with pytest.raises(WeightsError, match="not those of timm's test_resnet"):
        inflate(net, timm.create_model("test_byobnet").state_dict())


def test_the_reference_to_timms_own_weights_of_a_net() -> None:
    assert pretrained("resnet26") == f"timm:{timm.get_pretrained_cfg('resnet26').hf_hub_id.removeprefix('timm/')}"
    with pytest.raises(WeightsError, match="timm publishes no weights of resnetblur18"):
        pretrained("resnetblur18")


def test_norms_are_synchronised_and_estimated_like_those_of_other_backbones(clips: Tensor) -> None:
    net = nets.fixed_net(shape := nets.Architecture("timm:test_resnet", 2, {}), shape.uniform("S"))
    norms = [module for module in net.modules() if isinstance(module, Statistics)]
    assert norms
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    reestimate_batch_norm(net, [clips])
    assert all(norm.running_mean.abs().sum() > 0 for norm in norms)


def test_a_net_without_batch_norms_has_nothing_to_estimate(clips: Tensor) -> None:
    shape = nets.Architecture("timm:convnext_atto", 2, {})
    net = nets.fixed_net(shape, shape.uniform("S")).eval()
    with torch.no_grad():
        before = net(clips)
        reestimate_batch_norm(net, [clips])
        assert torch.equal(net(clips), before)


@pytest.mark.parametrize("name", ["tinynet_e", "test_byobnet"])
def test_a_mixed_net_is_written_as_onnx(name: str, tmp_path: Path, clips: Tensor) -> None:
    template = nets.template(f"timm:{name}", 3).eval()
    net = nets.prune(template, mixed(template)).eval()
    contract = InputContract(
        frames=FRAMES, stride_frames=1, clips=1, resize=32, crop=32, mean=(0.5,) * 3, std=(0.5,) * 3
    )
    export(net, tmp_path / "net.onnx", contract, ["a", "b", "c"])
    assert compare(net, tmp_path / "net.onnx", clips.numpy(), (1, 2)).passed
