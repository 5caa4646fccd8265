from __future__ import annotations

import dataclasses
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import stzoo
from stzoo.contract import InputContract
from stzoo.errors import BundleError, UsageError, VideoError
from stzoo.export import to_onnx
from stzoo.files import packaged
from stzoo.nets import Architecture, fixed, fixed_net, grow
from stzoo.prediction.answers import Prediction, VideoWarning
from stzoo.prediction.predictor import Predictor
from stzoo.runtimes import Runtime
from stzoo.video.frames import normalise
from stzoo.video.reader import read_clips
from stzoo.video.video import Video
from tests.conftest import MakeVideo
from tests.video.test_given import AS_FILE, AS_FRAMES, decoded
from tests.video.test_held import FakeDecoder

CONTRACT = InputContract(frames=4, fps=5.0, clips=3, resize=24, crop=16, short_video="stretch")
LABELS = ("dark", "middle", "bright", "never")


class Brightness(nn.Module):
    """Logits that depend on the clip's mean, and on being in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(3.0))
        self.batches: list[int] = []

    def forward(self, clips: Tensor) -> Tensor:
        assert not self.training
        assert not torch.is_grad_enabled()
        self.batches.append(len(clips))
        mean = clips.mean(dim=(1, 2, 3, 4)) * self.scale
        return torch.stack([-mean, torch.zeros_like(mean), mean, mean - 100], dim=1)


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(Brightness().train(), CONTRACT, LABELS, "brightness", "cpu")


def test_scores_are_the_mean_of_the_clips_softmax(predictor: Predictor, make_video: MakeVideo) -> None:
    path = make_video("a.mp4", 20)
    scores = predictor.scores(path)
    assert scores.shape == (4,)
    assert scores.dtype == np.float32
    assert scores.sum() == pytest.approx(1, abs=1e-6)
    clips = torch.from_numpy(normalise(read_clips(Video(path), CONTRACT).clips, CONTRACT))
    with torch.inference_mode():
        expected = predictor.net(clips).softmax(dim=1).mean(dim=0)
    np.testing.assert_allclose(scores, expected.numpy(), atol=1e-6)


def test_an_answer_that_is_no_number_is_refused(predictor: Predictor, make_video: MakeVideo) -> None:
    with torch.no_grad():
        predictor.net.scale.fill_(float("inf"))  # type: ignore[operator, union-attr]
    with pytest.raises(BundleError, match="the net brightness answers with numbers that are not finite"):
        predictor.predict(make_video("a.mp4", 4))


def test_predictions_are_ranked(predictor: Predictor, make_video: MakeVideo) -> None:
    path = make_video("dark.mp4", 4)
    scores = predictor.scores(path)
    ranked = predictor.predict(path, topk=99)
    assert [type(prediction) for prediction in ranked] == [Prediction] * 4
    assert ranked[0].label == "dark"
    assert [p.score for p in ranked] == sorted(scores.tolist(), reverse=True)
    assert {p.label: p.score for p in ranked} == dict(zip(LABELS, scores.tolist(), strict=True))
    assert predictor.predict(str(path), topk=2) == ranked[:2]
    assert len(predictor.predict(path)) == 4


def test_clips_decide_how_often_the_net_looks(predictor: Predictor, make_video: MakeVideo) -> None:
    path = make_video("a.mp4", 20)
    predictor.scores(path)
    assert sum(predictor.net.batches) == 3
    predictor.scores(path, clips=7)
    assert sum(predictor.net.batches) == 3 + 7


@pytest.mark.parametrize(("name", "frames"), [("one.mp4", 1), ("short.webm", 3), ("long.mp4", 80)])
def test_any_length(predictor: Predictor, make_video: MakeVideo, name: str, frames: int) -> None:
    assert np.isfinite(predictor.scores(make_video(name, frames))).all()


def test_attributes_can_be_read_and_not_set(predictor: Predictor) -> None:
    assert predictor.labels == LABELS
    assert predictor.contract is CONTRACT
    assert predictor.name == "brightness"
    assert predictor.strategy is None
    assert predictor.device == torch.device("cpu")
    assert not predictor.net.training
    for name in ("labels", "contract", "name", "strategy", "net", "device"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(predictor, name, None)


def test_a_cut_off_file_is_predicted_with_a_warning(predictor: Predictor, cut_off_video: Path) -> None:
    for call in (predictor.predict, predictor.scores):
        with pytest.warns(VideoWarning, match="cut off or damaged"):
            call(cut_off_video)


def test_a_good_file_warns_of_nothing(predictor: Predictor, make_video: MakeVideo) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predictor.predict(make_video("a.mp4", 20))


def test_nonsense_is_refused(predictor: Predictor, make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video("a.mp4", 3)
    with pytest.raises(UsageError, match="best 0 classes"):
        predictor.predict(path, topk=0)
    with pytest.raises(UsageError, match="0 clips"):
        predictor.predict(path, clips=0)
    with pytest.raises(VideoError, match="does not exist"):
        predictor.predict(tmp_path / "missing.mp4")


def test_devices() -> None:
    best = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    auto = Predictor(Brightness(), CONTRACT, LABELS, device="auto")
    assert auto.device == Predictor(Brightness(), CONTRACT, LABELS).device == best
    assert auto.to("cpu").device == torch.device("cpu")
    with pytest.raises(UsageError, match='no device "gpu"'):
        auto.to("gpu")
    with pytest.raises(UsageError, match="no such GPU"):
        auto.to(f"cuda:{torch.cuda.device_count()}")


def test_a_template_is_refused() -> None:
    net = fixed("densenet_tiny", Architecture("densenet_tiny", 4, {}).uniform("S+ST"), 4)
    Predictor(net, CONTRACT, LABELS)
    with pytest.raises(UsageError, match="template"):
        Predictor(grow(net), CONTRACT, LABELS)


@pytest.fixture(scope="module")
def net_predictor() -> Predictor:
    """A net of this package; its clips are large enough for it."""
    architecture = Architecture("resnet_tiny", 4, {})
    torch.manual_seed(0)
    net = fixed_net(architecture, architecture.uniform("S+ST"))
    return Predictor(net, CONTRACT.model_copy(update={"resize": 32, "crop": 32}), LABELS, device="cpu")


def plain_scores(predictor: Predictor, path: Path) -> np.ndarray:
    clips = torch.from_numpy(normalise(read_clips(Video(path), predictor.contract).clips, predictor.contract))
    with torch.inference_mode():
        return predictor.net(clips).softmax(dim=1).mean(dim=0).numpy()


def test_predictions_are_those_of_the_net_and_follow_its_weights(
    net_predictor: Predictor, make_video: MakeVideo
) -> None:
    path = make_video("a.mp4", 20)
    first = net_predictor.scores(path)
    np.testing.assert_allclose(first, plain_scores(net_predictor, path), atol=1e-5)
    np.testing.assert_array_equal(net_predictor.scores(path), first)
    with torch.no_grad():
        for parameter in net_predictor.net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    second = net_predictor.scores(path)
    assert np.abs(second - first).max() > 1e-3
    np.testing.assert_allclose(second, plain_scores(net_predictor, path), atol=1e-5)
    net_predictor.net.head = nn.Linear(net_predictor.net.head.in_features, 4)
    np.testing.assert_allclose(net_predictor.scores(path), plain_scores(net_predictor, path), atol=1e-5)


def test_modules_of_the_net_can_be_listened_to_while_it_predicts(
    net_predictor: Predictor, make_video: MakeVideo
) -> None:
    path = make_video("a.mp4", 20)
    heard: list[Tensor] = []
    hook = net_predictor.net.get_submodule("stage1.block1.norm1").register_forward_hook(
        lambda module, inputs, output: heard.append(output)
    )
    net_predictor.scores(path)
    assert len(heard) == CONTRACT.clips
    hook.remove()
    net_predictor.scores(path)
    assert len(heard) == CONTRACT.clips


def test_a_net_left_in_training_mode_does_not_predict(make_video: MakeVideo) -> None:
    architecture = Architecture("resnet_tiny", 4, {})
    predictor = Predictor(fixed_net(architecture, architecture.uniform("S")), CONTRACT, LABELS, device="cpu")
    predictor.net.train()
    with pytest.raises(UsageError, match="training mode"):
        predictor.scores(make_video("a.mp4", 20))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same_scores(predictor: Predictor, make_video: MakeVideo) -> None:
    path = make_video("a.mp4", 40)
    expected = predictor.scores(path, clips=20)
    np.testing.assert_allclose(predictor.to("cuda").scores(path, clips=20), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 4, 32, 32, 3), (1, 5, 16, 16, 3), (0, 4, 16, 16, 3)])
def test_clips_of_another_shape_are_refused(predictor: Predictor, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"uint8 \[clips, 4, 16, 16, 3\]|0 views are not"):
        predictor.scores_of(np.zeros(shape, np.uint8))


def test_clips_come_with_all_of_their_crops(predictor: Predictor) -> None:
    three = dataclasses.replace(predictor, contract=CONTRACT.model_copy(update={"crops": 3}))
    views = np.random.default_rng(0).integers(0, 256, (6, 4, 16, 16, 3), np.uint8)
    assert three.scores_of(views).shape == (4,)
    with pytest.raises(UsageError, match="5 views are not one or more clips of 3 crops each"):
        three.scores_of(views[:5])
    np.testing.assert_array_equal(predictor.scores_of(views[:, :, ::-1]), predictor.scores_of(views[:, :, ::-1].copy()))


def test_several_videos_are_answered_in_their_order(predictor: Predictor, make_video: MakeVideo) -> None:
    path, other = make_video("a.mp4", 20), make_video("dark.mp4", 4)
    frames = np.full((9, 32, 48, 3), 200, np.uint8)
    several = [path, frames, other.read_bytes()]
    alone = [predictor.scores(video, fps=10.0) for video in several]
    np.testing.assert_array_equal(predictor.scores(several, fps=10.0), alone)
    assert predictor.predict(several, topk=1, fps=10.0) == [predictor.best(scores, 1) for scores in alone]
    timelines = predictor.timeline(several, 1.0, 0.5, fps=10.0)
    assert [timeline.path for timeline in timelines] == [str(path), "<frames 2>", "<bytes 3>"]
    np.testing.assert_array_equal(timelines[1].scores, predictor.timeline(frames, 1.0, 0.5, fps=10.0).scores)
    assert predictor.scores([other]).shape == (1, 4)
    with pytest.raises(VideoError, match=r"missing\.mp4 does not exist"):
        predictor.scores([path, "missing.mp4"])


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime", "openvino"])
def test_frames_score_as_the_file_that_they_come_from_on_every_runtime(runtime: Runtime, tmp_path: Path) -> None:
    pytest.importorskip(runtime)
    model = stzoo.load("camera-motion-s", device="cpu", runtime=runtime)
    sample = packaged("bundled") / "sample.mp4"
    frames = decoded(sample)
    expected = model.scores(sample)
    for kind, as_frames in AS_FRAMES.items():
        video, fps = (FakeDecoder(frames, fps=25.0), None) if kind == "decoder" else (as_frames(frames), 25.0)
        np.testing.assert_array_equal(model.scores(video, fps=fps), expected, err_msg=kind)
    np.testing.assert_array_equal(model.scores(frames[..., ::-1], fps=25.0, channels="bgr"), expected)
    for kind, as_file in AS_FILE.items():
        np.testing.assert_array_equal(model.scores(as_file(sample)), expected, err_msg=kind)


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime", "openvino"])
def test_every_sampling_and_short_video_scores_as_its_file_on_every_runtime(
    runtime: Runtime, make_video: MakeVideo
) -> None:
    pytest.importorskip(runtime)
    model = stzoo.load("camera-motion-s", device="cpu", runtime=runtime)
    path = make_video("a.mp4", 9, fps=10)
    frames = decoded(path)
    plain = model.contract.model_dump() | {"fps": None, "stride_frames": None, "clips": 2}
    for change in (
        {"fps": 7.0},
        {"fps": 7.0, "short_video": "stretch"},
        {"stride_frames": 2},
        {"stride_frames": 2, "short_video": "stretch"},
        {"sampling": "segments"},
    ):
        one = dataclasses.replace(model, contract=InputContract.model_validate(plain | change))
        expected = one.scores(path)
        np.testing.assert_array_equal(one.scores(frames, fps=10.0), expected, err_msg=str(change))
        np.testing.assert_array_equal(one.scores(FakeDecoder(frames, fps=10.0)), expected, err_msg=str(change))


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_vectors_are_the_same_on_every_runtime(runtime: Runtime, tmp_path: Path) -> None:
    pytest.importorskip(runtime)
    sample = packaged("bundled") / "sample.mp4"
    model = stzoo.load("camera-motion-s", device="cpu")
    vector = model.embed(sample)
    assert (vector.shape, vector.dtype) == ((model.net.head.in_features,), np.float32)
    np.testing.assert_allclose(
        stzoo.load("camera-motion-s", device="cpu", runtime=runtime).embed(sample), vector, atol=1e-4
    )
    for options in ({}, {"with_preprocess": True}):
        path = tmp_path / "a.onnx"
        to_onnx.export(model.net, path, model.contract, model.labels, with_features=True, **options)
        exported = stzoo.load(path, device="cpu", runtime=runtime)
        np.testing.assert_allclose(exported.embed(sample), vector, atol=1e-4)
        np.testing.assert_allclose(exported.scores(sample), model.scores(sample), atol=1e-4)


def test_a_vector_is_the_mean_of_what_enters_the_head(net_predictor: Predictor, make_video: MakeVideo) -> None:
    path = make_video("a.mp4", 20)
    clips = torch.from_numpy(normalise(read_clips(Video(path), net_predictor.contract).clips, net_predictor.contract))
    heard: list[Tensor] = []
    hook = net_predictor.net.head.register_forward_pre_hook(lambda module, inputs: heard.append(inputs[0]))
    with torch.inference_mode():
        net_predictor.net(clips)
    hook.remove()
    np.testing.assert_allclose(net_predictor.embed(path), heard[0].mean(dim=0).numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(net_predictor.embed([path, path]), [net_predictor.embed(path)] * 2)


def test_every_stage_shows_its_features(net_predictor: Predictor, make_video: MakeVideo) -> None:
    path = make_video("a.mp4", 20)
    features = net_predictor.features(path)
    assert list(features) == net_predictor.net.stages
    last = features[net_predictor.net.stages[-1]]
    assert {of_stage.shape[0] for of_stage in features.values()} == {CONTRACT.clips}
    np.testing.assert_allclose(last.mean(axis=(0, 2, 3, 4)), net_predictor.embed(path), rtol=1e-4, atol=1e-5)


def test_a_net_without_a_head_to_look_into_says_so(predictor: Predictor, make_video: MakeVideo) -> None:
    path = make_video("a.mp4", 4)
    with pytest.raises(UsageError, match="a Brightness does not show what enters its head"):
        predictor.embed(path)
    with pytest.raises(UsageError, match="a Brightness has no stages"):
        predictor.features(path)
    with pytest.raises(UsageError, match="onnxruntime shows no stages"):
        stzoo.load("camera-motion-s", device="cpu", runtime="onnxruntime").features(path)


KINDS = """
import numpy, sys, torch, warnings
import stzoo
from stzoo.errors import UsageError

