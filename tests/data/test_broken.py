from __future__ import annotations

from pathlib import Path

import pytest

from stzoo.data.broken import Broken, Cap
from stzoo.errors import DataError


def broken(count: int) -> list[Broken]:
    return [Broken(Path(f"{index}.mp4"), f"{index}.mp4 is damaged") for index in range(count)]


@pytest.mark.parametrize(("fraction", "count", "videos"), [(0.1, 0, 20), (0.1, 2, 20), (1.0, 19, 20), (0.0, 0, 1)])
def test_as_many_as_the_part_of_the_list_may_be_left_out(fraction: float, count: int, videos: int) -> None:
    Cap(fraction, listed=videos).hold(broken(count), videos)


@pytest.mark.parametrize(
    ("count", "videos", "limit", "last"),
    [
        (3, 20, "more than 10.0% of the list (data.max_broken);", "\n  2.mp4 is damaged"),
        (7, 20, "more than 10.0% of the list (data.max_broken);", "\n  4.mp4 is damaged\n  ..."),
        (1, 1, "which leaves none;", "\n  0.mp4 is damaged"),
    ],
)
def test_more_than_that_or_all_that_were_wanted_are_too_many(count: int, videos: int, limit: str, last: str) -> None:
    with pytest.raises(DataError) as refused:
        Cap(0.1, listed=20).hold(broken(count), videos)
    assert str(refused.value).startswith(f"{count} of 20 videos cannot be read, {limit}")
    assert str(refused.value).endswith(last)
