"""What must hold for every backbone. A new one is a line in `SMALL`."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from stzoo import bundle as bundles
from stzoo import nets
from stzoo.bundle import Bundle, rebuild
from stzoo.contract import InputContract
from stzoo.errors import ContractError, UsageError
from stzoo.export import to_onnx
from stzoo.export.targets import targets
from stzoo.nets import BACKBONES, Architecture
from stzoo.nets.blank import without_memory
from stzoo.nets.densenet import DENSENET121, DENSENET169, DENSENET201, DENSENET_TINY
from stzoo.nets.fusion import Fusion, named_gates, set_noise
from stzoo.nets.images import Images, Portable
from stzoo.nets.inception import InceptionSizes, MixedSizes
from stzoo.nets.layout import Volumes, laid_out
from stzoo.nets.measure import measure
from stzoo.nets.mobilenet import MOBILENET_V2, MOBILENET_V2_TINY
from stzoo.nets.mobilenet_v4 import MOBILENET_V4, MOBILENET_V4_TINY, Bottleneck
from stzoo.nets.pooling import STATISTICS
from stzoo.nets.resnet import RESNET50, RESNET_TINY, RESNEXT50, RESNEXT101
from stzoo.strategies.strategy import ALL_BRANCHES, NONE, Strategy

SMALL: dict[str, object] = {
    "densenet121": replace(DENSENET121, block_layers=(2, 1, 2), growth=6, stem_width=8, bottleneck=2),
    "densenet169": replace(DENSENET169, block_layers=(1, 2), growth=6, stem_width=8, bottleneck=2),
    "densenet201": replace(DENSENET201, block_layers=(1, 1), growth=6, stem_width=8, bottleneck=2),
    "resnet50": replace(RESNET50, stage_blocks=(2, 1, 2), width=4, outputs=8, stem_width=6),
    "resnext50": replace(RESNEXT50, stage_blocks=(1, 2), width=8, groups=4, outputs=8, stem_width=6),
    "resnext101": replace(RESNEXT101, stage_blocks=(1, 3), width=12, groups=2, outputs=8, stem_width=6),
    "mobilenet_v2": replace(MOBILENET_V2, stages=((6, 2, 2), (8, 2, 2)), stem_width=6, first_width=4, head_width=16),
    "mobilenet_v4": replace(
        MOBILENET_V4,
        first=((6, 6, 1),),
        stages=((6, (Bottleneck(5, 5, 8), Bottleneck(0, 3, 8))), (8, (Bottleneck(3, 0, 8), Bottleneck(3, 0, 8)))),
        stem_width=6,
        last_width=12,
        head_width=16,
    ),
    "inception": InceptionSizes(
        ((MixedSizes(4, 4, 5, 2, 3, 2), MixedSizes(0, 4, 6, 4, 4, 0, "max")), (MixedSizes(5, 3, 4, 4, 6, 2, "max"),)),
        stem_width=4,
        stem_outputs=6,
    ),
    "densenet_tiny": replace(DENSENET_TINY, block_layers=(1, 2, 1)),
    "resnet_tiny": replace(RESNET_TINY, stage_blocks=(1, 2)),
    "mobilenet_v2_tiny": replace(MOBILENET_V2_TINY, stages=((6, 1, 2), (8, 2, 2))),
    "mobilenet_v4_tiny": replace(
        MOBILENET_V4_TINY, stages=((6, (Bottleneck(5, 5, 8), Bottleneck(0, 3, 8))), (8, (Bottleneck(0, 5, 8),)))
    ),
}
"""Sizes with which a backbone's every kind of part stands in a net of a few thousand parameters."""

CLASSES = 5
SHUT = 1e4
Kind = tuple[str, dict[str, Any]]


