from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import stzoo
from stzoo import nets
from stzoo.contract import InputContract
from stzoo.errors import BundleError, ExportError, MissingPackageError, UsageError
from stzoo.export import to_executorch
from stzoo.prediction.golden import sample
from stzoo.runtimes import executorch_net, is_there
from stzoo.runtimes.executorch_net import ExecutorchNet
from stzoo.zoo.benchmarking import Speed, benchmark
from stzoo.zoo.verifying import Way, verify

needs_executorch = pytest.mark.skipif(not is_there("executorch"), reason="`make executorch` installs it")
CONTRACT = InputContract(frames=4, fps=4.0, resize=32, crop=32)


@pytest.fixture(scope="module")
def program(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A net with norms before and after its convolutions, as two clips at a time."""
    path = tmp_path_factory.mktemp("executorch") / "model.pte"
    stzoo.export_onnx(tiny_bundle, path, clips=2)
    return path


@needs_executorch
def test_every_convolution_is_delegated_and_answers_are_those_of_torch(program: Path, tiny_bundle: Path) -> None:
    report = json.loads(program.with_name("export.json").read_text())["model.pte"]
    facts = report["targets"]["executorch"]
    assert facts["convolutions"] == facts["delegated_convolutions"] > 5
    assert (report["passed"], facts["how"], report["opset"]) == (True, "run", None)
    assert not any("conv" in kind for kind in facts["left"])
    assert facts["largest_difference"] <= 1e-4
    assert set(report["versions"]) == {"stzoo", "torch", "executorch"}
    loaded, net = stzoo.load(tiny_bundle, device="cpu"), ExecutorchNet(program)
    assert (net.about.labels, net.about.input) == (loaded.labels, loaded.contract)
    assert (net.about.model_digest, net.about.clips_at_once) == (loaded.digest, 2)
    size = loaded.contract.crop
    clips = torch.randn(4, 3, loaded.contract.frames, size, size)
    assert isinstance(loaded.net, torch.nn.Module)
    with torch.inference_mode():
        torch.testing.assert_close(net(clips), loaded.net(clips), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(net(clips[:3]), net(clips)[:3])
        with pytest.raises(BundleError, match=r"cannot run .*model.pte on clips of shape \[2, 3,"):
            net(clips[..., :16])


@needs_executorch
def test_the_golden_clips_beside_a_program_are_run(tiny_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.pte"
    stzoo.export_onnx(tiny_bundle, path)
    checked = verify(path)
    assert checked.passed
    assert list(checked.answers) == [Way("executorch", "fp32")]
    with pytest.raises(UsageError, match="is run by executorch alone; leave --runtime openvino out"):
        verify(path, "openvino")


@needs_executorch
def test_a_program_is_measured(program: Path) -> None:
    (row,) = benchmark(program, sample(), [1])
    assert isinstance(row, Speed), row
    assert (row.runtime, row.precision, row.threads, row.is_auto) == ("executorch", "fp32", 1, False)
    assert 0 < row.milliseconds_a_clip < 1000 * row.cold_start_seconds
    with pytest.raises(UsageError, match="is run by executorch alone; leave --runtime openvino out"):
        benchmark(program, sample(), [1], "openvino")


@needs_executorch
@pytest.mark.parametrize("content", [b"", b"no program", None])
def test_what_is_no_program_is_a_sentence(program: Path, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.pte"
    path.write_bytes(program.read_bytes()[:2000] if content is None else content)
    with pytest.raises(BundleError, match="is not a program that this executorch runs"):
        ExecutorchNet(path)


@needs_executorch
def test_a_template_is_no_program(tmp_path: Path) -> None:
    template = nets.template("resnet_tiny", 3)
    with pytest.raises(ExportError, match="prune a strategy out of it first"):
        to_executorch.export(template, tmp_path / "model.pte", CONTRACT, ["a", "b", "c"])


def test_without_executorch_there_is_a_sentence(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executorch_net, "is_there", lambda package: False)
    sentence = r"executorch is not installed here, .*`pip install 'stzoo\[executorch\]'`"
    with pytest.raises(MissingPackageError, match=sentence):
        stzoo.export_onnx(tiny_bundle, tmp_path / "model.pte")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MissingPackageError, match=sentence):
        ExecutorchNet(tmp_path / "model.pte")
    (tmp_path / "model.pte").touch()
    with pytest.raises(MissingPackageError, match=sentence):
        benchmark(tmp_path / "model.pte", sample())


@pytest.mark.parametrize(
    "option", [{"form": "volumes"}, {"precision": "fp16"}, {"opset": 20}, {"any_size": True}, {"with_features": True}]
)
def test_options_of_onnx_files_are_refused(tiny_bundle: Path, tmp_path: Path, option: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="is to be an ExecuTorch program, which is portable and in fp32"):
        stzoo.export_onnx(tiny_bundle, tmp_path / "model.pte", **option)
