"""Photos with EXIF, and a film of them, as cameras write a time-lapse."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np


def photo(pixels: np.ndarray, orientation: int) -> bytes:
    """A JPEG whose EXIF says one of the eight orientations, 1 to 8."""
    exif = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)
    written = cv2.imencode(".jpg", pixels)[1].tobytes()
    return written[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + written[2:]


def write_photos(path: Path, photos: Sequence[bytes]) -> None:
    """A film of photos of 48 x 32 pixels, ten a second."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuvj420p"
        stream.codec_context.time_base = Fraction(1, 10)
        for index, content in enumerate(photos):
            packet = av.Packet(content)
            packet.stream, packet.pts, packet.dts = stream, index, index
            packet.time_base, packet.is_keyframe = Fraction(1, 10), True
            output.mux(packet)