def kinds(name: str) -> list[Kind]:
    """A backbone with every temporal stride, and the first of a family with each option of its sites."""
    known = BACKBONES[name]
    has_strides = "temporal_stride" in known.options
    found: list[Kind] = [
        (name, {"temporal_stride": stride} if has_strides else {}) for stride in known.temporal_strides
    ]
    if name != next(first for first, other in BACKBONES.items() if other.net is known.net):
        return found
    further = {
        "tail_sites": True,
        "branches": ALL_BRANCHES,
        "shared_norm": True,
        "stem_frames": 1,
        "pooling": STATISTICS,
    }
    return [*found, *((name, {option: value}) for option, value in further.items() if option in known.options)]


def named_kind(kind: Kind) -> str:
    name, options = kind
    return "-".join([name, *(f"{option}={value}" for option, value in options.items())])


of_every_backbone = pytest.mark.parametrize("name", BACKBONES)
of_every_kind = pytest.mark.parametrize("kind", [kind for name in SMALL for kind in kinds(name)], ids=named_kind)
FAMILIES = list({known.net: name for name, known in reversed(BACKBONES.items())}.values())
TINY = [name for name in BACKBONES if name.endswith("_tiny")]


@pytest.fixture(scope="module", autouse=True)
def small_backbones() -> Iterator[None]:
    """Backbones `<name>_small`."""
    with pytest.MonkeyPatch.context() as patch:
        for name, sizes in SMALL.items():
            patch.setitem(nets.BACKBONES, f"{name}_small", replace(BACKBONES[name], sizes=sizes))
        yield


def small(kind: Kind) -> Architecture:
    return Architecture(f"{kind[0]}_small", CLASSES, kind[1])


@functools.cache
def least(backbone: str, stride: str) -> tuple[int, int]:
    """The fewest frames and the smallest side of a small net."""
    shape = Architecture(backbone, CLASSES, {} if stride == "none" else {"temporal_stride": stride})
    with without_memory():
        net = nets.fixed_net(shape, shape.uniform("S"))
    return int(net.fewest_frames), int(net.smallest_size)


def least_of(kind: Kind) -> tuple[int, int]:
    return least(f"{kind[0]}_small", kind[1].get("temporal_stride", "none"))


def clips_for(kind: Kind, count: int = 2, seed: int = 0) -> Tensor:
    frames, side = least_of(kind)
    shape = (count, 3, max(4, frames), side + 5, side)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def lively(net: nn.Module, clips: Tensor) -> nn.Module:
    """The same net with every scale, shift and statistic of its norms its own, so that no path is trivial."""
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if parameter.ndim == 1 and not name.startswith("head"):
                parameter.add_(0.3 * torch.randn_like(parameter))
        for _ in range(3):
            net(clips)
    return net


@functools.cache
def _template(kind: str) -> nn.Module:
    torch.manual_seed(1)
    found = next(one for name in SMALL for one in kinds(name) if named_kind(one) == kind)
    shape = small(found)
    return lively(nets.template(shape.backbone, CLASSES, **shape.options), clips_for(found, 4))


def template_of(kind: Kind) -> nn.Module:
    """A template in eval mode in which every number is random; its own copy for every caller."""
    return copy.deepcopy(_template(named_kind(kind))).eval()


def net_of(kind: Kind, strategy: Strategy | None = None) -> nn.Module:
    """The net of a strategy, or with every branch open."""
    return nets.prune(template_of(kind), strategy or small(kind).all_open)


def set_gates(template: nn.Module, units: dict[str, str]) -> None:
    """Opens the branches of the units for certain and closes the others."""
    with torch.no_grad():
        for site, branch, gate, _ in named_gates(template):
            gate.logit.fill_(-SHUT if branch in units[site].split("+") else SHUT)


def mixed(shape: Architecture) -> Strategy:
    """Every unit in turn, closed sites included."""
    units = {}
    for index, site in enumerate(shape.sites):
        choices = [*reversed(site.units), *([NONE] if site.closable else [])]
        units[site.name] = choices[index % len(choices)]
    return Strategy(shape.backbone, units)


@st.composite
def strategies(draw: st.DrawFn, shape: Architecture) -> Strategy:
    units = {
        site.name: draw(st.sampled_from([*site.units, *([NONE] if site.closable else [])])) for site in shape.sites
    }
    return Strategy(shape.backbone, units)


