"""What 2D weights become, on small siblings of torchvision's nets; full-size ones on meta tensors alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
import torchvision
from torch import Tensor, nn

from stzoo import nets
from stzoo.errors import WeightsError
from stzoo.nets import Architecture, Backbone
from stzoo.nets.blank import without_memory
from stzoo.nets.densenet import DenseNet3d
from stzoo.nets.fusion import Fusion, named_gates
from stzoo.nets.imagenet import TORCHVISION
from stzoo.nets.inflate import FAMILIES, counterparts, inflate
from stzoo.nets.mobilenet import MobileNet3d, MobileNetSizes, mobilenet_sites
from stzoo.nets.pooling import STATISTICS
from stzoo.nets.resnet import ResNet3d, ResNetSizes, resnet_sites
from stzoo.strategies.strategy import ALL_BRANCHES, Strategy

CLASSES = 5
MOBILENET_SMALL = MobileNetSizes(((8, 1, 2), (16, 2, 2)), first_width=8)
RESNET_SMALL = ResNetSizes((1, 2, 1, 1), width=8, groups=2, outputs=64)
BORDER = 10
"""More frames than any net here can see into the past or future."""


def densenet() -> nn.Module:
    return torchvision.models.DenseNet(4, (2, 1, 2), 6, bn_size=2, num_classes=CLASSES)


def densenet_features(flat: nn.Module, x: Tensor) -> Tensor:
    return torch.relu(flat.features(x)).mean(dim=(2, 3))


class Bottleneck(torchvision.models.resnet.Bottleneck):
    """Without the fourfold output, which makes 2048 channels of features."""

    expansion = 1


def resnet() -> nn.Module:
    return torchvision.models.ResNet(Bottleneck, [1, 2, 1, 1], CLASSES, groups=2, width_per_group=4)


def resnet_features(flat: nn.Module, x: Tensor) -> Tensor:
    """With the paper's shortcuts, which average where torchvision's skip positions."""
    for layer in (flat.layer2, flat.layer3, flat.layer4):
        conv = layer[0].downsample[0]
        conv.stride = (1, 1)
        layer[0].downsample[0] = nn.Sequential(nn.AvgPool2d(3, 2, 1), conv)
    flat.fc = nn.Identity()
    return flat(x)


def mobilenet() -> nn.Module:
    return torchvision.models.MobileNetV2(
        CLASSES, inverted_residual_setting=[[1, 8, 1, 1], [6, 8, 1, 2], [6, 16, 2, 2]]
    )


def mobilenet_features(flat: nn.Module, x: Tensor) -> Tensor:
    return flat.features(x).mean(dim=(2, 3))


SMALL: dict[str, tuple[Callable[[], nn.Module], Callable[[nn.Module, Tensor], Tensor]]] = {
    "densenet_small": (densenet, densenet_features),
    "resnet_small": (resnet, resnet_features),
    "mobilenet_small": (mobilenet, mobilenet_features),
}
"""A small backbone -> its 2D sibling, and that one's features."""


@pytest.fixture(scope="module", autouse=True)
def small_backbones() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        resnet_small = Backbone(ResNet3d, resnet_sites, RESNET_SMALL, ("none",))
        mobilenet_small = Backbone(MobileNet3d, mobilenet_sites, MOBILENET_SMALL, ("none",))
        patch.setitem(nets.BACKBONES, "resnet_small", resnet_small)
        patch.setitem(nets.BACKBONES, "mobilenet_small", mobilenet_small)
        yield


@pytest.fixture(params=SMALL)
def backbone(request: pytest.FixtureRequest) -> str:
    return request.param


def flat_net(backbone: str) -> nn.Module:
    """The 2D sibling in eval mode; its kernels, scales, shifts and statistics are all random."""
    torch.manual_seed(0)
    net = SMALL[backbone][0]()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            for vector, spread in ((module.bias, 0.3), (module.running_mean, 0.3)):
                nn.init.normal_(vector, std=spread)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            module.num_batches_tracked.fill_(7)
    return net.eval()


def inflated(backbone: str, unit: str, **options: str) -> nn.Module:
    shape = Architecture(backbone, CLASSES, {})
    net = nets.fixed_net(shape, shape.uniform(unit))
    inflate(net, flat_net(backbone).state_dict(), **options)
    return net.eval()


def still_clip(picture: Tensor) -> Tensor:
    return picture.unsqueeze(2).expand(-1, -1, 2 * BORDER + 1, -1, -1)


def picture() -> Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def branch_outputs(net: nn.Module, clip: Tensor) -> dict[str, dict[str, Tensor]]:
    """What every branch of every site gives in the middle frame of a clip."""
    seen: dict[str, dict[str, Tensor]] = {}
    for site in (module for module in net.modules() if isinstance(module, Fusion)):
        for name, branch in site.branches.items():

            def keep(_: nn.Module, __: object, output: Tensor, at: tuple[str, str] = (site.site, name)) -> None:
                seen.setdefault(at[0], {})[at[1]] = output[:, BORDER]

            branch.register_forward_hook(keep)
    with torch.no_grad():
        net(clip)
    return seen