path = sys.argv[1]
model = stzoo.load("camera-motion-opt", device="cpu")
good = numpy.zeros((1, 8, 64, 64, 3), numpy.uint8)
assert model.scores_of(good).shape == (len(model.labels),)
calls = []
frames = numpy.zeros((2, 8, 8, 3), numpy.uint8)
closed = open(path, "rb")
closed.close()
for wrong in (frames, frames[0], frames / 255, frames.tolist(), [path, 0], [], [[]], closed, 0, None, {"path": path}):
    calls += [(call, (wrong,), {}) for call in (model.predict, model.embed, model.timeline)]
calls += [(call, (wrong,), {}) for call in (stzoo.predict, stzoo.load) for wrong in (frames, [path, 0], 0, None)]
for wrong in ("5", 2.5):
    calls += [(model.predict, (path,), {name: wrong}) for name in ("topk", "clips")]
calls.append((model.predict, (path,), {"fps": "12"}))
calls += [(model.predict, (frames,), {"fps": rate}) for rate in (0, float("nan"))]
calls.append((model.predict, (frames,), {"fps": 5, "channels": "grb"}))
calls.append((model.predict, (path,), {"channels": "bgr"}))
for wrong in (good[0], good.astype(numpy.float32), torch.from_numpy(good), good.tolist(), None):
    calls.append((model.scores_of, (wrong,), {}))
