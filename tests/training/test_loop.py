from __future__ import annotations

import copy
import json
import math
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch._dynamo.utils import counters

from stzoo import nets
from stzoo.contract import InputContract
from stzoo.errors import TrainingError
from stzoo.inference import to_input
from stzoo.nets import Architecture
from stzoo.nets.densenet import DenseNet3d, DenseNetSizes
from stzoo.nets.fusion import named_gates, set_noise, template_fuse
from stzoo.nets.norm import Statistics
from stzoo.recipe import Variational
from stzoo.training.batches import Noise, TrainingClips
from stzoo.training.draws import Draws
from stzoo.training.loop import Assignment, fit, learning_rate_factor, optimiser_of
from stzoo.training.machine import Machine
from stzoo.training.mixing import Mixing
from stzoo.training.objective import divergence

CPU = Machine(torch.device("cpu"))
CONTRACT = InputContract(frames=2, fps=5.0, resize=32, crop=32)
CLASSES = 3
EPOCHS, STEPS = 3, 2


class StopError(Exception):
    """Raised in place of a crash."""


def optimisation(**changes: Any) -> Variational:
    """Of any stage; what it says of gates counts for a template alone."""
    values = {"epochs": EPOCHS, "batch_size": 4, "learning_rate": 0.05, "weight_decay": 1e-3, "ramp_epochs": 1}
    return Variational(**({"gate_learning_rate": 0.5} | values | changes))


def clips() -> TrainingClips:
    """Eight strips; the colour says the class."""
    rng = np.random.default_rng(0)
    labels = np.arange(8) % CLASSES
    strips = rng.integers(0, 100, (8, 3, 36, 36, 3), dtype=np.uint8)
    strips[np.arange(8), ..., labels] += 120
    return TrainingClips(strips, np.arange(8), labels, frames=2, crop=32)


