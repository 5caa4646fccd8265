from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from stzoo import nets
from stzoo.contract import InputContract
from stzoo.errors import ExportError, UsageError
from stzoo.export import to_onnx
from stzoo.nets.fusion import fixed_fuse
from stzoo.nets.resnet import ResNet3d, ResNetSizes
from stzoo.runtimes.onnx_file import Form, read
from stzoo.runtimes.onnxruntime_session import loads_operator_set
from stzoo.strategies.strategy import Strategy
from stzoo.video.frames import normalise

CONTRACT = InputContract(frames=2, fps=4.0, resize=8, crop=8)
STRATEGY = Strategy("toy", {"L1": "S"})


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, (1, 3, 3))
        self.head = nn.Linear(4, 3)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(clips).relu().mean(dim=(2, 3, 4)))


class ForTwoClips(Toy):
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return super().forward(clips.reshape(2, 3, 2, 8, 8))


@pytest.fixture(scope="module")
def toy() -> nn.Module:
    torch.manual_seed(0)
    return Toy().eval()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, toy: nn.Module) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "toy.onnx"
    to_onnx.export(toy, path, CONTRACT, ["left", "right", "über"], name="toy", strategy=STRATEGY, digest="0" * 64)
    return path


@pytest.fixture
def clips() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 3, 2, 8, 8)).astype(np.float32)


def test_the_exported_net_agrees_with_torch_at_every_batch_size(
    toy: nn.Module, exported: Path, clips: np.ndarray
) -> None:
    agreement = to_onnx.compare(toy, exported, clips, (1, 2, 3))
    assert agreement.passed
    assert agreement.largest_difference < 1e-5
    assert agreement.top1_agreement == 1.0
    assert agreement.batch_sizes == (1, 2, 3)


def test_the_exported_graph_is_that_of_the_merged_net(tmp_path: Path) -> None:
    sizes = ResNetSizes((1,), width=4, outputs=8, stem_width=4, stem_kernel=(1, 5, 5), pool_kernel=(1, 3, 3))
    torch.manual_seed(0)
    net = ResNet3d(fixed_fuse(Strategy("resnet", {"stage1.block1": "S+ST"})), sizes, 3)
    net(torch.randn(8, 3, 2, 8, 8))
    path = tmp_path / "net.onnx"
    to_onnx.export(net, path, CONTRACT, ["a", "b", "c"])
    operators = [node.op_type for node in onnx.load(str(path)).graph.node]
    assert operators.count("Conv") == 5  # stem, the site's two branches in one, two in the block, one in its shortcut
    assert "BatchNormalization" not in operators
    assert operators.count("Transpose") == 3  # of the clips, and around the one convolution through time
    clips = np.random.default_rng(0).normal(size=(3, 3, 2, 8, 8)).astype("f")
    assert to_onnx.compare(net, path, clips).passed
    to_onnx.export(net, path, CONTRACT, ["a", "b", "c"], form="volumes")
    graph = onnx.load(str(path)).graph
    assert "Transpose" not in {node.op_type for node in graph.node}
    kernels = [tensor.dims for tensor in graph.initializer if len(tensor.dims) > 2]
    assert [len(dims) for dims in kernels] == [5] * 5
    assert read(path).form == "volumes"
    assert to_onnx.compare(net, path, clips).passed


def test_pixels_go_in_and_the_videos_probabilities_come_out(toy: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "video.onnx"
    to_onnx.export(toy, path, CONTRACT, ["a", "b", "c"], with_preprocess=True, any_size=True)
    graph = onnx.load(str(path)).graph
    assert [dim.dim_param or dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim] == [
        *("clips", "frames", "height", "width", 3)
    ]
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 12, 10, 3), np.uint8)
    agreement = to_onnx.compare(to_onnx.VideoLevel(toy, CONTRACT), path, pixels, (1, 3))
    assert agreement.passed, agreement
    (probabilities,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(
        None, {"frames": pixels}
    )
    with torch.inference_mode():
        expected = toy(torch.from_numpy(normalise(pixels, CONTRACT))).softmax(dim=1).mean(dim=0)
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)


def test_other_weights_do_not_agree(exported: Path, clips: np.ndarray) -> None:
    torch.manual_seed(1)
    agreement = to_onnx.compare(Toy().eval(), exported, clips)
    assert not agreement.passed
    assert agreement.largest_difference > to_onnx.TOLERANCE