calls += [(stzoo.load, ("camera-motion-opt",), {"device": wrong}) for wrong in (3.5, ["cpu"], "meta")]
wishes = {"calibrate": 3, "protocol": {"x": 3}, "strategy": 3, "runtime": 3, "precision": 3, "revision": 3}
calls += [(stzoo.load, ("camera-motion-opt",), {name: value}) for name, value in wishes.items()]
for call, values, options in calls:
    try:
        call(*values, **options)
    except UsageError as error:
        assert str(error) and "\\n" not in str(error)
    else:
        raise AssertionError((call, values, options))
for call in (model.predict, model.scores, model.timeline, stzoo.predict):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(sys.argv[2])
    assert {warning.filename for warning in caught} == {"<string>"}  # this program
print(len(calls))
"""


def test_values_of_another_kind_get_a_sentence(make_video: MakeVideo, cut_off_video: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KINDS, str(make_video("a.mp4", 4)), str(cut_off_video)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "64\n"


AFTER_A_FORK = """
import os, sys
import stzoo
from stzoo.errors import UsageError

model = stzoo.load("camera-motion-opt", runtime=sys.argv[1], device="cpu")
unused = stzoo.load("camera-motion-opt", device="cpu")
first = model.scores(sys.argv[2], clips=1)
if (child := os.fork()) == 0:
    try:
        model.scores(sys.argv[2], clips=1)
    except UsageError as error:
        ok = str(error).startswith("camera-motion-opt was used before this process was forked")
        os._exit(0 if ok and unused._first_used is None else 2)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert (model.scores(sys.argv[2], clips=1) == first).all()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_a_model_that_was_used_before_a_fork_says_so_and_does_not_hang(runtime: str) -> None:
    video = packaged("bundled") / "sample.mp4"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", AFTER_A_FORK, runtime, str(video)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