def net_of(kind: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    shape = Architecture("densenet_tiny", CLASSES, {})
    return nets.template("densenet_tiny", CLASSES) if kind == "template" else nets.fixed_net(shape, shape.uniform("S"))


def train(
    net: nn.Module,
    folder: Path,
    table: Variational | None = None,
    *,
    machine: Machine = CPU,
    record: Callable[[int, dict[str, float]], None] | None = None,
    **changes: Any,
) -> list[dict[str, float]]:
    """Trains a net, a template with everything that belongs to it; the numbers of every epoch."""
    recorded: list[dict[str, float]] = []
    template = nets.is_template(net)
    values: dict[str, Any] = {
        "stage": "variational" if template else "warmup",
        "optimisation": table or optimisation(dropout=0.5),
        "seed": 0,
        "contract": CONTRACT,
        "regulariser": partial(divergence, k=0.01, samples=8) if template else None,
    }
    fit(
        net,
        clips(),
        Assignment(**(values | changes)),
        machine,
        checkpoint=folder / "checkpoint.safetensors",
        record=record or (lambda epoch, numbers: recorded.append({"epoch": epoch, **numbers})),
        progress=False,
    )
    return recorded


def same(one: nn.Module, other: nn.Module) -> bool:
    states = one.state_dict(), other.state_dict()
    return set(states[0]) == set(states[1]) and all(
        torch.equal(value, states[1][key]) for key, value in states[0].items()
    )


def same_files(one: Path, other: Path) -> bool:
    """The order of a file's metadata is left to chance, so that their bytes may differ."""
    tensors = load_file(one), load_file(other)
    with safe_open(one, "pt") as opened, safe_open(other, "pt") as opened_too:
        assert opened.metadata() == opened_too.metadata()
    assert any(name.startswith("optimiser.") for name in tensors[0])
    return list(tensors[0]) == list(tensors[1]) and all(
        torch.equal(value, tensors[1][name]) for name, value in tensors[0].items()
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[nn.Module, Path]]:
    """What an uninterrupted training ends with: the net, and its last checkpoint."""
    done: dict[str, tuple[nn.Module, Path]] = {}

    def finish(kind: str) -> tuple[nn.Module, Path]:
        if kind not in done:
            folder = tmp_path_factory.mktemp(kind)
            net = net_of(kind)
            train(net, folder)
            done[kind] = net, folder / "checkpoint.safetensors"
        return done[kind]

    return finish


@pytest.mark.parametrize("kind", ["template", "fixed"])
@pytest.mark.parametrize("epochs", range(1, EPOCHS + 1))
def test_a_fit_stopped_after_an_epoch_ends_like_one_that_was_not(
    finished: Callable[[str], tuple[nn.Module, Path]], tmp_path: Path, kind: str, epochs: int
) -> None:
    def stop(epoch: int, _: dict[str, float]) -> None:
        if epoch == epochs:
            raise StopError

    with pytest.raises(StopError):
        train(net_of(kind), tmp_path, record=stop)
    torch.manual_seed(99)  # the other process has drawn other numbers
    net = net_of(kind, seed=epochs if epochs > 1 else 0)  # what is in the checkpoint needs no right start
    recorded = train(net, tmp_path)
    assert [numbers["epoch"] for numbers in recorded] == list(range(epochs, EPOCHS + 1))
    expected, checkpoint = finished(kind)
    assert same(net, expected)
    assert same_files(tmp_path / "checkpoint.safetensors", checkpoint)


@pytest.mark.parametrize("steps", [0, 1, 3, 5])
def test_a_fit_stopped_within_an_epoch_ends_like_one_that_was_not(
    finished: Callable[[str], tuple[nn.Module, Path]], tmp_path: Path, steps: int
) -> None:
    done = 0

    def stop(net: nn.Module) -> Tensor:
        nonlocal done
        if done == steps:
            raise StopError
        done += 1
        return divergence(net, k=0.01, samples=8)

    with pytest.raises(StopError):
        train(net_of("template"), tmp_path, regulariser=stop)
    net = net_of("template")
    train(net, tmp_path)
    expected, checkpoint = finished("template")
    assert same(net, expected)
    assert same_files(tmp_path / "checkpoint.safetensors", checkpoint)


def test_a_finished_fit_changes_nothing(finished: Callable[[str], tuple[nn.Module, Path]], tmp_path: Path) -> None:
    expected, checkpoint = finished("template")
    shutil.copy(checkpoint, tmp_path)
    net = net_of("template", seed=5)
    assert train(net, tmp_path) == []
    assert same(net, expected)


def test_the_checkpoint_of_another_stage_is_not_taken(
    finished: Callable[[str], tuple[nn.Module, Path]], tmp_path: Path
) -> None:
    shutil.copy(finished("fixed")[1], tmp_path)
    recorded = train(net_of("fixed"), tmp_path, stage="finetune")
    assert [numbers["epoch"] for numbers in recorded] == [1, 2, 3]


def test_a_checkpoint_that_cannot_be_used_stops_the_fit(
    finished: Callable[[str], tuple[nn.Module, Path]], tmp_path: Path
) -> None:
    path = Path(shutil.copy(finished("fixed")[1], tmp_path))
    with pytest.raises(TrainingError, match="cannot be used"):
        train(net_of("template"), tmp_path, stage="warmup")
    path.write_bytes(b"broken")
    with pytest.raises(TrainingError, match="cannot be used"):
        train(net_of("fixed"), tmp_path)


def test_training_leaves_torchs_generator_alone(tmp_path: Path) -> None:
    net = net_of("template")
    torch.manual_seed(1)
    train(net, tmp_path, optimisation(epochs=1, dropout=0.5))
    after = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(3))


def test_seeds_lead_to_other_nets(finished: Callable[[str], tuple[nn.Module, Path]], tmp_path: Path) -> None:
    net = net_of("fixed")
    train(net, tmp_path, seed=1)
    assert not same(net, finished("fixed")[0])


