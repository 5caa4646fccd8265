"""A net from its folder: its own, another strategy out of the template, or none but the layout."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from stzoo import bundle as bundles
from stzoo.bundle import rebuild
from stzoo.errors import BundleError, StrategyError, UsageError
from stzoo.strategies.strategy import Strategy


@pytest.fixture
def folder(tmp_path: Path, tiny_bundle: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))


@pytest.fixture
def with_template(tmp_path: Path, template_bundle: Path) -> Path:
    return Path(shutil.copytree(template_bundle, tmp_path / "template"))


def rewrite(folder: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    weights = bundles.read_weights(folder)
    change(weights)
    bundles.save(folder, bundles.read(folder), weights, replace=True)


def test_a_net_rebuilt_in_half_storage_answers_nearly_the_same(folder: Path) -> None:
    whole = rebuild.build(folder, bundles.read(folder))
    bundles.save(folder, bundles.read(folder), bundles.read_weights(folder), storage="float16", replace=True)
    half = rebuild.build(folder, bundles.read(folder))
    clip = torch.zeros(1, 3, 4, 32, 32)
    torch.testing.assert_close(half(clip), whole(clip), atol=0.02, rtol=0.02)


def test_arrays_that_do_not_fit_are_named(folder: Path) -> None:
    def spoil(weights: dict[str, np.ndarray]) -> None:
        del weights["head.bias"]
        weights["head.surprise"] = np.zeros(1, np.float32)
        weights["head.weight"] = np.zeros((4, 2), np.float32)

    rewrite(folder, spoil)
    with pytest.raises(
        BundleError, match=r"lacks 'head\.bias'; it has 'head\.surprise' besides; it has 'head\.weight'"
    ):
        rebuild.build(folder, bundles.read(folder))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda config: config["backbone"].update(name="densenet_huge"), "net is densenet_huge"),
        (lambda config: config["backbone"]["options"].update(temporal_stride="x9"), "x9"),
        (lambda config: config["backbone"]["options"].update(temporal_stride="\x1b[31m\n"), r'stride "\\x1b\[31m\\n"'),
        (lambda config: config["backbone"]["options"].update(surprise=1), "surprise"),
        (lambda config: config["backbone"]["options"].update(dropout=10**9), "no dropout 1000000000; give a rate"),
        (lambda config: config["backbone"]["options"].update(dropout=True), "no dropout True"),
        (lambda config: config["backbone"]["options"].update(dropout=["a"]), "no dropout"),
        (lambda config: config["backbone"]["options"].update(shared_norm="yes"), "no shared_norm 'yes'; choose true"),
        (lambda config: config["backbone"]["options"].update(stem_frames=5), "no stem_frames 5; give 1, or leave it"),
        (lambda config: config["backbone"]["options"].update(stem_frames=1.0), "no stem_frames 1.0; give 1, or leave"),
        (lambda config: config["backbone"]["options"].update(stem_frames=True), "no stem_frames True; give 1, or"),
        (lambda config: config["backbone"]["options"].update(pooling=["median"]), r"no pooling \('median',\); choose"),
        (lambda config: config["backbone"]["options"].update(pooling=["mean", "mean"]), "each once"),
        (lambda config: config["backbone"]["options"].update(pooling="mean"), "no pooling 'mean'; choose one or more"),
    ],
)
def test_a_config_that_describes_no_net_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BundleError, match=sentence) as caught:
        rebuild.build(folder, bundles.read(folder))
    assert "config.json" in str(caught.value)


def uniform(folder: Path, unit: str) -> Strategy:
    return rebuild.architecture_of(folder, bundles.read(folder)).uniform(unit)


def test_the_template_gives_any_strategy_of_its_backbone(with_template: Path) -> None:
    bundle, strategy = bundles.read(with_template), uniform(with_template, "S")
    net, is_own = rebuild.from_template(with_template, bundle, strategy)
    template = bundles.read_weights(with_template, "template")
    assert not is_own
    assert not net.training
    assert len(net.state_dict()) < len(template)
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), template[name])
    assert net(torch.zeros(1, 3, 4, 32, 32)).shape == (1, 3)


def test_stored_statistics_take_the_place_of_the_templates(with_template: Path) -> None:
    net, is_own = rebuild.from_template(with_template, bundles.read(with_template), uniform(with_template, "ST"))
    means = [buffer for name, buffer in net.named_buffers() if name.endswith("running_mean")]
    assert is_own
    assert means
    assert all((mean == 0.25).all() for mean in means)


def test_a_template_or_statistics_that_do_not_fit_are_named(with_template: Path) -> None:
    bundle, st = bundles.read(with_template), uniform(with_template, "ST")
    statistics = with_template / bundles.statistics_file(st)
    shutil.copy(with_template / "model.safetensors", statistics)
    with pytest.raises(BundleError, match=r"statistics/[0-9a-f]{64}\.safetensors does not fit"):
        rebuild.from_template(with_template, bundle, st)
    shutil.copy(with_template / "model.safetensors", with_template / "template.safetensors")
    with pytest.raises(BundleError, match=r"template\.safetensors does not fit its config"):
        rebuild.from_template(with_template, bundle, st)


def test_a_bundle_without_template_has_one_strategy(folder: Path) -> None:
    with pytest.raises(BundleError, match="no template"):
        rebuild.from_template(folder, bundles.read(folder), uniform(folder, "S"))


def test_strategies_come_by_name_and_must_fit(folder: Path) -> None:
    architecture = rebuild.architecture_of(folder, bundles.read(folder))
    assert rebuild.fitting_strategy("s", architecture) == architecture.uniform("S")
    assert rebuild.fitting_strategy(architecture.uniform("ST"), architecture) == architecture.uniform("ST")
    with pytest.raises(StrategyError, match="densenet121"):
        rebuild.fitting_strategy("published:k400", architecture)


def test_calibration_re_estimates_from_videos(folder: Path, make_video: Callable[..., Path]) -> None:
    bundle = bundles.read(folder)
    net = rebuild.build(folder, bundle)
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    rebuild.calibrate(net, [make_video("a.mp4"), make_video("b.mp4", 30)], bundle.contract)
    changed = [name for name, buffer in net.named_buffers() if not torch.equal(buffer, before[name])]
    assert changed
    assert not net.training
    with pytest.raises(UsageError, match="at least one"):
        rebuild.calibrate(net, [], bundle.contract)


def test_an_untrained_net_is_the_same_every_time(folder: Path) -> None:
    architecture = rebuild.architecture_of(folder, bundles.read(folder))
    nets = [rebuild.untrained(architecture, architecture.uniform("S")) for _ in range(2)]
    for one, other in zip(*(net.parameters() for net in nets), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_labels_that_the_head_has_not_are_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["classes"] = bundles.Classes.of(["left", "right"]).model_dump(mode="json")
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        BundleError, match=r"model\.safetensors does not fit.*'head\.bias' of shape \(3,\) in place of \(2,\)"
    ):
        rebuild.build(folder, bundles.read(folder))


def test_a_strategy_of_another_backbone_is_refused(folder: Path) -> None:
    strategy = Strategy("densenet_tiny", {"stage1.block1": "S"}).to_json()
    config = json.loads((folder / "config.json").read_text()) | {"strategy": strategy}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "strategy.json").write_text(json.dumps(strategy))
    (folder / "marginals.json").unlink()
    with pytest.raises(BundleError, match=r"config\.json does not describe a net of stzoo: .*stage1\.block1"):
        rebuild.build(folder, bundles.read(folder))


@pytest.mark.parametrize(
    ("array", "value", "sentence"),
    [
        ("head.bias", np.zeros(3, np.int64), "stores the array 'head.bias' as int64; the net has it as float32"),
        ("stem.1.num_batches_tracked", np.array(7.0, np.float32), "as float32; the net has it as int64"),
        ("stem.1.running_var", None, "holds -1.0; variances are not negative"),
    ],
)
@pytest.mark.parametrize("file", ["model", "template", "statistics"])
def test_values_that_no_net_has_are_refused(
    with_template: Path, file: str, array: str, value: np.ndarray | None, sentence: str
) -> None:
    bundle, st = bundles.read(with_template), uniform(with_template, "ST")
    name = bundles.statistics_file(st) if file == "statistics" else f"{file}.safetensors"
    if file == "statistics" and array == "head.bias":
        array, value, sentence = "stem.1.running_mean", np.zeros(16, np.int64), "as int64; the net has it as float32"
    arrays = dict(load_file(with_template / name))
    arrays[array] = np.full_like(arrays[array], -1) if value is None else value
    (with_template / name).write_bytes(bundles.serialise(arrays))
    with pytest.raises(BundleError, match=sentence) as caught:
        rebuild.build(with_template, bundle) if file == "model" else rebuild.from_template(with_template, bundle, st)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def endless(path: Path) -> None:
    path.touch()
    os.truncate(path, 10 * 2**30)


@pytest.mark.parametrize("name", ["config.json", "metrics.json", "model.safetensors"])
@pytest.mark.parametrize(
    ("put", "sentence"),
    [
        (os.mkfifo, "not a plain file"),
        (os.mkdir, "not a plain file"),
        (lambda path: path.symlink_to("/dev/zero"), "leads out of its folder to /dev/zero"),
        (endless, "has 10737418240 bytes; at most"),
    ],
    ids=["pipe", "folder", "device", "ten gigabytes"],
)
def test_what_is_no_file_or_an_endless_one_is_refused_at_once(
    folder: Path, name: str, put: Callable[[Path], None], sentence: str
) -> None:
    (folder / name).unlink()
    put(folder / name)
    with pytest.raises(BundleError, match=sentence) as caught:
        rebuild.build(folder, bundles.read(folder))
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["strategy.json", "model.safetensors", "template.safetensors", "statistics"])
def test_links_out_of_the_folder_are_refused_wherever_they_stand(
    with_template: Path, tmp_path: Path, name: str
) -> None:
    load = (
        rebuild.from_template
        if name != "model.safetensors"
        else lambda folder, bundle, _: rebuild.build(folder, bundle)
    )
    (with_template / name).rename(tmp_path / "elsewhere")
    (with_template / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="leads out of its folder"):
        load(with_template, bundles.read(with_template), uniform(with_template, "ST"))
