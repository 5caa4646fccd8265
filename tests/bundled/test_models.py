"""The models inside the package: each is what its card says, small, measured, and the same in torch and in ONNX."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import stzoo
from stzoo import bundle as bundles
from stzoo import card as cards
from stzoo.bundle import golden as golden_files
from stzoo.bundle.readme import render
from stzoo.bundle.tensors import digest
from stzoo.card import Bundled
from stzoo.files import packaged
from stzoo.prediction import golden
from stzoo.video.frames import normalise
from stzoo.video.reader import read_clips
from stzoo.video.video import Video

NAMES = [name for name in cards.names() if isinstance(cards.named(name).weights, Bundled)]
QUESTIONS = {"camera-motion": 10, "camera-scene": 160, "jhmdb21-mobilenet_v2": 21}
IN_16_BITS = ["jhmdb21-mobilenet_v2-1.8G"]
ANY = {"S", "ST", "S+ST"}
UNITS = {"s": {"S"}, "st": {"ST"}, "sst": {"S+ST"}, "opt": ANY, "44M": ANY, "1.8G": {"S"}}
SAMPLE, BASKETBALL = (packaged("bundled") / f"{name}.mp4" for name in ("sample", "basketball"))


def test_every_card_has_its_folder_and_every_folder_its_card() -> None:
    folders = {path.name for path in packaged("bundled").iterdir() if bundles.is_bundle(path)}
    assert folders == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_is_small_and_its_numbers_are_of_its_own_weights(name: str) -> None:
    folder = packaged("bundled") / name
    bundle = bundles.read(folder)
    question, _, label = name.rpartition("-")
    is_halved = name in IN_16_BITS
    assert len(bundle.labels) == QUESTIONS[question]
    assert set(bundle.strategy.counts()) <= UNITS[label]
    assert sum(path.stat().st_size for path in folder.iterdir()) <= (20_000_000 if is_halved else 3_000_000)
    assert {result.split for result in bundle.metrics} >= ({"val"} if is_halved else {"val", "test"})
    assert {result.model for result in bundle.metrics} == {bundles.weights_digest(folder)}
    assert (folder / "template.safetensors").exists() == (label == "opt" and not is_halved)


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_is_what_bundle_and_card_say(name: str) -> None:
    folder = packaged("bundled") / name
    pictures = sorted(path.name for path in folder.glob("*.png"))
    parameters = bundles.parameter_count(bundles.weight_shapes(folder))
    text = render(bundles.read(folder), cards.named(name), parameters, pictures)
    assert (folder / "README.md").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", NAMES)
def test_torch_and_onnx_agree_on_the_sample(name: str) -> None:
    model = stzoo.load(name, device="cpu")
    clips = read_clips(Video(SAMPLE), model.contract).clips
    session = onnxruntime.InferenceSession(
        packaged("bundled") / name / "model.onnx", providers=["CPUExecutionProvider"]
    )
    assert b".py" not in (packaged("bundled") / name / "model.onnx").read_bytes()
    assert json.loads(session.get_modelmeta().custom_metadata_map["labels"]) == list(model.labels)
    (entry,) = session.get_inputs()
    (logits,) = session.run(None, {entry.name: normalise(clips, model.contract)})
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores = (exponents / exponents.sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(scores, model.scores(SAMPLE), atol=5e-3 if name in IN_16_BITS else 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_golden_clips_are_of_the_sample_and_torch_and_onnx_give_their_answers(name: str) -> None:
    path = packaged("bundled") / name / golden_files.GOLDEN
    assert path.stat().st_size <= 150_000
    clips = golden_files.read(path)
    for model in (stzoo.load(name, device="cpu"), stzoo.load(path.with_name("model.onnx"), runtime="onnxruntime")):
        golden.refuse_another_model(clips, model)
        assert golden.differences(clips, model, golden.find_video(clips, path.parent)).passed
    assert clips.video is not None
    assert clips.video.sha256 == digest(SAMPLE)


def test_the_camera_of_the_sample_stands_still() -> None:
    best, *_ = stzoo.load("camera-motion-opt", device="cpu").predict(SAMPLE)
    assert best.label == "still"


def test_the_default_model_takes_a_jump_at_a_basket_for_a_pullup_or_a_throw() -> None:
    best, second, *_ = stzoo.load(stzoo.DEFAULT_MODEL, device="cpu").predict(BASKETBALL)
    assert [best.label, second.label] == ["pullup", "shoot_ball"]


@pytest.mark.parametrize(
    ("video", "parts"),
    [
        (SAMPLE, ("Blender Foundation", "www.bigbuckbunny.org", "https://creativecommons.org/licenses/by/3.0/")),
        (BASKETBALL, ("Pavel Danilyuk", "https://www.pexels.com/license/")),
    ],
)
def test_a_video_of_the_package_has_its_licence_beside_it(video: Path, parts: tuple[str, ...]) -> None:
    notice = video.with_name(f"{video.stem}.LICENSE.txt").read_text(encoding="utf-8")
    assert all(part in notice for part in parts)