def test_the_first_steps_are_sgd_on_the_loss(tmp_path: Path) -> None:
    """Two steps by hand: noise, loss, weight decay, momentum and both learning rates."""
    table = optimisation(epochs=1, ramp_epochs=0, momentum=0.5, gate_weight_decay=0.02)
    net = net_of("template").train()
    by_hand = copy.deepcopy(net)
    (recorded,) = train(net, tmp_path, table)

    velocities: dict[str, Tensor] = {}
    losses, entropies, rights = [], [], []
    for step, batch in enumerate(clips().epoch(Draws(0, "variational", 0), 4, Noise(30))):
        set_noise(by_hand, batch.gate_draws)
        logits = by_hand(to_input(batch.clips[:, 0], CONTRACT))
        cross_entropy = F.cross_entropy(logits, batch.labels)
        loss = cross_entropy + divergence(by_hand, k=0.01, samples=8)
        by_hand.zero_grad()
        loss.backward()
        factor = 0.5 * (1 + math.cos(math.pi * step / STEPS))
        with torch.no_grad():
            for name, parameter in by_hand.named_parameters():
                gate = ".gates." in name
                assert parameter.grad is not None
                gradient = parameter.grad + (0.02 if gate else 1e-3) * parameter
                velocities[name] = 0.5 * velocities[name] + gradient if step else gradient
                parameter -= (0.5 if gate else 0.05) * factor * velocities[name]
        losses.append(loss.item())
        entropies.append(cross_entropy.item())
        rights.append((logits.argmax(1) == batch.labels).float().mean().item())
    assert len(losses) == STEPS
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, by_hand.state_dict()[name], rtol=1e-3, atol=1e-5, msg=f"{name} differs")
    assert recorded["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert recorded["cross_entropy"] == pytest.approx(np.mean(entropies), rel=1e-4)
    assert recorded["divergence"] == pytest.approx(recorded["loss"] - recorded["cross_entropy"], abs=1e-5)
    assert recorded["train_accuracy"] == pytest.approx(np.mean(rights))
    assert recorded["learning_rate"] == pytest.approx(0.05 * 0.5)


def test_averages_count_clips_not_batches(tmp_path: Path) -> None:
    """Batches of 3, 3 and 2: with a rate of almost zero every epoch has the mean of all clips."""
    net = net_of("fixed").requires_grad_(False)
    net.get_submodule("head").requires_grad_()
    table = optimisation(epochs=1, batch_size=3, learning_rate=1e-12, ramp_epochs=0)
    (recorded,) = train(net, tmp_path, table)
    per_clip = []
    for batch in clips().epoch(Draws(0, "warmup", 0), 3):
        logits = net.train()(to_input(batch.clips[:, 0], CONTRACT))
        per_clip += F.cross_entropy(logits, batch.labels, reduction="none").tolist()
    assert len(per_clip) == 8
    assert recorded["cross_entropy"] == pytest.approx(np.mean(per_clip), rel=1e-4)


def test_a_template_learns_its_task(tmp_path: Path) -> None:
    recorded = train(net_of("template"), tmp_path, optimisation(epochs=8, learning_rate=0.1))
    assert recorded[-1]["cross_entropy"] < 0.5 * recorded[0]["cross_entropy"]
    assert recorded[-1]["train_accuracy"] >= 0.75


def test_noise_is_taken_away_and_the_net_shown_in_eval_mode(tmp_path: Path) -> None:
    net = net_of("template")

    def record(_: int, __: dict[str, float]) -> None:
        assert not net.training
        assert all(gate.uniform is None for _, _, gate, _ in named_gates(net))

    train(net, tmp_path, optimisation(epochs=1), record=record)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_fit(tmp_path: Path, value: float) -> None:
    net = net_of("fixed")
    before = copy.deepcopy(dict(net.named_parameters()))
    with pytest.raises(TrainingError) as caught:
        train(net, tmp_path, regulariser=lambda _: torch.tensor(value))
    assert str(caught.value) == (
        f"the loss of stage warmup is {value} in epoch 1, step 1; lower warmup.learning_rate, which is 0.05"
    )
    assert all(torch.equal(parameter, before[name]) for name, parameter in net.named_parameters())
    assert list(tmp_path.iterdir()) == []


def test_a_rate_that_is_far_too_high_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"lower warmup\.learning_rate, which is 100"):
        train(net_of("fixed"), tmp_path, optimisation(epochs=40, learning_rate=100.0, weight_decay=1.0, momentum=0.99))