def features(net: nn.Module, clip: Tensor) -> Tensor:
    """The middle frame's features, averaged over its positions."""
    with torch.no_grad():
        x = net.before_stages(clip.permute(0, 2, 3, 4, 1).contiguous())
        return net.after_stages(net.through_stages(x))[:, BORDER].mean(dim=(1, 2))


@pytest.mark.parametrize("temporal", ["average", "centre"])
@pytest.mark.parametrize("unit", ["S", "ST"])
def test_on_a_still_clip_an_inflated_net_has_the_features_of_the_2d_net(
    backbone: str, unit: str, temporal: str
) -> None:
    flat = flat_net(backbone)
    with torch.no_grad():
        expected = SMALL[backbone][1](flat, picture())
    found = features(inflated(backbone, unit, temporal=temporal), still_clip(picture()))
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 4])
def test_s_behind_a_stem_of_single_frames_is_the_mean_of_the_2d_net_over_them(backbone: str, frames: int) -> None:
    shape = Architecture(backbone, CLASSES, {"stem_frames": 1})
    net = nets.fixed_net(shape, shape.uniform("S"))
    flat = flat_net(backbone)
    inflate(net, flat.state_dict(), keep_head=True)
    clips = torch.randn(2, 3, frames, 64, 32, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        features = SMALL[backbone][1](flat, clips.transpose(1, 2).flatten(0, 1))
        expected = net.head(features).unflatten(0, (2, frames)).mean(dim=1)
        found = net.eval()(clips)
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_what_the_head_sees_of_time_needs_nothing_of_the_2d_net(backbone: str) -> None:
    shape = Architecture(backbone, CLASSES, {"pooling": STATISTICS})
    net = nets.fixed_net(shape, shape.uniform("S"))
    flat = flat_net(backbone)
    inflate(net, flat.state_dict())
    with torch.no_grad():
        net.eval()(still_clip(picture()))
    assert {name for name, _ in net.named_buffers() if "pooling" in name} == {
        f"pooling.norm.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")
    }
    with pytest.raises(WeightsError, match="of shape"):
        inflate(net, flat.state_dict(), keep_head=True)


def test_on_a_still_clip_the_branches_of_every_site_agree(backbone: str) -> None:
    net = inflated(backbone, "S+ST")
    seen = branch_outputs(net, still_clip(picture()))
    assert list(seen) == [site.name for site in nets.architecture(net).sites]
    for site, branches in seen.items():
        assert branches["S"].std() > 0, site
        torch.testing.assert_close(branches["S"], branches["ST"], rtol=1e-4, atol=1e-5, msg=site)


def test_t_branches_keep_their_weights_and_all_else_is_filled() -> None:
    shape = Architecture("densenet_small", CLASSES, {"branches": ALL_BRANCHES})
    net = nets.fixed_net(shape, shape.all_open)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    inflate(net, flat_net("densenet_small").state_dict())
    filled = inflated("densenet_small", "S+ST").state_dict()
    kept = [name for name in before if ".branches.T." in name]
    assert kept
    for name, tensor in net.state_dict().items():
        if not name.startswith("head."):
            assert torch.equal(tensor, before[name] if name in kept else filled[name]), name


def test_with_centred_kernels_the_branches_agree_on_any_clip(backbone: str) -> None:
    net = inflated(backbone, "S+ST", temporal="centre")
    clip = torch.randn(1, 3, 2 * BORDER + 1, 32, 32, generator=torch.Generator().manual_seed(2))
    for branches in branch_outputs(net, clip).values():
        torch.testing.assert_close(branches["S"], branches["ST"])
    averaged = branch_outputs(inflated(backbone, "S+ST"), clip)
    assert not any(torch.allclose(branches["S"], branches["ST"]) for branches in averaged.values())


def test_a_template_gets_what_its_fixed_nets_get(backbone: str) -> None:
    template = nets.template(backbone, CLASSES, initial_drop=0.3)
    inflate(template, flat_net(backbone).state_dict())
    assert all(gate.drop.item() == pytest.approx(0.3) for _, _, gate, _ in named_gates(template))
    for unit in ("S", "ST", "S+ST"):
        pruned = nets.prune(template, nets.architecture(template).uniform(unit)).state_dict()
        for name, value in inflated(backbone, unit).state_dict().items():
            assert name.startswith("head.") or torch.equal(value, pruned[name]), name


def test_every_tensor_but_gates_and_head_is_replaced_and_the_head_if_asked_for(backbone: str) -> None:
    flat = flat_net(backbone).state_dict()
    for keep_head in (False, True):
        net = nets.template(backbone, CLASSES)
        before = {name: value.clone() for name, value in net.state_dict().items()}
        inflate(net, flat, keep_head=keep_head)
        same = {name for name, value in net.state_dict().items() if torch.equal(value, before[name])}
        gates = {name for name in before if ".gates." in name}
        assert same == gates | (set() if keep_head else {"head.weight", "head.bias"})
    assert any(torch.equal(net.head.weight, value) for value in flat.values())