def test_the_file_says_what_it_wants_and_what_it_answers(exported: Path) -> None:
    model = onnx.load(str(exported))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["labels"]) == ["left", "right", "über"]
    assert InputContract.model_validate_json(metadata["input"]) == CONTRACT
    assert metadata["strategy"] == STRATEGY.text()
    assert metadata["strategy_digest"] == STRATEGY.digest
    assert metadata["name"] == "toy"
    assert metadata["model_digest"] == "0" * 64
    assert metadata["precision"] == "fp32"
    dims = model.graph.input[0].type.tensor_type.shape.dim
    assert dims[0].dim_param
    assert [dim.dim_value for dim in dims][1:] == [3, 2, 8, 8]
    assert [entry.name for entry in model.graph.output] == ["logits"]
    assert model.opset_import[0].version == to_onnx.OLDEST_OPSET


def test_the_exporter_is_silent(toy: nn.Module, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        to_onnx.export(toy, tmp_path / "toy.onnx", CONTRACT, ["a", "b", "c"])
    assert not caught
    assert capfd.readouterr() == ("", "")
    assert logger.level == level


def test_a_net_that_fixes_the_number_of_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"batches of 2 only|cannot be written"):
        to_onnx.export(ForTwoClips(), tmp_path / "toy.onnx", CONTRACT, ["a", "b", "c"])


def test_an_operator_set_that_cannot_be_written_is_refused(toy: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="choose one from 18 to"):
        to_onnx.export(toy, tmp_path / "toy.onnx", CONTRACT, ["a"], opset=3)


@pytest.mark.parametrize("name", ["export.json", "model.txt", "model"])
def test_a_name_of_another_kind_of_file_is_refused(toy: nn.Module, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name} has the suffix .*; ONNX files are called \.onnx"):
        to_onnx.export(toy, tmp_path / name, CONTRACT, ["a", "b", "c"])
    assert not any(tmp_path.iterdir())


def test_a_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="prune a strategy"):
        to_onnx.export(nets.template("densenet_tiny", 3), tmp_path / "t.onnx", CONTRACT, ["a"])


def test_a_file_that_is_no_model_is_refused(toy: nn.Module, tmp_path: Path, clips: np.ndarray) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(ExportError, match=r"onnxruntime refuses .*bad\.onnx"):
        to_onnx.compare(toy, tmp_path / "bad.onnx", clips)


def test_only_operator_sets_that_the_runtime_loads_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newest = to_onnx.newest_opset()
    assert to_onnx.OLDEST_OPSET <= newest <= onnx.defs.onnx_opset_version()
    assert loads_operator_set(newest)
    assert not loads_operator_set(onnx.defs.onnx_opset_version() + 1)
    monkeypatch.setattr(to_onnx, "loads_operator_set", lambda opset: opset <= 20)
    with pytest.raises(ExportError, match="operator set 21 cannot be written; choose one from 18 to 20"):
        to_onnx.export(Toy(), tmp_path / "toy.onnx", CONTRACT, ["a"], opset=21)


@pytest.mark.parametrize("form", ["images", "volumes", "portable"])
def test_a_head_that_sees_statistics_over_time_is_written_in_every_form(tmp_path: Path, form: Form) -> None:
    shape = nets.Architecture("mobilenet_v2_tiny", 3, {"pooling": ["mean", "deviation", "trend"]})
    torch.manual_seed(0)
    net = nets.fixed_net(shape, shape.uniform("S+ST")).train()
    with torch.no_grad():
        net(torch.randn(4, 3, 4, 32, 32))
    net.eval()
    path, any_size = tmp_path / "net.onnx", form != "portable"
    contract = InputContract(frames=4, fps=4.0, resize=32, crop=32)
    to_onnx.export(
        net,
        path,
        contract,
        ["a", "b", "c"],
        name="net",
        form=form,
        any_size=any_size,
        clips_at_once=None if any_size else 1,
    )
    assert read(path).form == form
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for sizes in ((4, 32, 32), (7, 48, 40)) if any_size else ((4, 32, 32),):
        clips = torch.randn(1, 3, *sizes)
        (found,) = session.run(None, {session.get_inputs()[0].name: clips.numpy()})
        with torch.inference_mode():
            np.testing.assert_allclose(found, net(clips).numpy(), atol=1e-4)