def test_a_run_that_diverged_ends_with_its_epoch_and_leaves_no_checkpoint_of_it(tmp_path: Path) -> None:
    net, table = net_of("fixed"), optimisation(epochs=40, learning_rate=100.0, weight_decay=0.0, momentum=0.99)

    def break_it(epoch: int, _: dict[str, float]) -> None:
        if epoch == 1:
            next(value for name, value in net.named_buffers() if name.endswith("running_var")).fill_(math.inf)

    gentle = optimisation(learning_rate=1e-4)
    with pytest.raises(TrainingError, match=r"warmup has diverged in epoch 2: .*running_var is no longer finite; low"):
        train(net, tmp_path, gentle, record=break_it)
    with pytest.raises(TrainingError, match=r"warmup has diverged in epoch 1: .*warmup.learning_rate, which is 0.0001"):
        train(net_of("fixed"), tmp_path, gentle)
    with pytest.raises(TrainingError, match=r"lower warmup\.learning_rate, which is 100\.0, and train into another"):
        train(net_of("fixed"), tmp_path / "b", table)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_that_of_convolutions_alone(tmp_path: Path, precision: str) -> None:
    net = net_of("template")
    table = optimisation(epochs=2, dropout=0.0)
    recorded = train(net, tmp_path, table, machine=Machine(torch.device("cpu"), precision))
    in_full = train(net_of("template"), tmp_path / "full", table)
    assert recorded[0]["loss"] == pytest.approx(in_full[0]["loss"], rel=0.1)
    assert recorded[0]["loss"] != in_full[0]["loss"]
    assert {value.dtype for value in net.parameters()} == {torch.float32}
    with safe_open(tmp_path / "checkpoint.safetensors", "pt") as opened:
        assert bool(json.loads(opened.metadata()["scaler"])) == (precision == "float16"), "float16 alone is scaled"

    # Stopped and continued it ends the same, loss scaling included.
    def stop(epoch: int, _: dict[str, float]) -> None:
        if epoch == 2:
            raise StopError

    machine = Machine(torch.device("cpu"), precision)
    with pytest.raises(StopError):
        train(net_of("template"), tmp_path / "stopped", table, machine=machine, record=stop)
    other = net_of("template", seed=1)
    train(other, tmp_path / "stopped", table, machine=machine)
    assert same(net, other)
    assert same_files(tmp_path / "stopped" / "checkpoint.safetensors", tmp_path / "checkpoint.safetensors")


def without_batch_statistics(net: nn.Module) -> nn.Module:
    """In double precision, and normalised by the statistics of the start whatever the mode: clips do not mix."""
    for module in net.double().modules():
        if isinstance(module, Statistics):
            module.eval()
            module.train = lambda mode=True, module=module: module  # type: ignore[method-assign,misc]
    return net