@pytest.mark.parametrize(("options", "text"), [({"tail_sites": True}, "B1.L2=S B1.L2.tail=none")])
def test_closed_sites_and_tail_sites_take_what_they_have(options: dict[str, bool], text: str) -> None:
    shape = Architecture("densenet_small", CLASSES, options)
    units = shape.uniform("S+ST").units | Strategy.from_text(f"densenet_small: {text}").units
    net = nets.fixed_net(shape, Strategy("densenet_small", units | {"B2.L1": "none"}))
    inflate(net, (flat := flat_net("densenet_small").state_dict()))
    own = net.state_dict()
    expected = flat["features.denseblock1.denselayer1.conv2.weight"].unsqueeze(2)
    assert torch.equal(own["B1.L1.tail.branches.tail.weight"], expected)
    assert not any(name.startswith(("B1.L2.tail", "B2.L1.unit")) for name in own)


def test_a_shared_norm_takes_the_norm_once() -> None:
    net = nets.template("densenet_small", CLASSES, shared_norm=True)
    inflate(net, (flat := flat_net("densenet_small").state_dict()))
    for part in ("weight", "bias", "running_mean"):
        found = net.state_dict()[f"B1.L1.unit.shared.{part}"]
        assert torch.equal(found, flat[f"features.denseblock1.denselayer1.norm1.{part}"])


def test_a_family_without_a_2d_sibling_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(FAMILIES, DenseNet3d)
    with pytest.raises(
        WeightsError, match="densenet_small takes no 2D weights; start it from scratch or from a bundle"
    ):
        inflate(nets.template("densenet_small", CLASSES), {})


def test_names_of_2017_are_those_of_today() -> None:
    flat = flat_net("densenet_small").state_dict()
    old = {}
    for name, value in flat.items():
        for part in ("norm1", "norm2", "conv1", "conv2"):
            name = name.replace(f".{part}.", f".{part[:-1]}.{part[-1]}.")
        if not name.endswith("num_batches_tracked"):
            old[name] = value
    assert set(old) - set(flat)
    net = nets.template("densenet_small", CLASSES)
    inflate(net, old)
    same = nets.template("densenet_small", CLASSES)
    inflate(same, flat)
    for name, value in same.state_dict().items():
        assert (
            name.startswith("head.")
            or name.endswith("num_batches_tracked")
            or torch.equal(value, net.state_dict()[name])
        ), name
    twice = flat | {"features.denseblock1.denselayer1.norm.1.bias": torch.ones(6)}
    with pytest.raises(WeightsError, match=r"'features.denseblock1.denselayer1.norm.1.bias' under its old and its new"):
        inflate(net, twice)


def test_weights_that_do_not_fit_are_refused_and_change_nothing(backbone: str) -> None:
    flat = flat_net(backbone).state_dict()
    names = [name for name, value in flat.items() if value.ndim == 4]
    stem, last = names[0], names[-1]
    net = nets.template(backbone, CLASSES)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    broken = flat[last].clone()
    broken.view(-1)[-1] = torch.nan
    for wrong, words in (
        ({name: value for name, value in flat.items() if name != last}, f"lack '{last}'"),
        (flat | {"extra.weight": torch.ones(1)}, f"hold 'extra.weight', for which {backbone} has no place"),
        (flat | {stem: flat[stem][:, :2]}, rf"'{stem}' of shape \(\d+, 2, \d, \d\)"),
        (flat | {last: broken}, f"'{last}' that are not finite"),
        ({}, "and .* more, which"),
    ):
        with pytest.raises(WeightsError, match=words):
            inflate(net, wrong)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_head_for_other_classes_is_left_out_but_not_kept(backbone: str) -> None:
    flat = flat_net(backbone).state_dict()
    net = nets.template(backbone, CLASSES + 1)
    inflate(net, flat)
    with pytest.raises(
        WeightsError, match=rf"of shape \({CLASSES}, \d+\); {backbone} with {CLASSES + 1} classes takes"
    ):
        inflate(net, flat, keep_head=True)
    without = {name: value for name, value in flat.items() if not name.startswith(("classifier", "fc"))}
    inflate(net, without)
    with pytest.raises(WeightsError, match=r"lack '(classifier|fc)\."):
        inflate(net, without, keep_head=True)


@pytest.mark.parametrize("name", [name for name in TORCHVISION if name in nets.BACKBONES])
def test_full_size_nets_take_every_tensor_of_torchvisions_weights(name: str) -> None:
    with without_memory():
        flat = torchvision.models.get_model(TORCHVISION[name])
        template = nets.template(name, 1000)
    shapes = {name: tuple(value.shape) for name, value in flat.state_dict().items()}
    found = counterparts(template, shapes, keep_head=True)
    assert set(found.values()) == set(shapes)
    assert {key for key in template.state_dict() if ".gates." not in key} == set(found)
