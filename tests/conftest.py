"""Small video files with known content, a small bundle and a small zoo, written on the spot."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import jaxtyping
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from stzoo import bundle as bundles
from stzoo import card as cards
from stzoo.bundle import Bundle
from stzoo.card import Bundled, Card
from stzoo.contract import InputContract
from stzoo.strategies.posterior import Posterior
from stzoo.video import reader
from stzoo.video.reader import VideoClips, read_clips
from stzoo.video.video import Video
from stzoo.zoo import reference

pytest_plugins = ["hub_server.plugin"]

# How long an example takes, or its making, says how busy the machine is.
settings.register_profile("stzoo", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("stzoo")

LEVELS = 12  # grey levels between neighbouring frames: frame i of a test video is grey level LEVELS * i


class MakeVideo(Protocol):
    def __call__(self, name: str, frames: int = ..., **options: object) -> Path: ...


@pytest.fixture
def make_video(tmp_path: Path) -> MakeVideo:
    def make(name: str, frames: int = 20, **options: object) -> Path:
        path = tmp_path / name
        write_video(path, frames, **options)
        return path

    return make


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips of `odd.mp4` end with an error that nobody foresaw."""

    def read(video: Video, contract: InputContract, clips: int | None) -> VideoClips:
        if video.place.name == "odd.mp4":
            raise ZeroDivisionError
        return read_clips(video, contract, clips)

    monkeypatch.setattr(reader, "read_clips", read)