def test_every_backbone_is_run_through_here() -> None:
    assert set(SMALL) == {name for name in BACKBONES if not name.endswith("_small")}


@of_every_backbone
def test_sites_are_unique_and_stand_in_network_order(name: str) -> None:
    sites = Architecture(name, 10, {}).sites
    names = [site.name for site in sites]
    with without_memory():
        template = nets.template(name, 10)
    assert len(set(names)) == len(names)
    assert list(dict.fromkeys(site for site, _, _, _ in named_gates(template))) == names
    assert [path for path, module in template.named_modules() if isinstance(module, Fusion)] == [
        f"{name}.unit" for name in names
    ]
    stages = [site.stage for site in sites]
    assert stages == sorted(stages)
    assert set(stages) == set(range(1, max(stages) + 1))


@of_every_backbone
def test_options_that_a_backbone_does_not_have_are_refused(name: str) -> None:
    has_strides = "temporal_stride" in BACKBONES[name].options
    known = "temporal_stride, dropout" if has_strides else "dropout"
    with pytest.raises(UsageError, match=f"{name} has no option head_start; it has {known}"):
        Architecture(name, 10, {"head_start": 1})
    no_stride = 'temporal stride "x9"; choose none' if has_strides else "option temporal_stride; it has dropout"
    with pytest.raises(UsageError, match=f"{name} has no {no_stride}"):
        Architecture(name, 10, {"temporal_stride": "x9"})


@of_every_kind
@settings(max_examples=4)
@given(data=st.data())
def test_a_pruned_net_is_the_template_with_hard_gates(kind: Kind, data: st.DataObject) -> None:
    shape = small(kind)
    strategy, training = data.draw(strategies(shape)), data.draw(st.booleans())
    template = template_of(kind).train(training)
    pruned = nets.prune(template, strategy)
    assert pruned.training == training
    assert not nets.is_template(pruned)
    assert nets.architecture(pruned) == shape

    parameters, buffers = dict(template.named_parameters()), dict(template.named_buffers())
    for name, parameter in pruned.named_parameters():
        assert parameter is parameters[name], name
        assert parameter.requires_grad
    for name, buffer in pruned.named_buffers():
        assert torch.equal(buffer, buffers[name]), name
        assert buffer.untyped_storage().data_ptr() != buffers[name].untyped_storage().data_ptr(), name
    assert set(pruned.state_dict()) < set(template.state_dict())
    branches = {tuple(name.split(".unit.branches.")) for name in pruned.state_dict() if ".unit.branches." in name}
    opened = {
        (site, branch)
        for site, unit in strategy.units.items()
        for branch in unit.split("+")
        if unit != NONE and ".tail" not in site
    }
    assert {(site, rest.split(".")[0]) for site, rest in branches} == opened

    set_gates(template, dict(strategy.units))
    clips = clips_for(kind, seed=data.draw(st.integers(0, 10)))
    with torch.no_grad():
        torch.testing.assert_close(pruned(clips), template(clips), rtol=1e-4, atol=1e-5)
    whole = template.state_dict()
    for name, value in pruned.state_dict().items():  # training updates the statistics of both in the same way
        torch.testing.assert_close(value, whole[name], rtol=1e-4, atol=1e-5, msg=lambda text, name=name: name + text)


@of_every_kind
def test_a_site_may_be_closed_where_something_leads_past_it(kind: Kind) -> None:
    template = template_of(kind)
    clips = clips_for(kind)
    everything = {site.name: "+".join(site.branches) for site in small(kind).sites}
    for site in small(kind).sites:
        set_gates(template, {**everything, site.name: NONE})
        with torch.no_grad():
            one, other = template(clips)
        assert torch.allclose(one, other, atol=1e-6) != site.closable, site.name


