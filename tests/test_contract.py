from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from stzoo.contract import InputContract
from stzoo.errors import UsageError

GOOD: dict[str, Any] = {"frames": 8, "fps": 4.0, "clips": 3, "resize": 72, "crop": 64}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"fps": None}, "set exactly one of fps and stride_frames"),
        ({"stride_frames": 2}, "set exactly one of fps and stride_frames"),
        ({"crop": 73}, "crop 73 is larger than the resized short side 72"),
        ({"std": (0.2, 0.0, 0.2)}, "holds a value that is not positive"),
        ({"frames": 8.0}, "valid integer"),
        ({"fps": float("nan")}, "finite"),
        ({"frame": 8}, "not permitted"),
        ({"frames": 1024, "resize": 512, "crop": 512}, "a clip of 1024 frames and crop 512 is larger than 67108864"),
        ({"frames": 1024, "clips": 1000, "resize": 256, "crop": 256}, "1000 clips .* together larger than 2147483648"),
    ],
)
def test_a_contract_that_contradicts_itself_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        InputContract(**GOOD | changes)


def test_its_text_says_what_a_net_sees() -> None:
    contract = InputContract(**GOOD)
    assert contract.text == "3 clips of 8 frames, 4 frames a second, short side 72, centre crop 64"
    by_count = InputContract(**GOOD | {"fps": None, "stride_frames": 2, "clips": 1})
    assert by_count.text == "1 clip of 8 frames, one frame in 2, short side 72, centre crop 64"
    assert ", every frame, " in by_count.changed(stride_frames=1).text


def test_it_round_trips_through_json() -> None:
    contract = InputContract(**GOOD)
    assert InputContract.model_validate_json(contract.model_dump_json()) == contract


def test_crops_are_named_where_there_are_several() -> None:
    contract = InputContract(**GOOD | {"crops": 3})
    assert contract.text.endswith("short side 72, 3 crops 64 along the long side")
    assert contract.protocol == "video level, 3 clips spread uniformly, 3 crops 64 along the long side, mean softmax"
    assert (
        InputContract(**GOOD | {"clips": 1}).protocol
        == "video level, 1 clip spread uniformly, centre crop 64, mean softmax"
    )


def test_a_changed_contract_differs_in_what_is_given_alone() -> None:
    contract = InputContract(**GOOD)
    assert contract.changed() == contract
    assert contract.changed(clips=2, crops=3, frames=16) == InputContract(
        **GOOD | {"clips": 2, "crops": 3, "frames": 16}
    )
    strided = contract.changed(stride_frames=2)
    assert (strided.fps, strided.stride_frames) == (None, 2)
    assert strided.changed(fps=4.0) == contract


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"stride_frames": 2, "fps": 4.0}, "one frame in 2 and 4 frames a second were asked for at once"),
        ({"crops": 2}, "crops is 2: input should be 1 or 3"),
        ({"frames": 0}, "frames is 0"),
        ({"fps": float("inf")}, "fps is inf"),
    ],
)
def test_changes_out_of_range_are_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        InputContract(**GOOD).changed(**changes)


def test_a_pair_of_sides_is_bilinear() -> None:
    pair = InputContract(**GOOD | {"resize": (80, 107), "crop": 64, "interpolation": "bilinear"})
    assert "107x80 bilinear, centre crop 64" in pair.text
    assert pair.short_side == 80
    assert pair.with_short_side(160).resize == (160, 214)
    assert InputContract.model_validate_json(pair.model_dump_json()) == pair
    with pytest.raises(ValidationError, match=r'resize to a pair of sides, \[80, 107\], needs interpolation = "bilin'):
        InputContract(**GOOD | {"resize": (80, 107), "crop": 64})
    with pytest.raises(ValidationError, match="crop 96 is larger than the resized short side 80"):
        InputContract(**GOOD | {"resize": (80, 107), "crop": 96, "interpolation": "bilinear"})


def test_segments_need_no_distance_between_frames() -> None:
    contract = InputContract(frames=8, sampling="segments", resize=72, crop=64)
    assert contract.text == "1 clip of 8 frames, one out of each equal part of the video, short side 72, centre crop 64"
    with pytest.raises(ValidationError, match="neither fps nor stride_frames"):
        InputContract(frames=8, sampling="segments", fps=4.0, resize=72, crop=64)
