from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import stzoo
from hub_server import HubServer
from stzoo import bundle as bundles
from stzoo import card as cards
from stzoo.bundle import rebuild
from stzoo.card import Bundled, Card
from stzoo.cli.predict import predict
from stzoo.errors import BundleError, ModelNotFoundError, UsageError
from stzoo.files import packaged
from stzoo.runtimes import Runtime, is_there
from stzoo.zoo import loading, reference
from stzoo.zoo.hub import Repository
from stzoo.zoo.reference import NAMESPACE, find
from stzoo.zoo.variants import BatchNormWarning
from tests.conftest import MakeVideo


@pytest.fixture
def folder(tmp_path: Path, tiny_bundle: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))


def test_a_folder_is_loaded_in_eval_mode_with_its_own_weights(folder: Path) -> None:
    model = stzoo.load(folder)
    assert model.labels == ("left", "right", "still")
    assert model.name == "tiny-opt"
    assert not any(module.training for module in model.net.modules())
    assert model.strategy == bundles.read(folder).strategy
    state = model.net.state_dict()
    for name, array in bundles.read_weights(folder).items():
        np.testing.assert_array_equal(state[name].numpy(), array)
    assert not any(tensor.is_meta for tensor in state.values())


def test_a_loaded_model_predicts(folder: Path, make_video: Callable[..., Path]) -> None:
    predictions = loading.load(str(folder)).predict(make_video("clip.mp4"))
    assert {prediction.label for prediction in predictions} == {"left", "right", "still"}
    assert sum(prediction.score for prediction in predictions) == pytest.approx(1.0, abs=1e-5)


def test_names_are_listed_by_pattern(zoo: Path) -> None:
    assert loading.list_models() == ["toy-lost", "toy-never", "toy-opt"]
    assert loading.list_models("*-opt") == ["toy-opt"]
    assert loading.list_models("nothing*") == []


