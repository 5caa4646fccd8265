from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from stzoo import nets
from stzoo.errors import ContractError, UsageError, WeightsError
from stzoo.nets import Architecture
from stzoo.nets.blank import without_memory
from stzoo.nets.measure import measure
from stzoo.nets.norm import keep_statistics
from stzoo.nets.reestimation import reestimate_batch_norm
from stzoo.nets.torchvision import FAMILIES, TorchvisionNet, from_torchvision
from stzoo.strategies.strategy import Strategy
from stzoo.zoo.torchvision import NETS

CLIPS = {"mc3_18": (2, 3, 3, 24, 16), "s3d": (1, 3, 14, 224, 224), "swin3d_t": (1, 3, 5, 40, 32)}
"""Clips of every family that are small, but for the multiscale transformers, which take only one size."""


def seeded(name: str, classes: int = 400) -> nn.Module:
    """torchvision's net with weights of which none is zero or one."""
    generator = torch.Generator().manual_seed(0)
    net = get_model(name, weights=None, num_classes=classes).eval()
    with torch.no_grad():
        for key, value in net.state_dict().items():
            if value.is_floating_point() and value.dim() < 2:
                value.add_(torch.rand(value.shape, generator=generator) * (1.0 if "var" in key else 0.1))
    return net


def test_all_of_torchvisions_nets_for_video_are_known() -> None:
    from torchvision.models import list_models, video

    assert sorted(FAMILIES) == sorted(list_models(module=video)) == sorted(NETS)
    assert nets.TORCHVISION.keys() == FAMILIES.keys()
    assert not nets.TORCHVISION.keys() & nets.BACKBONES.keys()


@pytest.mark.parametrize("name", CLIPS)
def test_logits_are_torchvisions(name: str) -> None:
    theirs, ours = seeded(name), TorchvisionNet(None, name, 400).eval()
    ours.load_state_dict(from_torchvision(name, theirs.state_dict(), Path("a.pth")), strict=True)
    clips = torch.randn(CLIPS[name], generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = theirs(clips)
        torch.testing.assert_close(ours(clips), expected, rtol=0, atol=1e-5)
    assert expected.std() > 1e-3


@pytest.mark.parametrize("name", FAMILIES)
def test_every_tensor_of_every_net_has_its_place(name: str) -> None:
    with without_memory():
        theirs, ours = get_model(name, weights=None), TorchvisionNet(None, name, 400)
    state = from_torchvision(name, theirs.state_dict(), Path("a.pth"))
    assert {key: value.shape for key, value in state.items()} == {
        key: value.shape for key, value in ours.state_dict().items()
    }
    assert not any(buffer.is_meta for key, buffer in ours.named_buffers() if key.endswith("relative_position_index"))


@pytest.mark.parametrize("name", FAMILIES)
def test_parameters_and_multiply_adds_are_the_published_ones(name: str) -> None:
    """torchvision counts the same of its own nets, of Swin transformers and S3D for 16 frames."""
    from torchvision.models import get_model_weights

    net, meta = NETS[name], get_model_weights(name).KINETICS400_V1.meta
    architecture = Architecture(name, 400, {})
    sizes = {"height": net.contract.crop, "width": net.contract.crop}
    counted = measure(architecture, Strategy(name, {}), frames=net.contract.frames, **sizes)
    assert (counted.parameters, counted.multiply_adds) == (net.parameters, net.multiply_adds)
    assert counted.parameters == meta["num_params"]
    short = measure(architecture, Strategy(name, {}), frames=16, **sizes)
    assert short.multiply_adds / 1e9 == pytest.approx(meta["_ops"], abs=1e-3)


def test_a_net_has_no_sites_and_no_options_but_dropout() -> None:
    architecture = Architecture("r3d_18", 5, {"dropout": 0.5})
    assert architecture.sites == ()
    architecture.all_open.check("r3d_18", ())
    with pytest.raises(UsageError, match="r3d_18 has no option branches; it has dropout"):
        Architecture("r3d_18", 5, {"branches": ("S", "ST")})
    with pytest.raises(UsageError, match='Did you mean "mvit_v2_s"'):
        Architecture("mvit_v2_t", 5, {})


def test_training_draws_nothing_but_dropout(small_swin: Path) -> None:
    net = TorchvisionNet(None, "swin_small", 5).train()
    clips = torch.randn(2, 3, 4, 32, 32)
    assert torch.equal(net(clips), net(clips))
    net.dropout = 0.5
    assert not torch.equal(net(clips), net(clips))
    net.dropout_draws = torch.rand(2, net.head.in_features)
    assert torch.equal(net(clips), net(clips))
    net(clips).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


@pytest.mark.parametrize(
    ("name", "shape", "sentence"),
    [
        ("mvit_v2_s", (1, 3, 8, 224, 224), "takes clips of 16 frames of 224x224 pixels and no others, not of 8 frames"),
        ("mvit_v2_s", (1, 3, 16, 224, 256), "not of 16 frames of 256x224"),
        ("s3d", (1, 3, 8, 224, 224), "8 frames are too short for this net; use at least 14"),
        ("s3d", (1, 3, 16, 112, 112), "112x112 pixels are too small for this net; use at least 224x224"),
    ],
)
def test_clips_that_a_net_does_not_take_are_refused(name: str, shape: tuple[int, ...], sentence: str) -> None:
    with without_memory():
        net = TorchvisionNet(None, name, 5)
    with pytest.raises(ContractError, match=sentence):
        net(torch.empty(shape, device="meta"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda state: state.pop("norm.weight"), "holds no weights of torchvision's swin_small: it lacks norm.weight"),
        (lambda state: state.update(x=torch.zeros(1)), "it has besides x"),
        (lambda state: state.update({"head.bias": torch.zeros(7)}), r"it has head.bias of shape \(7,\) in place of"),
    ],
)
def test_files_of_another_net_are_refused(small_swin: Path, change: object, sentence: str) -> None:
    state = torch.load(small_swin, weights_only=True)
    assert callable(change)
    change(state)
    with pytest.raises(WeightsError, match=sentence):
        from_torchvision("swin_small", state, small_swin)


def test_files_from_before_batches_were_counted_are_taken() -> None:
    state = {key: value for key, value in seeded("mc3_18").state_dict().items() if "num_batches" not in key}
    renamed = from_torchvision("mc3_18", state, Path("a.pth"))
    TorchvisionNet(None, "mc3_18", 400).load_state_dict(renamed, strict=True)


def test_batch_norms_of_torchvision_are_re_estimated_and_none_is_refused(small_swin: Path) -> None:
    net = TorchvisionNet(None, "mc3_18", 3).eval()
    clips = torch.randn(4, 3, 2, 16, 16) + 3
    reestimate_batch_norm(net, [clips[:2], clips[2:]])
    norm = net.trunk.get_submodule("stem.1")
    expected = net.trunk.get_submodule("stem.0")(clips).mean(dim=(0, 2, 3, 4))
    torch.testing.assert_close(norm.running_mean, expected, rtol=1e-3, atol=1e-4)
    assert norm.momentum == 0.1
    before = norm.running_mean.clone()
    keep_statistics(net.train())
    net(clips)
    assert torch.equal(norm.running_mean, before)
    with pytest.raises(UsageError, match="no batch norms"):
        reestimate_batch_norm(TorchvisionNet(None, "swin_small", 3), [clips])
