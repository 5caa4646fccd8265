from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from stzoo import nets
from stzoo.nets import Architecture
from stzoo.nets.fusion import Gate, draw_masks, named_gates
from stzoo.nets.measure import count_kernels
from stzoo.training.objective import divergence

FORMS: tuple[Literal["coded", "eq5"], ...] = ("coded", "eq5")
SAMPLES = 37


def template(**options: object) -> nn.Module:
    """Gates with drop rates from almost 0 to almost 1, no two alike."""
    torch.manual_seed(0)
    net = nets.template("densenet_tiny", 3, **options)
    with torch.no_grad():
        for index, (_, _, gate, _) in enumerate(named_gates(net)):
            gate.logit.fill_(0.4 * index - 5.0)
    return net


def gates_and_weights(net: nn.Module) -> list[tuple[Gate, nn.Parameter]]:
    """Every gate with the weight of its convolution, found by name."""
    parameters = dict(net.named_parameters())
    pairs = []
    for name, module in net.named_modules():
        if isinstance(module, Gate):
            prefix, _, branch = name.partition(".gates.")
            place = f"{prefix}.branches.{branch}"
            pairs.append((module, parameters.get(f"{place}.conv.weight", parameters.get(f"{place}.weight"))))
    assert all(weight is not None for _, weight in pairs)
    return pairs  # type: ignore[return-value]


def term(logit: float, squared_norm: float, k: float, form: str) -> float:
    """What one gate adds, as it is printed, in double precision and not divided by the number of samples."""
    p = 1.0 / (1.0 + math.exp(-logit))
    if form == "eq5":
        return k**2 / 2 * (1 - p) * squared_norm + p * math.log(p)
    return k * (1 - p) * squared_norm + p * math.log(p) + (1 - p) * math.log(1 - p)