def test_listing_and_finding_do_not_import_torch(tiny_bundle: Path) -> None:
    code = (
        "import sys, stzoo\n"
        "from stzoo import bundle\nfrom stzoo.zoo import reference\n"
        "stzoo.list_models()\n"
        f"bundle.read(reference.find({str(tiny_bundle)!r}).folder)\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_bundled_folder_has_a_card_and_fits_its_net() -> None:
    for config in packaged("bundled").glob("*/config.json"):
        folder = config.parent
        assert cards.named(folder.name).weights == Bundled(bundled=folder.name)
        bundle = bundles.read(folder)
        assert bundle.name == folder.name
        rebuild.build(folder, bundle)


@pytest.fixture
def published(server: HubServer, template_bundle: Path) -> HubServer:
    server.put("lab/toy", template_bundle)
    return server


def test_a_repository_is_loaded_by_its_name(published: HubServer, make_video: Callable[..., Path]) -> None:
    commit = published.repos["lab/toy"].refs["main"]
    published.repos["lab/toy"].tags["v1"] = commit
    for model in (stzoo.load("lab/toy"), stzoo.load("lab/toy@v1"), stzoo.load("lab/toy", revision=commit)):
        assert model.name == "tiny-opt"
        assert len(model.predict(make_video("clip.mp4"))) == 3
    assert published.counted("template.safetensors") == published.counted("statistics/") == 0
    assert find("lab/toy").repository == Repository("lab/toy", commit)


def test_another_runtime_fetches_its_file_besides(server: HubServer, make_video: Callable[..., Path]) -> None:
    server.put("lab/camera", packaged("bundled") / "camera-motion-s")
    stzoo.load("lab/camera", device="cpu")
    assert server.counted("model.onnx") == server.counted("export.json") == 0
    model = stzoo.load("lab/camera", device="cpu", runtime="onnxruntime")
    assert model.runtime == "onnxruntime"
    assert len(model.predict(make_video("clip.mp4"))) == 5
    assert (
        server.counted("GET /lab/camera/resolve") == 4 + 1 + 2
    )  # the texts it has, the weights, the file and its report


def test_another_strategy_comes_from_the_template_alone(published: HubServer) -> None:
    for _ in range(2):
        with pytest.warns(BatchNormWarning, match="the template's"):
            model = stzoo.load("lab/toy", strategy="s")
        assert set(model.strategy.units.values()) == {"S"}
    assert published.counted("GET /lab/toy/resolve") == 5  # four texts and the template
    assert published.counted("model.safetensors") == 0


@pytest.mark.parametrize("strategy", [None, "s", "st"])
@pytest.mark.filterwarnings("ignore::stzoo.zoo.variants.BatchNormWarning")
def test_a_second_load_asks_for_a_branch_once_and_for_a_commit_never(
    published: HubServer, strategy: str | None
) -> None:
    commit = published.repos["lab/toy"].refs["main"]
    published.repos["lab/toy"].tags["v1"] = commit
    for ref, requests in (("lab/toy", 1), ("lab/toy@v1", 1), (f"lab/toy@{commit}", 0)):
        stzoo.load(ref, strategy=strategy)
        published.requests.clear()
        stzoo.load(ref, strategy=strategy)
        assert len(published.requests) == requests, published.requests


def test_stored_or_calibrated_statistics_need_no_warning(published: HubServer, make_video: Callable[..., Path]) -> None:
    stored = stzoo.load("lab/toy", strategy="st")
    assert all((b == 0.25).all() for name, b in stored.net.named_buffers() if name.endswith("running_mean"))
    calibrated = stzoo.load("lab/toy", strategy=stored.strategy, calibrate=[make_video("a.mp4")])
    assert not all((b == 0.25).all() for name, b in calibrated.net.named_buffers() if name.endswith("running_mean"))
    again = stzoo.load("lab/toy", strategy=stored.strategy, calibrate=make_video("a.mp4"))
    for (name, one), (_, other) in zip(calibrated.net.named_buffers(), again.net.named_buffers(), strict=True):
        assert torch.equal(one, other), name


def test_a_net_without_weights_is_built_from_its_card_or_bundle(zoo: Path, server: HubServer, folder: Path) -> None:
    card = cards.named("toy-never")
    described = {"classes": 5, "strategy": "st", "input": {"frames": 4, "fps": 5.0, "resize": 32, "crop": 32}}
    planned = Card.model_validate(card.model_dump() | {"net": described})
    (zoo / "cards" / "toy-never.md").write_text(cards.render(planned))
    model = stzoo.load("toy-never", weights=None)
    assert model.labels[4] == "class 4"
    assert set(model.strategy.units.values()) == {"ST"}
    assert model.net(torch.zeros(1, 3, 4, 32, 32)).shape == (1, 5)
    (folder / "model.safetensors").unlink()
    assert stzoo.load(folder, weights=None, strategy="s").labels == ("left", "right", "still")
    with pytest.raises(ModelNotFoundError, match="no weights yet"):
        stzoo.load("toy-never")
    assert server.requests == []


def test_predict_needs_no_more_than_the_namespace(
    published: HubServer, make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAMESPACE, "lab")
    result = CliRunner().invoke(predict, [str(make_video("clip.mp4")), "--model", "toy"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "left" in result.output


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        (
            {"runtime": "onxruntime"},
            'no runtime "onxruntime"; choose one of auto, torch, onnxruntime, openvino. Did you mean "onnxr',
        ),
        ({"precision": "fp8"}, 'no precision "fp8"; choose one of fp32, fp16, bf16, int8.'),
    ],
)
def test_what_is_not_there_is_named_with_what_is(tiny_bundle: Path, wishes: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        stzoo.load(tiny_bundle, device="cpu", **wishes)
    assert sentence in str(refused.value)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_device_that_no_runtime_has_is_refused_and_the_first_is_the_device(runtime: Runtime) -> None:
    assert stzoo.load("camera-motion-opt", device="cpu:0", runtime=runtime).runtime != "torch"
    with pytest.raises(UsageError, match="meta"):
        stzoo.load("camera-motion-opt", device="meta", runtime=runtime)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", None])
def test_an_exported_file_is_a_model(runtime: Runtime | None, tmp_path: Path, make_video: MakeVideo) -> None:
    pytest.importorskip(runtime or "onnxruntime")
    file = tmp_path / "somewhere.onnx"
    shutil.copy(packaged("bundled") / "camera-motion-s" / "model.onnx", file)
    bundle, model = stzoo.load("camera-motion-s", device="cpu"), stzoo.load(file, device="cpu", runtime=runtime)
    assert (model.name, model.labels, model.contract) == (bundle.name, bundle.labels, bundle.contract)
    assert (model.strategy, model.digest) == (bundle.strategy, bundle.digest)
    video = make_video("a.mp4", 20)
    np.testing.assert_allclose(model.scores(video), bundle.scores(video), atol=1e-4)
    assert stzoo.load(file, device="cpu", protocol={"clips": 7}).contract.clips == 7


def test_a_file_of_somebody_else_and_what_a_file_cannot_do_are_sentences(tmp_path: Path) -> None:
    file = packaged("bundled") / "camera-motion-s" / "model.onnx"
    (tmp_path / "other.onnx").write_bytes(b"other")
    with pytest.raises(BundleError, match="is not an ONNX model"):
        stzoo.load(tmp_path / "other.onnx")
    with pytest.raises(UsageError, match="leave strategy, weights, calibrate, classes, average and revision out"):
        stzoo.load(file, strategy="s")
    with pytest.raises(UsageError, match="torch runs nets, not ONNX files"):
        stzoo.load(file, runtime="torch")
    with pytest.raises(UsageError, match="takes clips of 8 frames"):
        stzoo.load(file, device="cpu", protocol={"frames": 4})
    with pytest.raises(BundleError, match=r"is a file; .* an ONNX file is for `stzoo predict`"):
        reference.find(file)


def test_a_file_that_takes_pixels_answers_like_its_bundle(
    tiny_bundle: Path, tmp_path: Path, make_video: MakeVideo
) -> None:
    from stzoo.export import to_onnx

    bundle = stzoo.load(tiny_bundle, device="cpu")
    file = tmp_path / "pixels.onnx"
    to_onnx.export(bundle.net, file, bundle.contract, bundle.labels, name="tiny", with_preprocess=True)
    video = make_video("a.mp4", 20)
    for runtime in ("onnxruntime", "openvino"):
        if is_there(runtime):
            model = stzoo.load(file, device="cpu", runtime=runtime)
            np.testing.assert_allclose(model.scores(video), bundle.scores(video), atol=1e-4)


def test_other_classes_get_a_fresh_head_and_the_rest_stays(tiny_bundle: Path, make_video: MakeVideo) -> None:
    old = loading.load(tiny_bundle)
    new = loading.load(tiny_bundle, classes=["a", "b"])
    assert new.labels == ("a", "b")
    assert (new.digest, new.strategy, new.contract) == ("", old.strategy, old.contract)
    before, after = old.net.state_dict(), new.net.state_dict()  # type: ignore[union-attr]
    assert after["head.weight"].shape[0] == 2
    assert all(torch.equal(before[name], after[name]) for name in before if not name.startswith("head."))
    assert len(new.predict(make_video("a.mp4"))) == 2
    assert loading.load(tiny_bundle, weights=None, classes=("x",)).labels == ("x",)


@pytest.mark.parametrize("classes", ["ab", [], ["a", "a"], ["a", ""]])
def test_classes_are_names(tiny_bundle: Path, classes: list[str] | str) -> None:
    with pytest.raises(UsageError, match="classes are names"):
        loading.load(tiny_bundle, classes=classes)


def test_other_classes_are_torchs_alone(tiny_bundle: Path) -> None:
    with pytest.raises(UsageError, match="classes and average out, or choose the runtime torch"):
        loading.load(tiny_bundle, classes=["a"], runtime="onnxruntime")