@of_every_kind
@pytest.mark.parametrize("as_template", [True, False])
def test_from_scratch_every_parameter_gets_a_gradient(kind: Kind, as_template: bool) -> None:
    torch.manual_seed(1)
    shape = small(kind)
    if as_template:
        net = nets.template(shape.backbone, CLASSES, initial_drop=0.4, **shape.options)
        set_noise(net, torch.rand(4, sum(len(site.branches) for site in shape.sites)))
    else:
        net = nets.fixed_net(shape, shape.all_open)
    F.cross_entropy(net(clips_for(kind, 4)), torch.arange(4)).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


@of_every_kind
@settings(max_examples=4)
@given(
    st.integers(1, 3),
    st.tuples(st.integers(0, 8), st.integers(0, 17), st.integers(0, 17)),
)
def test_odd_sizes_and_numbers_of_frames_work(kind: Kind, count: int, extra: tuple[int, int, int]) -> None:
    net = net_of(kind)
    frames, side = least_of(kind)
    clips = torch.randn(count, 3, frames + extra[0], side + extra[1], side + extra[2])
    with torch.no_grad():
        logits = net(clips)
        assert logits.shape == (count, CLASSES)
        assert torch.isfinite(logits).all()
        assert torch.equal(net(clips), logits)
        # A clip's logits are its own.
        torch.testing.assert_close(net(clips[:1]), logits[:1], rtol=1e-3, atol=1e-4)


@of_every_kind
def test_clips_that_are_too_small_or_short_are_refused(kind: Kind) -> None:
    net = net_of(kind)
    frames, side = least_of(kind)
    for height, width in ((side - 1, side), (side, side - 1), (0, side)):
        with pytest.raises(
            ContractError, match=f"{width}x{height} pixels are too small for this net; use at least {side}x{side}"
        ):
            net(torch.zeros(1, 3, frames, height, width))
    for short in {0, frames - 1}:
        with pytest.raises(ContractError, match=f"{short} frames are too short for this net; use at least {frames}"):
            net(torch.zeros(1, 3, short, side, side))
    net(torch.zeros(1, 3, frames, side, side))


@of_every_kind
def test_half_precision_is_near_full_precision(kind: Kind) -> None:
    net, clips = net_of(kind), clips_for(kind, 4)
    with torch.no_grad():
        full = net(clips)
        with torch.autocast("cpu", torch.bfloat16):
            half = net(clips)
    assert half.dtype == torch.bfloat16
    assert (half.float() - full).abs().max() < 0.1 * full.abs().max()


@of_every_kind
def test_templates_train_in_half_precision(kind: Kind) -> None:
    template = template_of(kind).train()
    with torch.autocast("cpu", torch.bfloat16):
        loss = F.cross_entropy(template(clips_for(kind)), torch.arange(2))
    loss.backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in template.parameters())  # type: ignore[union-attr]


@of_every_kind
def test_merging_changes_no_logit(kind: Kind) -> None:
    clips = clips_for(kind).double()
    for strategy in (mixed(small(kind)), small(kind).all_open):
        net = net_of(kind, strategy).double()
        with torch.no_grad():
            torch.testing.assert_close(nets.merge(net)(clips), net(clips), rtol=1e-10, atol=1e-10)


@of_every_kind
def test_every_layout_gives_the_same_logits(kind: Kind) -> None:
    """ONNX files are written in other layouts than torch runs, of merged nets."""
    clips = clips_for(kind)
    for net in (plain := net_of(kind, mixed(small(kind))), nets.merge(plain.eval())):
        with torch.no_grad():
            expected = net(clips)
        for way in (Images(len(clips)), Portable(len(clips)), Volumes()):
            with torch.no_grad(), laid_out(way):
                torch.testing.assert_close(net(clips), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "kind", [kind for name in FAMILIES for kind in (kinds(name)[0], kinds(name)[-1])], ids=named_kind
)
def test_onnxruntime_gives_the_same_logits(kind: Kind, tmp_path: Path) -> None:
    """Two of every family, since torch's exporter takes seconds and the others differ in numbers alone."""
    shape, clips = small(kind), clips_for(kind, 3)[:, :, :, : least_of(kind)[1]]
    net = net_of(kind, mixed(shape))
    contract = InputContract(frames=clips.shape[2], fps=1.0, resize=clips.shape[3], crop=clips.shape[3])
    path = tmp_path / "model.onnx"
    to_onnx.export(net, path, contract, [str(label) for label in range(CLASSES)])
    agreement = to_onnx.compare(net, path, clips.numpy())
    assert agreement.passed, agreement