@pytest.fixture
def in_double(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stzoo.training.loop.to_input", lambda pixels, contract: to_input(pixels, contract).double())


def test_gradients_of_passes_add_up_to_those_of_the_whole_batch(tmp_path: Path, in_double: None) -> None:
    """Two batches of four clips, whole and in passes of two and of one."""
    outcomes = []
    for micro_batch in (0, 3, 1):
        net = without_batch_statistics(net_of("template"))
        machine = Machine(torch.device("cpu"), micro_batch=micro_batch)
        recorded = train(
            net, tmp_path / str(micro_batch), optimisation(epochs=2, batch_size=6, dropout=0.5), machine=machine
        )
        outcomes.append((recorded, net.state_dict()))
    (recorded, state), *others = outcomes
    for its_recorded, its_state in others:
        for epoch, its_epoch in zip(recorded, its_recorded, strict=True):
            assert its_epoch == pytest.approx(epoch, rel=1e-9)
        for name, value in state.items():
            torch.testing.assert_close(its_state[name], value, rtol=1e-8, atol=1e-10, msg=name)


def test_batch_norm_sees_a_pass(tmp_path: Path) -> None:
    net = net_of("fixed")
    train(net, tmp_path, optimisation(epochs=1, batch_size=8), machine=Machine(torch.device("cpu"), micro_batch=4))
    assert int(net.get_buffer("norm.num_batches_tracked")) == 2


def test_a_moving_average_is_what_is_shown_and_kept(tmp_path: Path) -> None:
    """And stopped after an epoch it ends the same."""

    def stop(epoch: int, _: dict[str, float]) -> None:
        if epoch == 2:
            raise StopError

    shown: list[Tensor] = []
    net, plain = net_of("fixed"), net_of("fixed")
    table = optimisation(epochs=2, ema=0.9)
    train(net, tmp_path / "whole", table, record=lambda *_: shown.append(net.head.weight.detach().clone()))
    assert torch.equal(shown[-1], net.head.weight)
    train(plain, tmp_path / "plain", optimisation(epochs=2))
    assert not same(net, plain)
    with pytest.raises(StopError):
        train(net_of("fixed"), tmp_path / "stopped", table, record=stop)
    other = net_of("fixed", seed=1)
    train(other, tmp_path / "stopped", table)
    assert same(net, other)
    assert same_files(tmp_path / "stopped" / "checkpoint.safetensors", tmp_path / "whole" / "checkpoint.safetensors")


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Shapes and types are not checked, since torch.compile would compile the checks; its counts begin at zero."""
    jaxtyping.config.update("jaxtyping_disable", True)
    counters.clear()
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
    torch.compiler.reset()


def test_a_compiled_net_learns_the_same(tmp_path: Path, unchecked: None) -> None:
    """With the cheapest backend that also compiles the way back."""
    sizes = DenseNetSizes((1,), growth=4, stem_width=8, stem_kernel=(1, 5, 5), pool_kernel=(1, 3, 3), bottleneck=2)
    outcomes = []
    for compiler in (None, "aot_eager"):
        torch.manual_seed(0)
        net = DenseNet3d(template_fuse(0.1, 0.2), sizes, CLASSES)
        machine = Machine(torch.device("cpu"), compiler=compiler)
        (recorded,) = train(net, tmp_path / str(compiler), optimisation(epochs=1, dropout=0.5), machine=machine)
        outcomes.append((net, recorded))
    assert counters["stats"]["unique_graphs"] == 1, "one graph for all steps"
    assert counters["graph_break"] == {}
    (net, recorded), (compiled, its_recorded) = outcomes
    assert its_recorded == pytest.approx(recorded, rel=1e-5)
    for name, value in net.state_dict().items():
        torch.testing.assert_close(compiled.state_dict()[name], value, rtol=1e-3, atol=1e-5, msg=name)


def test_every_parameter_is_in_one_group_and_gates_in_their_own() -> None:
    net = net_of("template")
    optimiser = optimiser_of(net, optimisation(gate_learning_rate=0.7, gate_weight_decay=0.3))
    weights, gates = optimiser.param_groups
    assert {id(logit) for logit in gates["params"]} == {id(gate.logit) for _, _, gate, _ in named_gates(net)}
    grouped = [id(parameter) for group in (weights, gates) for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in net.parameters())
    assert (weights["base"], weights["weight_decay"]) == (0.05, 1e-3)
    assert (gates["base"], gates["weight_decay"]) == (0.7, 0.3)
    assert weights["momentum"] == gates["momentum"] == 0.9
    assert len(optimiser_of(net_of("fixed"), optimisation()).param_groups) == 1


def test_the_cosine_falls_from_one_to_zero() -> None:
    table = optimisation(epochs=10, ramp_epochs=0)
    factors = [learning_rate_factor(table, float(progress)) for progress in (0, 2.5, 5, 7.5, 10)]
    assert factors == pytest.approx([1.0, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2, 0.0])


def test_the_ramp_rises_from_zero_to_the_whole_rate() -> None:
    table = optimisation(epochs=12, ramp_epochs=2)
    factors = [learning_rate_factor(table, float(progress)) for progress in (0, 0.5, 1, 1.999, 2, 7, 12)]
    assert factors == pytest.approx([0.0, 0.25, 0.5, 0.9995, 1.0, 0.5, 0.0])
    only_ramp = optimisation(epochs=2, ramp_epochs=2)
    assert learning_rate_factor(only_ramp, 1.5) == 0.75


def test_steps_fall_at_their_milestones() -> None:
    table = optimisation(epochs=90, schedule="step", milestones=(40, 60, 80), ramp_epochs=5)
    progress = (2.5, 5, 39.99, 40, 59.9, 60, 80, 90)
    factors = [learning_rate_factor(table, float(value)) for value in progress]
    assert factors == pytest.approx([0.5, 1, 1, 0.1, 0.1, 0.01, 0.001, 0.001])


def test_the_trunk_has_a_rate_of_its_own() -> None:
    net = net_of("template")
    optimiser = optimiser_of(net, optimisation(trunk_learning_rate=0.002, gate_learning_rate=0.7))
    head, trunk, gates = optimiser.param_groups
    assert [id(parameter) for parameter in head["params"]] == [id(parameter) for parameter in net.head.parameters()]
    grouped = [id(parameter) for group in (head, trunk, gates) for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in net.parameters())
    assert [group["base"] for group in (head, trunk, gates)] == [0.05, 0.002, 0.7]
    assert [group["weight_decay"] for group in (head, trunk, gates)] == [1e-3, 1e-3, 0.0]


def test_adamw_has_the_same_groups() -> None:
    table = optimisation(optimiser="adamw", trunk_learning_rate=0.002, momentum=0.8)
    optimiser = optimiser_of(net_of("template"), table)
    assert isinstance(optimiser, torch.optim.AdamW)
    assert [group["base"] for group in optimiser.param_groups] == [0.05, 0.002, 0.5]
    assert all(group["betas"] == (0.8, 0.999) for group in optimiser.param_groups)


def test_the_head_learns_alone_in_its_epochs(tmp_path: Path) -> None:
    """Weights and gates of the trunk stay; its batch norm follows the clips, as in every epoch."""
    net = net_of("template")
    before = copy.deepcopy(net.state_dict())
    train(net, tmp_path, optimisation(epochs=2, head_epochs=2, ramp_epochs=0, dropout=0.5))
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert {"head.weight", "head.bias"} <= changed
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    assert all(name.startswith("head.") or name.endswith(statistics) for name in changed)
    assert any(name.endswith("running_mean") for name in changed)
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_the_trunk_learns_after_the_epochs_of_the_head(tmp_path: Path) -> None:
    net = net_of("template")
    before = copy.deepcopy(net.state_dict())
    train(net, tmp_path, optimisation(epochs=2, head_epochs=1, ramp_epochs=0, dropout=0.5))
    assert not any(torch.equal(value, before[name]) for name, value in net.named_parameters())


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
@pytest.mark.parametrize("epochs", range(1, EPOCHS))
def test_a_fit_with_all_that_keeps_given_weights_goes_on_as_if_never_stopped(
    tmp_path: Path, optimiser: str, epochs: int
) -> None:
    """Stopped within the epochs of the head, at their end and after them."""
    table = optimisation(
        optimiser=optimiser, trunk_learning_rate=0.002, head_epochs=2, label_smoothing=0.1, batch_norm="kept", ema=0.5
    )

    def stop(epoch: int, _: dict[str, float]) -> None:
        if epoch == epochs:
            raise StopError

    whole, stopped = net_of("template"), net_of("template")
    for folder in (tmp_path / "whole", tmp_path / "stopped"):
        folder.mkdir()
    recorded = train(whole, tmp_path / "whole", table)
    with pytest.raises(StopError):
        train(stopped, tmp_path / "stopped", table, record=stop)
    resumed = net_of("template")
    assert train(resumed, tmp_path / "stopped", table) == recorded[epochs - 1 :]
    assert same(resumed, whole)
    assert same_files(tmp_path / "stopped" / "checkpoint.safetensors", tmp_path / "whole" / "checkpoint.safetensors")


def test_kept_statistics_are_those_that_training_normalises_by(tmp_path: Path) -> None:
    net = net_of("fixed")
    for norm in net.modules():
        if isinstance(norm, Statistics):
            norm.running_mean.fill_(0.25)
    before = copy.deepcopy(net)
    (recorded,) = train(net, tmp_path, optimisation(epochs=1, batch_size=8, batch_norm="kept", ramp_epochs=0))
    statistics = {name for name, _ in net.named_buffers() if "running" in name or "tracked" in name}
    assert all(torch.equal(net.state_dict()[name], before.state_dict()[name]) for name in statistics)
    (batch,) = clips().epoch(Draws(0, "warmup", 0), 8)
    expected = F.cross_entropy(before.eval()(to_input(batch.clips[:, 0], CONTRACT)), batch.labels)
    assert recorded["cross_entropy"] == pytest.approx(expected.item(), rel=1e-4)


def test_smoothed_labels_share_a_part_of_the_target(tmp_path: Path) -> None:
    net = net_of("fixed")
    with torch.no_grad():
        net.head.weight.zero_()
        net.head.bias.copy_(torch.tensor([2.0, 0.0, -1.0]))
    table = optimisation(epochs=1, batch_size=8, learning_rate=1e-12, ramp_epochs=0, label_smoothing=0.3)
    (recorded,) = train(net, tmp_path, table)
    log = torch.tensor([2.0, 0.0, -1.0]).log_softmax(0)
    target = 0.7 * torch.eye(3)[torch.arange(8) % 3] + 0.1
    assert recorded["cross_entropy"] == pytest.approx(float(-(target * log).sum(1).mean()), rel=1e-5)


@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_a_stage_that_gets_no_better_ends_with_its_best_net(tmp_path: Path, ema: float) -> None:
    """Also when it was stopped and resumed, after any epoch, and begun again once it has ended."""
    losses = {1: 2.0, 2: 1.0, 3: 1.5, 4: 1.0, 5: 0.0}
    table = optimisation(epochs=5, patience=2, ema=ema)
    shown: dict[int, dict[str, Tensor]] = {}
    net = net_of("template")

    def record(epoch: int, _: dict[str, float]) -> float:
        shown[epoch] = copy.deepcopy(net.state_dict())
        return losses[epoch]

    train(net, tmp_path / "whole", table, record=record)
    assert list(shown) == [1, 2, 3, 4], "the fifth would have been better, but was not waited for"
    assert all(torch.equal(value, shown[2][name]) for name, value in net.state_dict().items())
    for last in range(1, 5):

        def stop(epoch: int, _: dict[str, float], last: int = last) -> float:
            if epoch == last:
                raise StopError
            return losses[epoch]

        folder = tmp_path / str(last)
        with pytest.raises(StopError):
            train(net_of("template"), folder, table, record=stop)
        for _ in range(2):
            other = net_of("template", seed=1) if last > 1 else net_of("template")
            train(other, folder, table, record=lambda epoch, _: losses[epoch])
            assert same(other, net)


def test_mixed_clips_are_what_the_net_learns_from(tmp_path: Path) -> None:
    net, amounts = net_of("fixed"), {"mixup": 0.8, "cutmix": 1.0}
    before = copy.deepcopy(net).eval()
    table = optimisation(epochs=1, batch_size=8, learning_rate=1e-12, ramp_epochs=0, batch_norm="kept", **amounts)
    (recorded,) = train(net, tmp_path, table)
    (batch,) = clips().epoch(Draws(0, "warmup", 0), 8)
    mixed = Mixing(**amounts)(to_input(batch.clips[:, 0], CONTRACT), batch.mixing_draws)
    expected = mixed.cross_entropy(before(mixed.inputs), batch.labels, 0.0) / 8
    assert recorded["cross_entropy"] == pytest.approx(expected.item(), rel=1e-4)


def test_the_rate_is_steady_while_the_head_learns_alone() -> None:
    table = optimisation(epochs=14, head_epochs=2, ramp_epochs=2)
    factors = [learning_rate_factor(table, float(progress)) for progress in (0, 1.9, 2, 3, 4, 9, 14)]
    assert factors == pytest.approx([1.0, 1.0, 0.0, 0.5, 1.0, 0.5, 0.0])
    assert learning_rate_factor(optimisation(epochs=3, head_epochs=3, ramp_epochs=0), 2.9) == 1.0