def write_video(
    path: Path,
    frames: int = 20,
    *,
    fps: int | Fraction = 10,
    width: int = 48,
    height: int = 32,
    codec: str | None = None,
    pix_fmt: str | None = None,
    pixel_aspect: Fraction | None = None,
    times_ms: Sequence[int] | None = None,
    rotate: float | None = None,
    mirror: bool = False,
    audio: bool = False,
    pixels: np.ndarray | None = None,
    container: dict[str, str] | None = None,
    encoder: dict[str, str] | None = None,
) -> None:
    """Frame i is grey level LEVELS * i, or `pixels[i]`. `times_ms` gives each frame its own time."""
    codecs = {".webm": "libvpx-vp9", ".gif": "gif", ".avi": "mpeg4"}
    codec = codec or codecs.get(path.suffix, "libx264")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=container or {}) as output:
        stream = output.add_stream(codec, rate=fps)
        stream.width, stream.height = width, height
        odd = width % 2 or height % 2
        stream.pix_fmt = pix_fmt or ("rgb8" if codec == "gif" else "yuv444p" if odd else "yuv420p")
        if pixel_aspect is not None:
            stream.sample_aspect_ratio = pixel_aspect
        stream.options = encoder or {}
        if rotate is not None or mirror:
            stream.set_display_rotation(rotate or 0, hflip=mirror)
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if audio:
            sound = output.add_stream("aac", rate=16000)
            sound.layout = "mono"
        for index in range(frames):
            grey = np.full((height, width, 3), min(255, LEVELS * index), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(grey if pixels is None else pixels[index], format="rgb24")
            frame = frame.reformat(format=stream.pix_fmt)
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[index], Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if audio:
            for start in range(0, 16000, 1024):
                silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                silence.sample_rate, silence.pts = 16000, start
                output.mux(sound.encode(silence))
            output.mux(sound.encode(None))


def write_dark_and_bright(folder: Path) -> Path:
    """A folder with a folder a class: five videos of six frames in each of two classes."""
    rng = np.random.default_rng(0)
    for name, brightness in (("dark", 60), ("bright", 200)):
        for index in range(5):
            pixels = rng.integers(0, 50, (6, 40, 48, 3), dtype=np.uint8) + np.uint8(brightness)
            write_video(folder / name / f"{index}.mp4", 6, fps=5, pixels=pixels)
    return folder


def remux(source: Path, target: Path, keep: Callable[[int], bool]) -> None:
    """Copies those packets of the first track of `source` whose number `keep` accepts, without encoding them again."""
    with av.open(str(source)) as container, av.open(str(target), "w") as output:
        stream = container.streams.video[0]
        copied = output.add_stream_from_template(stream)
        for number, packet in enumerate(container.demux(stream)):
            if packet.size and keep(number):
                packet.stream = copied
                output.mux(packet)


def write_sound(path: Path) -> None:
    """One second of silence: a media file without pictures."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=8000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


@pytest.fixture
def sound_file(tmp_path: Path) -> Path:
    path = tmp_path / "sound.wav"
    write_sound(path)
    return path


@pytest.fixture
def cut_off_video(make_video: MakeVideo) -> Path:
    """The first part of a faststart mp4: its index promises 40 frames, and about half of them are there."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (40, 32, 48, 3), dtype=np.uint8)
    path = make_video("cut.mp4", 40, pixels=noise, container={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle that loads: `densenet_tiny` as initialised, mixed strategy, three classes, one result."""
    import torch

    from stzoo import nets

    architecture = nets.Architecture("densenet_tiny", 3, {})
    drop = {site.name: {"S": 0.2, "ST": 0.4} for site in architecture.sites}
    posterior = Posterior("densenet_tiny", drop)
    strategy = posterior.sample(seed=0, index=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nets.fixed("densenet_tiny", strategy, 3)
    config = bundles.Config(
        name="tiny-opt",
        backbone=bundles.Backbone(name="densenet_tiny"),
        classes=bundles.Classes.of(["left", "right", "still"]),
        strategy=strategy,
        input=InputContract(frames=4, fps=5.0, clips=2, resize=32, crop=32),
        versions=bundles.Versions(stzoo="0.1.0"),
    )
    result = bundles.Result(
        dataset="toy", split="test", protocol="2 clips", metric="top1", value=0.9, n=200, low=0.85, high=0.94
    )
    weights = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    folder = tmp_path_factory.mktemp("bundles") / "tiny-opt"
    return bundles.save(folder, Bundle(config, posterior, (result,)), weights)


@pytest.fixture(scope="session")
def template_bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny_bundle` with a template, and with batch-norm statistics of ST everywhere in which every mean is 0.25."""
    import torch

    from stzoo import nets

    bundle = bundles.read(tiny_bundle)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        template = nets.template("densenet_tiny", 3)
    arrays = {name: tensor.numpy() for name, tensor in template.state_dict().items()}
    st = nets.architecture(template).uniform("ST")
    buffers = {name: buffer.numpy().copy() for name, buffer in nets.prune(template, st).named_buffers()}
    for name, buffer in buffers.items():
        if name.endswith("running_mean"):
            buffer[:] = 0.25
    folder = tmp_path_factory.mktemp("bundles") / "tiny-opt"
    return bundles.save(folder, bundle, bundles.read_weights(tiny_bundle), arrays, statistics={st: buffers})


@pytest.fixture
def small_swin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`torchvision:swin_small`, a net of torchvision that is small enough for a test, and a file of weights for it.

    All that is known of torchvision's nets is known of it: it is built by torchvision's own code.
    """
    import torch
    from torchvision.models import _api
    from torchvision.models.video.swin_transformer import SwinTransformer3d

    from stzoo import nets
    from stzoo.nets.torchvision import FAMILIES, TorchvisionNet, no_sites
    from stzoo.zoo import torchvision

    def build(*, weights: object = None, progress: bool = True, num_classes: int = 400) -> SwinTransformer3d:
        return SwinTransformer3d([2, 4, 4], 8, [2, 2], [1, 2], [2, 3, 3], num_classes=num_classes)

    name = "swin_small"
    contract = InputContract(frames=4, fps=5.0, clips=2, resize=(40, 54), crop=32, interpolation="bilinear")
    published = torchvision.Published(name, "swin_small-01234567.pth", contract, 50.0, 60.0, 1, 1)
    monkeypatch.setitem(_api.BUILTIN_MODELS, name, build)
    monkeypatch.setitem(FAMILIES, name, FAMILIES["swin3d_t"])
    monkeypatch.setitem(nets.TORCHVISION, name, nets.Backbone(TorchvisionNet, no_sites, name, ("none",)))
    monkeypatch.setitem(torchvision.NETS, name, published)
    monkeypatch.setenv("STZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = build()
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    torch.save(net.state_dict(), tmp_path / "swin.pth")
    return tmp_path / "swin.pth"


@pytest.fixture
def zoo(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo of its own: one bundled name, one whose folder is missing, one untrained."""
    common = {"title": "Which way", "dataset": "toy", "task": "way", "backbone": "densenet_tiny", "strategy": "Opt"}
    homes: dict[str, Any] = {
        "toy-opt": Bundled(bundled="tiny-opt"),
        "toy-lost": Bundled(bundled="lost"),
        "toy-never": "none",
    }
    (tmp_path / "cards").mkdir()
    for name, weights in homes.items():
        card = Card.model_validate(common | {"name": name, "weights": weights, "body": "Prose."})
        (tmp_path / "cards" / f"{name}.md").write_text(cards.render(card))
    shutil.copytree(tiny_bundle, tmp_path / "bundled" / "tiny-opt")
    for module in (reference, cards):
        monkeypatch.setattr(module, "packaged", lambda folder: tmp_path / folder)
    return tmp_path


@pytest.fixture
def any_kind() -> Iterator[None]:
    """Arguments are not checked against annotations, as where stzoo is used and not tested."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
