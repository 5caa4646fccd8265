from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models import get_model, get_model_weights
from torchvision.transforms._presets import VideoClassification

import stzoo
from stzoo import bundle as bundles
from stzoo.data.official import kinetics400_classes
from stzoo.errors import ModelNotFoundError, StrategyError, UsageError, WeightsError
from stzoo.files import packaged
from stzoo.video.clips import plan
from stzoo.video.frames import normalise
from stzoo.video.reader import read_clips
from stzoo.video.source import look_into
from stzoo.video.video import Video
from stzoo.zoo import torchvision
from stzoo.zoo.hub import Repository
from stzoo.zoo.publishing import prepare
from stzoo.zoo.reference import find
from stzoo.zoo.torchvision import EDITION, NETS

SAMPLE = packaged("bundled") / "sample.mp4"
PROTOCOL = re.compile(
    r"on (\w+)-level with parameters `frame_rate=([\d.]+)`, `clips_per_video=(\d+)`, and `clip_len=(\d+)`"
)


@pytest.fixture
def two_threads() -> Iterator[None]:
    """torch's kernel for resizing rounds in another order with one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", NETS)
def test_what_is_quoted_is_what_torchvision_says(name: str) -> None:
    net, entry = NETS[name], get_model_weights(name)[EDITION]
    assert net.file == entry.url.rpartition("/")[2]
    assert {"acc@1": net.top1, "acc@5": net.top5} == entry.meta["_metrics"]["Kinetics-400"]
    level, rate, clips, frames = PROTOCOL.search(entry.meta["_docs"]).groups()  # type: ignore[union-attr]
    assert net.level == level
    assert (net.contract.fps, net.contract.clips, net.contract.frames) == (float(rate), int(clips), int(frames))
    assert tuple(entry.meta["categories"]) == kinetics400_classes() == net.config.classes.labels
    preset, contract = entry.transforms(), net.contract
    assert isinstance(preset, VideoClassification)
    assert preset.crop_size == [contract.crop] * 2
    assert preset.resize_size == ([contract.resize] if isinstance(contract.resize, int) else list(contract.resize))
    assert (tuple(preset.mean), tuple(preset.std)) == (contract.mean, contract.std)
    assert preset.interpolation.value == contract.interpolation


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("name", ["r3d_18", "s3d", "mvit_v1_b", "swin3d_t"])
def test_a_real_video_is_seen_as_torchvision_sees_it(name: str) -> None:
    contract = NETS[name].contract.changed(clips=1, frames=3)
    source = look_into(Video(SAMPLE))
    indices = plan(source.info.timestamps_seconds, contract, 1)[0]
    decoded = dict(source.frames(np.unique(indices)))
    frames = torch.from_numpy(np.stack([decoded[index] for index in indices.tolist()]))
    theirs = get_model_weights(name)[EDITION].transforms()(frames.permute(0, 3, 1, 2))
    ours = normalise(read_clips(Video(SAMPLE), contract).clips, contract)[0]
    rounded_once = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    assert np.abs(ours - theirs.numpy()).max() < (1e-6 if rounded_once else 0.02)


def test_a_net_predicts_with_the_weights_of_a_file(small_swin: Path) -> None:
    model = stzoo.load("torchvision:swin_small", weights=small_swin, device="cpu")
    assert model.strategy is None
    assert len(model.labels) == 400
    theirs = get_model("swin_small", weights=None).eval()
    theirs.load_state_dict(torch.load(small_swin, weights_only=True))
    clips = torch.from_numpy(normalise(read_clips(Video(SAMPLE), model.contract).clips, model.contract))
    with torch.inference_mode():
        logits = theirs(clips)
    assert logits.std() > 0.1
    torch.testing.assert_close(model.net(clips), logits, rtol=0, atol=1e-5)
    np.testing.assert_allclose(model.scores(SAMPLE), logits.softmax(dim=1).mean(dim=0), atol=1e-6)


def test_a_bundle_is_made_once_and_again_where_it_is_broken_or_old(
    small_swin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = NETS["swin_small"]
    folder = torchvision.bundle_with(net, small_swin)
    written = (folder / bundles.MODEL).stat().st_mtime_ns
    assert torchvision.bundle_with(net, small_swin) == folder
    assert (folder / bundles.MODEL).stat().st_mtime_ns == written
    bundle = bundles.read(folder)
    assert bundle.strategy.units == {}
    assert bundle.config.provenance["weights file"] == f"SHA-256 {hashlib.sha256(small_swin.read_bytes()).hexdigest()}"
    assert "licence" in bundle.config.provenance
    (folder / bundles.CONFIG).write_text("{}")
    assert bundles.read(torchvision.bundle_with(net, small_swin)) == bundle
    newer = replace(net, contract=net.contract.changed(clips=3))
    assert bundles.read(torchvision.bundle_with(newer, small_swin)).contract.clips == 3


def test_torchvisions_own_file_is_found_in_its_cache_and_its_hash_is_checked(
    small_swin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(small_swin.read_bytes()).hexdigest()
    file = f"swin_small-{digest[:8]}.pth"
    monkeypatch.setitem(NETS, "swin_small", replace(NETS["swin_small"], file=file))
    entry = get_model_weights("swin3d_t")[EDITION]
    url = f"https://nowhere.invalid/{file}"
    place = tmp_path / "torch" / "hub" / "checkpoints" / file

    class Entry:
        def __init__(self) -> None:
            self.url = url

        def get_state_dict(self, **options: object) -> None:
            assert options["check_hash"]
            assert options["weights_only"]
            shutil.copyfile(small_swin, place)

    monkeypatch.setattr("torchvision.models.get_model_weights", lambda name: {EDITION: Entry()})
    with pytest.raises(WeightsError, match=f"put {re.escape(url)} into {re.escape(str(place.parent))} as {file}, or"):
        find("torchvision:swin_small", offline=True)
    place.parent.mkdir(parents=True)
    location = find("torchvision:swin_small")
    assert bundles.read(location.folder).config.provenance["weights"] == f"torchvision's {EDITION}"
    place.unlink()
    assert find("torchvision:swin_small", offline=True) == location, "the bundle is enough"
    shutil.rmtree(location.folder)
    place.write_bytes(small_swin.read_bytes() + b"changed")
    with pytest.raises(WeightsError, match=f"not one that begins with {digest[:8]}, as its name says"):
        find("torchvision:swin_small")
    assert entry.url.startswith("https://download.pytorch.org/")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "weights of torchvision:swin_small .* cannot be read: the file is empty"),
        (b"<!doctype html>", "is a web page"),
        (b"PK\x03\x04 broken", "cut off"),
        (None, "there is no file .* with weights of torchvision:swin_small"),
    ],
)
def test_files_that_hold_no_weights_are_refused(
    small_swin: Path, tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    file = tmp_path / "broken.pth"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(WeightsError, match=sentence):
        stzoo.load("torchvision:swin_small", weights=file)
    assert not list((tmp_path / "cache").glob("*/*"))


def test_pickled_code_is_not_executed(small_swin: Path, tmp_path: Path) -> None:
    import pickle

    class Touch:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (open, (str(tmp_path / "touched"), "w"))  # type: ignore[return-value]

    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Touch()))
    with pytest.raises(WeightsError, match="cannot be read"):
        stzoo.load("torchvision:swin_small", weights=tmp_path / "evil.pth")
    assert not (tmp_path / "touched").exists()


def test_references_that_mean_nothing_are_refused(small_swin: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r'no net for video called "r3d_19".*Did you mean "r3d_18"'):
        stzoo.load("torchvision:r3d_19")
    with pytest.raises(UsageError, match="has no revision main"):
        find("torchvision:swin_small", revision="main")
    with pytest.raises(UsageError, match="weights from a file are for nets of torchvision"):
        stzoo.load(tiny_bundle, weights=small_swin)
    with pytest.raises(StrategyError, match="swin_small has no sites"):
        stzoo.load("torchvision:swin_small", strategy="sst")
    folder = torchvision.bundle_with(NETS["swin_small"], small_swin)
    with pytest.raises(StrategyError, match="swin_small has no sites"):
        stzoo.load(folder, strategy="sst")
    with pytest.raises(UsageError, match="are torchvision's, and not yours to publish"):
        prepare("torchvision:swin_small", tmp_path / "upload", Repository("me/net"))


def test_without_weights_a_net_is_as_initialised(small_swin: Path) -> None:
    model = stzoo.load("torchvision:swin_small", weights=None, device="cpu", protocol={"clips": 1})
    assert model.contract.clips == 1
    assert len(model.predict(SAMPLE, topk=3)) == 3


def test_once_a_bundle_is_made_torchvision_is_not_needed_to_find_it(small_swin: Path) -> None:
    folder = torchvision.bundle_with(NETS["swin_small"], small_swin)
    program = (
        "import sys; sys.modules['torchvision'] = sys.modules['torch'] = None\n"
        "from stzoo.zoo.reference import find\n"
        "from stzoo import bundle\n"
        f"print(bundle.read(find({str(folder)!r}).folder).name)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "torchvision-swin_small"
