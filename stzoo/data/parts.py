"""Parts of videos that a list names, held against the videos."""

from __future__ import annotations

from collections.abc import Sequence

from stzoo.data.datasets import Item
from stzoo.errors import DataError, VideoError
from stzoo.video.source import ends_behind, look_into
from stzoo.video.video import Video


def refuse_behind(items: Sequence[Item]) -> None:
    """Raises `DataError` where parts begin or end behind their videos; it names the line of the first.

    Every recording is opened once. What cannot be opened, or has no times, is passed over.
    """
    parts = [item for item in items if item.where is not None]
    lengths = {whole: _seconds(whole) for whole in dict.fromkeys(_whole(item) for item in parts)}
    behind = [(item, seconds) for item in parts if (seconds := lengths[_whole(item)]) and _is_behind(item, seconds)]
    if behind:
        (item, seconds), *others = behind
        more = f", and of {len(others)} lines more" if others else ""
        raise DataError(f"{behind_its_video(item, seconds)}; correct the times of this line{more}.")


def behind_its_video(item: Item, seconds: float) -> str:
    """That a part begins or ends behind its video, which is so long, and in which line."""
    start, end = item.video.part or (0.0, seconds)
    line = "" if item.where is None else f"{item.where}: "
    return f"{line}the part from {start:g} to {end:g} s is not all in {item.video.place}, which is {seconds:.2f} s long"


def _is_behind(item: Item, seconds: float) -> bool:
    return item.video.part is not None and ends_behind(item.video.part, seconds)


def _whole(item: Item) -> Video:
    return Video(item.video.place, item.frame_rate)


def _seconds(video: Video) -> float | None:
    try:
        source = look_into(video)
    except VideoError:
        return None
    return source.info.duration_seconds if source.timed else None
