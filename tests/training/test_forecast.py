from __future__ import annotations

import pytest

from stzoo.errors import UsageError
from stzoo.recipe import Recipe, read
from stzoo.training.forecast import Size, forecast, power


def test_a_forecast_adds_up(smoke: Recipe) -> None:
    costs = forecast(smoke, Size(3, 101))
    assert costs.clips == 101 - 25
    assert [(stage.name, stage.epochs, stage.steps) for stage in costs.stages] == [
        ("warmup", 2, 20),
        ("variational", 2, 20),
        ("finetune", 1, 10),
    ]
    assert costs.multiply_adds == 5 * 76 * 3 * costs.net.multiply_adds
    assert costs.memory_bytes == 12 * costs.net.parameters + 8 * costs.net.kept_bytes
    assert costs.sentence.startswith(f"{power(costs.multiply_adds)} multiply-adds in training, ")


def test_a_pass_and_a_moving_average_take_memory(smoke: Recipe) -> None:
    assert smoke.finetune is not None
    compute = smoke.compute.model_copy(update={"micro_batch": 3, "checkpoint_activations": True})
    averaged = smoke.finetune.model_copy(update={"ema": 0.99})
    costs = forecast(smoke.model_copy(update={"compute": compute, "finetune": averaged}), Size(3, 101))
    assert costs.at_once == 3
    assert costs.memory_bytes == 16 * costs.net.parameters + 3 * (costs.net.kept_bytes + costs.net.recomputed_bytes)
    assert costs.multiply_adds == 5 * 76 * (3 * costs.net.multiply_adds + costs.net.recomputed_multiply_adds)
    assert f" GB for {costs.at_once} clips at once; " in costs.sentence


def test_the_head_alone_costs_the_way_there_and_adamw_one_number_more(smoke: Recipe) -> None:
    assert smoke.warmup is not None
    adapted = smoke.warmup.model_copy(update={"head_epochs": 1, "optimiser": "adamw", "ema": 0.9})
    costs = forecast(smoke.model_copy(update={"warmup": adapted}), Size(3, 101))
    assert costs.multiply_adds == (4 * 3 + 1) * 76 * costs.net.multiply_adds
    assert costs.memory_bytes == 20 * costs.net.parameters + 8 * costs.net.kept_bytes


def test_a_fixed_recipe_has_one_stage_and_only_its_branches() -> None:
    alone, template = (forecast(read(f"recipes/camera-motion{kind}.toml"), Size(10, 1000)) for kind in ("-s", ""))
    assert [(stage.name, stage.batch_size) for stage in alone.stages] == [("fixed", 32)]
    assert alone.net.multiply_adds < template.net.multiply_adds
    assert alone.net.kept_bytes < template.net.kept_bytes


def test_training_costs_what_its_own_crop_costs(smoke: Recipe) -> None:
    larger = smoke.model_copy(update={"augment": smoke.augment.model_copy(update={"crop": 36})})
    assert forecast(larger, Size(3, 101)).net.kept_bytes > forecast(smoke, Size(3, 101)).net.kept_bytes


def test_a_net_that_cannot_be_built_is_refused(smoke: Recipe) -> None:
    wrong = smoke.model_copy(update={"net": smoke.net.model_copy(update={"temporal_stride": "x8"})})
    with pytest.raises(UsageError, match='no temporal stride "x8"'):
        forecast(wrong, Size(3, 101))


def test_a_count_is_written_as_a_power_of_ten() -> None:
    assert power(5_400_000_000_000_000_001) == "5.4e18"
