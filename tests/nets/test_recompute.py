from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from stzoo import nets
from stzoo.nets import Architecture
from stzoo.nets.fusion import set_noise
from stzoo.nets.measure import measure_training
from stzoo.nets.recompute import recomputed

BACKBONES = ["densenet_tiny", "resnet_tiny", "mobilenet_v2_tiny", "mobilenet_v4_tiny"]


def template(backbone: str) -> nn.Module:
    torch.manual_seed(0)
    return nets.template(backbone, 3, dropout=0.5).double()


def passed(net: nn.Module, again: bool) -> tuple[Tensor, dict[str, Tensor], int]:
    """Loss and gradients of a training pass, and the bytes that autograd kept in between beside the net's own."""
    draw = torch.Generator().manual_seed(1)
    clips = torch.randn(2, 3, 4, 32, 32, generator=draw, dtype=torch.float64)
    set_noise(net, torch.rand(2, 60, generator=draw))
    net.dropout_draws = torch.rand(2, net.head.in_features, generator=draw)
    net.recompute = recomputed if again else None
    seen = {tensor.untyped_storage().data_ptr(): tensor for tensor in net.state_dict().values()}
    kept = 0

    def keep(tensor: Tensor) -> Tensor:
        nonlocal kept
        if tensor.untyped_storage().data_ptr() not in seen:
            seen[tensor.untyped_storage().data_ptr()] = tensor
            kept += tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = net.train()(clips).square().mean()
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in net.named_parameters() if parameter.grad is not None}
    return loss.detach(), gradients, kept


@pytest.mark.parametrize("backbone", BACKBONES)
def test_what_is_computed_again_gives_the_same_gradients_from_less_memory(backbone: str) -> None:
    plain, sparing = template(backbone), template(backbone)
    loss, gradients, kept = passed(plain, again=False)
    same_loss, same_gradients, less_kept = passed(sparing, again=True)
    assert torch.equal(loss, same_loss)
    assert set(gradients) == {name for name, _ in plain.named_parameters()}
    for name, gradient in gradients.items():
        torch.testing.assert_close(same_gradients[name], gradient, rtol=1e-10, atol=1e-14, msg=name)
    for name, buffer in plain.named_buffers():
        assert torch.equal(buffer, sparing.get_buffer(name)), f"{name} has followed the batch twice"
    counted = measure_training(
        Architecture(backbone, 3, {}), None, frames=4, height=32, width=32, checkpoint_activations=True
    )
    assert less_kept < 0.6 * kept
    assert 2 * 2 * counted.kept_bytes == pytest.approx(less_kept, rel=0.1), "two clips in double precision"
    assert 0 < counted.recomputed_bytes < kept / 4 - counted.kept_bytes
    assert 0 < counted.recomputed_multiply_adds < counted.multiply_adds


def test_nothing_is_computed_again_outside_training() -> None:
    net = nets.template("densenet_tiny", 3)

    def refuse(*_: object) -> Tensor:
        raise AssertionError

    net.recompute = refuse
    net.eval()(torch.zeros(1, 3, 2, 32, 32))
    with torch.no_grad():
        net.train()(torch.zeros(2, 3, 2, 32, 32))