@pytest.mark.parametrize(("name", "unit"), [*zip(BACKBONES, itertools.cycle(["S+ST", "ST", "S"]), strict=False)])
def test_every_backbone_has_a_portable_form(name: str, unit: str, tmp_path: Path) -> None:
    kind = kinds(name)[0]
    shape, clips = small(kind), clips_for(kind, 1)[:, :, :, : least_of(kind)[1]].numpy()
    net = net_of(kind, shape.uniform(unit)).eval()
    contract = InputContract(frames=clips.shape[2], fps=1.0, resize=clips.shape[3], crop=clips.shape[3])
    path = tmp_path / "model.onnx"
    to_onnx.export(net, path, contract, [str(label) for label in range(CLASSES)], form="portable", clips_at_once=1)
    with torch.inference_mode():
        known = targets(path, clips, net(torch.from_numpy(clips)).numpy())
    for runtime in ("onnxruntime", "openvino"):
        assert known[runtime]["largest_difference"] <= 1e-4
    for provider in ("coreml", "nnapi"):
        assert known[provider]["partitions"] == 1
        assert known[provider]["supported_nodes"] == known[provider]["nodes"]


@of_every_kind
def test_a_saved_net_is_loaded_as_it_was(kind: Kind, tmp_path: Path) -> None:
    shape, clips = small(kind), clips_for(kind)
    strategy = mixed(shape)
    net = net_of(kind, strategy)
    config = bundles.Config(
        name="toy",
        backbone=bundles.Backbone(name=shape.backbone, options=dict(shape.options)),
        classes=bundles.Classes.of([f"class {index}" for index in range(CLASSES)]),
        strategy=strategy,
        input=InputContract(frames=clips.shape[2], fps=1.0, resize=clips.shape[3], crop=clips.shape[4]),
        versions=bundles.Versions(stzoo="0.1.0"),
    )
    weights = {key: value.numpy() for key, value in net.state_dict().items()}
    folder = bundles.save(tmp_path / "toy", Bundle(config), weights)
    loaded = rebuild.build(folder, bundles.read(folder))
    assert list(loaded.state_dict()) == list(net.state_dict())
    assert nets.architecture(loaded) == shape
    with torch.no_grad():
        np.testing.assert_array_equal(loaded(clips), net(clips))


@pytest.mark.parametrize("name", TINY)
def test_small_siblings_are_small(name: str) -> None:
    shape = Architecture(name, 10, {})
    size = measure(shape, shape.uniform("S+ST"), frames=8, height=64, width=64)
    assert size.parameters <= 400_000
    assert size.multiply_adds <= 400_000_000


@pytest.mark.parametrize("name", [*TINY, *(f"{name}_small" for name in FAMILIES)])
def test_only_st_branches_tell_the_order_of_frames_where_the_stem_sees_one(name: str) -> None:
    has_longer_stems = name not in TINY and "stem_frames" in BACKBONES[name.removesuffix("_small")].options
    shape = Architecture(name, 10, {"stem_frames": 1} if has_longer_stems else {})
    torch.manual_seed(0)
    template = lively(nets.template(name, 10, **shape.options), torch.randn(4, 3, 4, 32, 32)).eval()
    clips = torch.randn(1, 3, 5, 32, 32)
    order = torch.tensor([3, 0, 4, 1, 2])
    alone = [{**shape.uniform("S").units, site.name: "ST"} for site in shape.sites]
    with torch.no_grad():
        for units in (shape.uniform("S").units, shape.uniform("ST").units, shape.uniform("S+ST").units, *alone):
            net = nets.prune(template, Strategy(name, units))
            change = (net(clips) - net(clips[:, :, order])).abs().max().item()
            assert (change < 1e-5) == (set(units.values()) == {"S"}), units
            assert change < 1e-5 or change > 1e-4