@pytest.mark.parametrize("options", [{}, {"tail_sites": True}])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("k", [0.0, 0.3, 20.0])
def test_the_divergence_is_the_formula_summed_over_gates(
    options: dict[str, bool], form: Literal["coded", "eq5"], k: float
) -> None:
    net = template(**options)
    expected = sum(
        term(gate.logit.item(), weight.double().square().sum().item(), k, form)
        for gate, weight in gates_and_weights(net)
    )
    assert len(gates_and_weights(net)) == 30 + 12 * bool(options)
    assert divergence(net, k=k, samples=SAMPLES, form=form).item() == pytest.approx(expected / SAMPLES, rel=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_those_of_the_formula(form: Literal["coded", "eq5"]) -> None:
    k, step = 0.7, 1e-4
    net = template()
    divergence(net, k=k, samples=SAMPLES, form=form).backward()
    for gate, weight in gates_and_weights(net):
        logit, squared_norm = gate.logit.item(), weight.detach().double().square().sum().item()
        above, below = (term(logit + change, squared_norm, k, form) for change in (step, -step))
        assert gate.logit.grad is not None
        assert gate.logit.grad.item() == pytest.approx((above - below) / (2 * step) / SAMPLES, rel=2e-3, abs=1e-6)

        assert weight.grad is not None
        index = (0,) * weight.ndim
        value = weight[index].item()
        above, below = (
            term(logit, squared_norm - value**2 + (value + change) ** 2, k, form) for change in (step, -step)
        )
        assert weight.grad[index].item() == pytest.approx((above - below) / (2 * step) / SAMPLES, rel=2e-3, abs=1e-7)


@pytest.mark.parametrize("form", FORMS)
def test_in_double_precision_gradients_agree_with_finite_differences(form: Literal["coded", "eq5"]) -> None:
    net = template().double()
    gate, weight = gates_and_weights(net)[7]
    divergence(net, k=0.5, samples=SAMPLES, form=form).backward()
    for parameter, index in ((gate.logit, ()), (weight, (1, 2, 0, 0, 0))):
        values = []
        with torch.no_grad():
            for change in (1e-4, -2e-4):
                parameter[index] += change
                values.append(divergence(net, k=0.5, samples=SAMPLES, form=form).item())
            parameter[index] += 1e-4
        assert parameter.grad is not None
        assert parameter.grad[index].item() == pytest.approx((values[0] - values[1]) / 2e-4, rel=1e-6)


def prices(net: nn.Module) -> dict[tuple[str, str], float]:
    return {(site, branch): 0.01 * number for number, (site, branch, _, _) in enumerate(named_gates(net))}


def test_a_price_of_cost_is_free_of_weights_and_of_the_number_of_samples() -> None:
    net, k = template(), 3.0
    value = divergence(net, k=k, samples=SAMPLES, form="cost", prices=prices(net))
    expected = 0.0
    for gate, price in zip((gate for gate, _ in gates_and_weights(net)), prices(net).values(), strict=True):
        p = gate.drop.item()
        expected += k * (1 - p) * price + (p * math.log(p) + (1 - p) * math.log(1 - p)) / SAMPLES
    assert value.item() == pytest.approx(expected, rel=1e-5)
    value.backward()
    assert all(weight.grad is None for _, weight in gates_and_weights(net))
    with torch.no_grad():
        for _, weight in gates_and_weights(net):
            weight *= 0.1
    assert divergence(net, k=k, samples=SAMPLES, form="cost", prices=prices(net)).item() == value.item()
    many, more = (divergence(net, k=k, samples=n, form="cost", prices=prices(net)).item() for n in (10**9, 10**10))
    assert (
        many
        == pytest.approx(more)
        == pytest.approx(
            sum(
                k * (1 - gate.drop.item()) * price
                for (gate, _), price in zip(gates_and_weights(net), prices(net).values(), strict=True)
            )
        )
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("logit", [-200.0, -90.0, 90.0, 200.0])
def test_value_and_gradients_are_finite_where_gates_saturate(form: Literal["coded", "eq5"], logit: float) -> None:
    net = template()
    with torch.no_grad():
        for gate, _ in gates_and_weights(net):
            gate.logit.fill_(logit)
    value = divergence(net, k=0.01, samples=1, form=form)
    value.backward()
    whole = sum(weight.detach().square().sum().item() for _, weight in gates_and_weights(net))
    factor = 0.01 if form == "coded" else 0.01**2 / 2
    assert value.item() == pytest.approx(factor * whole if logit < 0 else 0.0, rel=1e-5, abs=1e-6)
    for gate, weight in gates_and_weights(net):
        for parameter in (gate.logit, weight):
            assert parameter.grad is not None
            assert torch.isfinite(parameter.grad).all()


@pytest.mark.parametrize("options", [{}, {"tail_sites": True}])
def test_only_the_weights_of_gated_convolutions_count(options: dict[str, bool]) -> None:
    net = template(**options)
    divergence(net, k=1.0, samples=1).backward()
    counted = {name for name, parameter in net.named_parameters() if parameter.grad is not None}
    tails = {name for name, _ in net.named_parameters() if name.endswith("tail.branches.tail.weight")}
    branches = {
        name for name, _ in net.named_parameters() if ".unit.branches." in name and name.endswith("conv.weight")
    }
    gates = {name for name, _ in net.named_parameters() if ".gates." in name}
    assert counted == branches | tails | gates
    assert len(branches) == 30
    assert len(tails) == (12 if options else 0)


def test_a_fixed_net_has_no_divergence() -> None:
    shape = Architecture("densenet_tiny", 3, {})
    value = divergence(nets.fixed_net(shape, shape.uniform("S+ST")), k=20.0, samples=1)
    assert value.item() == 0.0
    assert value.shape == ()


def test_without_data_a_gate_rests_where_its_logit_is_k_times_the_squared_norm() -> None:
    net = template()
    k = 0.02
    norms: list[float] = []
    with torch.no_grad():
        for gate, weight in gates_and_weights(net):
            norms.append(weight.square().sum().item())
            gate.logit.fill_(k * norms[-1])
    divergence(net, k=k, samples=1).backward()
    at_rest = [gradient(gate) for gate, _ in gates_and_weights(net)]
    assert at_rest == pytest.approx([0.0] * len(at_rest), abs=1e-5)

    # And it is pulled there from both sides.
    for shift, sign in ((0.5, 1.0), (-0.5, -1.0)):
        net.zero_grad()
        with torch.no_grad():
            for (gate, _), norm in zip(gates_and_weights(net), norms, strict=True):
                gate.logit.fill_(k * norm + shift)
        divergence(net, k=k, samples=1).backward()
        assert all(sign * gradient(gate) > 0 for gate, _ in gates_and_weights(net))


def gradient(gate: Gate) -> float:
    gradient: Tensor | None = gate.logit.grad
    assert gradient is not None
    return gradient.item()


def test_a_step_of_the_template_of_densenet121_takes_at_most_9600_kernels() -> None:
    net = nets.template("densenet121", 10).train()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    clips, uniforms = torch.randn(1, 3, 2, 32, 32), torch.rand(1, 122)

    def step() -> None:
        draw_masks(net, uniforms)
        (net(clips).sum() + divergence(net, k=10.0, samples=100)).backward()
        optimiser.step()

    assert 5_000 < count_kernels(step) <= 9_600
