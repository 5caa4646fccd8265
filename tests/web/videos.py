"""Writes videos that are easily read wrongly into a folder: turned, with wide pixels, in other colours, short.

python tests/web/videos.py SAMPLE FOLDER
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

KINDS: dict[str, dict[str, Any]] = {
    "turned": {"rotate": 90},
    "mirrored": {"rotate": 270, "mirror": True},
    "wide": {"pixel_aspect": Fraction(2)},
    "short": {"frames": 9},
    "bt709": {"colorspace": 1},
}


def write(
    source: Path,
    target: Path,
    *,
    rotate: int = 0,
    mirror: bool = False,
    pixel_aspect: Fraction = Fraction(1),
    frames: int | None = None,
    colorspace: int = 2,
) -> None:
    """The first frames of a video, encoded again and shown otherwise. `colorspace` is as FFmpeg numbers matrices."""
    with av.open(str(source)) as container, av.open(str(target), "w") as output:
        shown = container.streams.video[0]
        stream = output.add_stream("libx264", rate=shown.average_rate)
        stream.width, stream.height, stream.pix_fmt = shown.width, shown.height, "yuv420p"
        stream.sample_aspect_ratio = pixel_aspect
        stream.codec_context.colorspace = colorspace
        if rotate or mirror:
            stream.set_display_rotation(rotate, hflip=mirror)
        for index, frame in enumerate(container.decode(shown)):
            if index == frames:
                break
            frame.pts, frame.time_base = index, 1 / shown.average_rate
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


if __name__ == "__main__":
    sample, folder = map(Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    for name, how in KINDS.items():
        write(sample, folder / f"{name}.mp4", **how)
