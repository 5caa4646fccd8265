"""Files of 2D weights: torch hub's cache, and files that lie."""

from __future__ import annotations

import pickle
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import get_model_weights

from stzoo import nets
from stzoo.errors import WeightsError
from stzoo.nets.imagenet import TORCHVISION, imagenet_file, read_weights

GOOD = {"conv.weight": torch.arange(8.0).view(2, 1, 2, 2), "norm.num_batches_tracked": torch.tensor(3)}


def written(folder: Path, name: str, value: Any) -> Path:
    file = folder / name
    if file.suffix == ".safetensors":
        save_file(value, file)
    else:
        torch.save(value, file, _use_new_zipfile_serialization=name != "old.pth")
    return file


@pytest.mark.parametrize("name", ["new.pth", "old.pth", "new.pt", "new.safetensors"])
def test_a_state_dict_survives_every_kind_of_file(tmp_path: Path, name: str) -> None:
    found = read_weights(written(tmp_path, name, GOOD))
    assert found.keys() == GOOD.keys()
    assert all(torch.equal(found[key], value) for key, value in GOOD.items())


def test_half_precision_becomes_single(tmp_path: Path) -> None:
    half = {"weight": torch.tensor([0.5, 1.5], dtype=torch.float16), "other": torch.ones(2, dtype=torch.bfloat16)}
    for name in ("half.pth", "half.safetensors"):
        assert {value.dtype for value in read_weights(written(tmp_path, name, half)).values()} == {torch.float32}


class Intruder:
    """A pickle that would write a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


def test_pickled_code_is_not_executed(tmp_path: Path) -> None:
    bait = tmp_path / "bait"
    file = written(tmp_path, "evil.pth", GOOD | {"more": Intruder(bait)})
    with pytest.raises(WeightsError, match=r"evil.pth cannot be read \(UnpicklingError"):
        read_weights(file)
    plain = tmp_path / "plain.pth"
    plain.write_bytes(pickle.dumps(Intruder(bait)))
    with pytest.raises(WeightsError, match=r"plain.pth cannot be read"):
        read_weights(plain)
    assert not bait.exists()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([torch.ones(2)], "holds list in place of a state dict"),
        (torch.ones(2), "holds Tensor in place of a state dict"),
        ({}, "holds an empty dict in place of a state dict"),
        ({3: torch.ones(2)}, "holds 3 as the name of a tensor"),
        ({"state_dict": GOOD}, "has 'state_dict' of type dict"),
        ({"epoch": 3}, "has 'epoch' of type int"),
        (
            {"weight": torch.ones(2).to_sparse()},
            "has 'weight' as a tensor of kind torch.float32, torch.sparse_coo, cpu",
        ),
        ({"weight": torch.ones(2, dtype=torch.complex64)}, "has 'weight' as a tensor of kind torch.complex64"),
        ({"weight": torch.ones(1).expand(10**6, 10**6)}, r"declares the shape \(1000000, 1000000\) for 'weight'"),
    ],
)
def test_what_is_no_state_dict_is_refused(tmp_path: Path, value: Any, words: str) -> None:
    with pytest.raises(WeightsError, match=words):
        read_weights(written(tmp_path, "odd.pth", value))


@pytest.mark.parametrize("name", ["noise.pth", "noise.safetensors"])
@pytest.mark.parametrize("content", [b"", b"noise" * 100, b"\xff" * 64])
def test_noise_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=f"{name} cannot be read"):
        read_weights(tmp_path / name)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    for name in ("new.pth", "old.pth", "new.safetensors"):
        file = written(tmp_path, name, GOOD)
        file.write_bytes(file.read_bytes()[:-20])
        with pytest.raises(WeightsError, match=f"{name} cannot be read"):
            read_weights(file)


def test_files_that_are_missing_huge_or_of_another_kind_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WeightsError, match=r"none\.pth cannot be read: No such file"):
        read_weights(tmp_path / "none.pth")
    (tmp_path / "net.bin").write_bytes(b"0")
    with pytest.raises(WeightsError, match=r"net\.bin is no file of 2D weights; give one that ends in \.safetensors"):
        read_weights(tmp_path / "net.bin")
    monkeypatch.setattr("stzoo.nets.imagenet.MOST_BYTES", 2000)
    with pytest.raises(WeightsError, match="take more than 2000 bytes"):
        read_weights(written(tmp_path, "large.pth", {"weight": torch.ones(1000)}))
    packed = tmp_path / "packed.pth"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(10**6))
    assert packed.stat().st_size < 2000
    with pytest.raises(WeightsError, match="take more than 2000 bytes"):
        read_weights(packed)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch hub's folder of checkpoints, empty, without a network."""

    def refuse(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr("torch.hub.urlopen", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


@pytest.mark.parametrize("backbone", TORCHVISION)
def test_without_a_network_the_file_to_put_there_is_named(hub: Path, backbone: str) -> None:
    with pytest.raises(WeightsError, match="no network") as caught:
        imagenet_file(backbone, progress=False)
    sentence = str(caught.value)
    url = get_model_weights(TORCHVISION[backbone])["IMAGENET1K_V1"].url
    assert f"put {url} into {hub} as {url.rpartition('/')[2]}, or" in sentence
    assert "a local file" in sentence


def test_a_file_in_the_cache_is_taken_as_it_is(hub: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        imagenet_file("densenet121", progress=False)
    name = str(caught.value).partition(" as ")[2].partition(",")[0]
    file = written(hub, name, GOOD)
    assert imagenet_file("densenet121") == file


def test_a_backbone_without_2d_sibling_says_so(hub: Path) -> None:
    with pytest.raises(WeightsError, match="no ImageNet weights for densenet_tiny; it has them for densenet121, "):
        imagenet_file("densenet_tiny")
    assert set(nets.BACKBONES) - set(TORCHVISION) >= {"densenet_tiny"}
