from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from stzoo import nets
from stzoo.contract import InputContract
from stzoo.errors import UsageError
from stzoo.nets import Architecture, Classifier
from stzoo.nets.merging import merge
from stzoo.nets.norm import Statistics
from stzoo.nets.reestimation import absorb_batch_norm, reestimate_batch_norm, without_sums

CONTRACT = InputContract(frames=2, fps=5.0, resize=32, crop=32, mean=(0.1, 0.5, 0.9), std=(0.2, 0.3, 0.4))


def net() -> nn.Module:
    torch.manual_seed(0)
    shape = Architecture("densenet_tiny", 4, {})
    return nets.fixed_net(shape, shape.uniform("S+ST"))


def batches(count: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(3, 3, 2, 32, 32, generator=generator) + index for index in range(count)]


def test_re_estimated_statistics_are_the_plain_average_of_all_batches() -> None:
    fixed_net = net().eval()
    stem = fixed_net.get_submodule("stem.0")
    reestimate_batch_norm(fixed_net, iter(batches(3)))
    with torch.no_grad():
        seen = [stem(batch.permute(0, 2, 3, 4, 1)).flatten(0, 3) for batch in batches(3)]
    norm = fixed_net.get_submodule("stem.1")
    torch.testing.assert_close(norm.running_mean, torch.stack([x.mean(0) for x in seen]).mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm.running_var, torch.stack([x.var(0) for x in seen]).mean(0), rtol=1e-4, atol=1e-5)
    assert all(module.num_batches_tracked == 3 for module in fixed_net.modules() if isinstance(module, Statistics))


def test_re_estimation_forgets_what_was_there_and_touches_nothing_else() -> None:
    fixed_net = net().eval()
    fresh = copy.deepcopy(fixed_net)
    with torch.no_grad():
        for batch in batches(2, seed=9):
            fixed_net.train()(100 * batch)
    parameters = copy.deepcopy(dict(fixed_net.named_parameters()))
    for one in (fixed_net.eval(), fresh.eval()):
        reestimate_batch_norm(one, batches(3))
    for name, value in fixed_net.state_dict().items():
        assert torch.equal(value, fresh.state_dict()[name]), name
    assert all(torch.equal(value, parameters[name]) for name, value in fixed_net.named_parameters())
    assert all(value.grad is None for value in fixed_net.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_re_estimation_gives_back_mode_and_momentum(training: bool) -> None:
    fixed_net = net().train(training)
    norms = [module for module in fixed_net.modules() if isinstance(module, Statistics)]
    norms[0].momentum = 0.3
    reestimate_batch_norm(fixed_net, batches(1))
    assert all(module.training == training for module in fixed_net.modules())
    assert [norm.momentum for norm in norms] == [0.3] + [0.1] * (len(norms) - 1)


def test_statistics_of_pooled_features_are_estimated_once_and_then_stay() -> None:
    shape = Architecture("densenet_tiny", 4, {"pooling": ["mean", "trend"]})
    fixed_net = nets.fixed_net(shape, shape.uniform("ST"))
    norms = [fixed_net.get_submodule(name) for name in ("pooling.norm", "stem.1")]
    reestimate_batch_norm(fixed_net, batches(2))
    pooled, stem = [norm.running_mean.clone() for norm in norms]
    assert pooled.abs().sum() > 0
    reestimate_batch_norm(fixed_net, [5.0 + batch for batch in batches(2, seed=1)])
    assert torch.equal(norms[0].running_mean, pooled)
    assert not torch.allclose(norms[1].running_mean, stem)


def test_a_net_without_norms_of_ours_absorbs_nothing() -> None:
    fixed_net = net().eval()
    with pytest.raises(UsageError, match="no batch norm of stzoo's whose scale could absorb"):
        absorb_batch_norm(fixed_net, merge(fixed_net), lambda: batches(1))


def test_re_estimation_needs_a_fixed_net_and_clips() -> None:
    with pytest.raises(UsageError, match="for fixed nets; prune a strategy"):
        reestimate_batch_norm(nets.template("densenet_tiny", 4), batches(1))
    with pytest.raises(UsageError, match="from no clips at all"):
        reestimate_batch_norm(net(), [])


def with_statistics_of_other_clips(net: Classifier) -> Classifier:
    """Norms that do not fit the clips of `batches`, with scales and shifts of their own."""
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith(("norm.weight", "norm.bias", "1.weight", "1.bias")):
                parameter.add_(torch.rand_like(parameter))
        for batch in batches(2, seed=9):
            net.train()(3 * batch - 1)
    return net.eval()


def one_batch() -> Tensor:
    """So many values of every channel that a batch's variance is that of all batches."""
    return torch.randn(16, 3, 4, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("backbone", ["densenet_tiny", "resnet_tiny", "mobilenet_v2_tiny", "mobilenet_v4_tiny"])
def test_what_absorbs_its_statistics_computes_what_it_did(backbone: str) -> None:
    torch.manual_seed(0)
    shape = Architecture(backbone, 4, {})
    fixed_net = with_statistics_of_other_clips(nets.fixed_net(shape, shape.all_open))
    clips = one_batch()
    with torch.no_grad():
        before = fixed_net(clips)
        lost = copy.deepcopy(fixed_net)
        reestimate_batch_norm(lost, [clips])
        absorb_batch_norm(fixed_net, fixed_net, lambda: [clips])
        size = float(before.std())
        assert (lost(clips) - before).abs().max() > 0.3 * size
        torch.testing.assert_close(fixed_net(clips), before, rtol=0.0, atol=0.03 * size)


@pytest.mark.parametrize(
    ("backbone", "options"),
    [("densenet_tiny", {}), ("densenet_tiny", {"shared_norm": True}), ("resnet_tiny", {}), ("mobilenet_v2_tiny", {})],
)
def test_a_sum_of_branches_that_are_alike_absorbs_what_one_of_them_computes(
    backbone: str, options: dict[str, bool]
) -> None:
    torch.manual_seed(0)
    shape = Architecture(backbone, 4, options)
    summed = nets.fixed_net(shape, shape.uniform("S+ST"))
    with_statistics_of_other_clips(summed)
    centre_the_branches_on_one(summed)
    clips = one_batch()
    alone = without_sums(summed, shape.uniform("S+ST"))
    with torch.no_grad():
        expected = alone(clips)
        absorb_batch_norm(summed, alone, lambda: [clips])
        torch.testing.assert_close(summed.eval()(clips), expected, rtol=0.0, atol=0.03 * float(expected.std()))


def centre_the_branches_on_one(net: Classifier) -> None:
    """Gives ST what S has, at its middle tap."""
    tensors = net.state_dict()
    for name, value in tensors.items():
        if ".branches.ST." in name:
            flat = tensors[name.replace(".ST.", ".S.")]
            value.zero_()
            if value.ndim == 5:
                value[:, :, value.shape[2] // 2] = flat[:, :, 0]
            else:
                value.copy_(flat)
