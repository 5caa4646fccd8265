"""How a net wants its clips: the one description that training, evaluation, prediction and export share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stzoo.errors import UsageError
from stzoo.validation import problems

Triple = tuple[float, float, float]
Side = Annotated[int, Field(ge=8, le=4096)]

MOST_CLIP_PIXELS = 2**26
"""The largest clip: 1024 frames of 256 x 256, sixteen of 2048 x 2048."""

MOST_VIDEO_PIXELS = 2**31
"""The most that the clips and crops of one video may hold together."""


CHANGEABLE = frozenset(["clips", "crops", "frames", "stride_frames", "fps"])
"""What `InputContract.changed` takes."""


class InputContract(BaseModel):
    """Which frames of a video a net sees, and how each is resized, cropped and normalised.

    Exactly one of `fps` (frames a second of video time, whatever the file's rate) and `stride_frames` (every n-th
    frame of the file) sets the distance between a dense clip's frames. A clip of segments has neither: it takes one
    frame out of each of `frames` equal parts of the video (Wang et al. 2016, temporal segment networks). Sizes are of
    the picture as it is shown: turned by the file's display matrix, its pixels made square where the file says that
    they are not.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    frames: Annotated[int, Field(ge=1, le=1024, description="frames of a clip")]
    fps: Annotated[float | None, Field(gt=0, le=1000, description="frames a second")] = None
    stride_frames: Annotated[int | None, Field(ge=1, le=1000, description="distance in frames of the file")] = None
    sampling: Annotated[
        Literal["dense", "segments"], Field(description="neighbouring frames, or one out of each part of the video")
    ] = "dense"
    clips: Annotated[int, Field(ge=1, le=1000, description="clips a video, spread uniformly")] = 1
    crops: Annotated[
        Literal[1, 3], Field(description="spatial crops a clip: the centre, and both ends of the long side with it")
    ] = 1
    resize: Annotated[
        Side | tuple[Side, Side],
        Field(description="short side in pixels before the crop; or height and width, whatever the frame's own are"),
    ]
    crop: Annotated[int, Field(ge=8, le=4096, description="side of the square crop in pixels")]
    mean: Annotated[Triple, Field(description="RGB mean of pixel / 255")] = (0.485, 0.456, 0.406)
    std: Annotated[Triple, Field(description="RGB standard deviation of pixel / 255")] = (0.229, 0.224, 0.225)
    short_video: Annotated[
        Literal["repeat-last", "stretch"],
        Field(description="a video shorter than a clip: repeat its last frame, or spread the clip's frames over it"),
    ] = "repeat-last"
    interpolation: Annotated[
        Literal["area", "bilinear"],
        Field(
            description="area: OpenCV's area filter when shrinking, bilinear when enlarging; bilinear: torch's, "
            "between the four nearest pixels also when shrinking"
        ),
    ] = "area"
    decoder: Annotated[Literal["pyav"], Field(description="every frame decoded in order")] = "pyav"

    @property
    def text(self) -> str:
        """In one line, for people: `3 clips of 8 frames, 4 frames a second, short side 72, centre crop 64`."""
        clips = f"{self.clips} clip{'s' if self.clips > 1 else ''}"
        frames = f"{self.frames} frame{'s' if self.frames > 1 else ''}"
        return f"{clips} of {frames}, {self.rate}, {self._resize_text}, {self._crops_text}"

    @property
    def short_side(self) -> int:
        """The shorter side in pixels before the crop."""
        return self.resize if isinstance(self.resize, int) else min(self.resize)

    def with_short_side(self, pixels: int) -> InputContract:
        """The same contract but for the size before the crop: a pair of sides keeps its shape."""
        resize: int | tuple[int, int] = pixels
        if not isinstance(self.resize, int):
            height, width = (round(side * pixels / self.short_side) for side in self.resize)
            resize = height, width
        return self.model_copy(update={"resize": resize})

    @property
    def rate(self) -> str:
        """The distance between a clip's frames, in words."""
        if self.sampling == "segments":
            return "one out of each equal part of the video"
        if self.fps is not None:
            return f"{self.fps:g} frames a second"
        return "every frame" if self.stride_frames == 1 else f"one frame in {self.stride_frames}"

    @property
    def protocol(self) -> str:
        """The way of measuring with it, in words."""
        clips = f"{self.clips} clip{'s' if self.clips > 1 else ''}"
        return f"video level, {clips} spread uniformly, {self._crops_text}, mean softmax"

    def changed(
        self,
        *,
        clips: int | None = None,
        crops: int | None = None,
        frames: int | None = None,
        stride_frames: int | None = None,
        fps: float | None = None,
    ) -> InputContract:
        """The same contract but for what is given; `stride_frames` and `fps` take each other's place.

        Raises `UsageError` for a value out of range and for both distances at once.
        """
        if stride_frames is not None and fps is not None:
            raise UsageError(
                f"one frame in {stride_frames} and {fps:g} frames a second were asked for at once; give one of the two"
            )
        changes: dict[str, int | float] = {
            name: value for name, value in (("clips", clips), ("crops", crops), ("frames", frames)) if value is not None
        }
        values = self.model_dump() | changes
        if stride_frames is not None or fps is not None:
            values |= {"stride_frames": stride_frames, "fps": fps}
        try:
            return InputContract.model_validate(values)
        except ValidationError as error:
            raise UsageError(f"the input cannot be changed so: {problems(error)}") from error

    @property
    def _resize_text(self) -> str:
        size = f"short side {self.resize}" if isinstance(self.resize, int) else f"{self.resize[1]}x{self.resize[0]}"
        return size if self.interpolation == "area" else f"{size} {self.interpolation}"

    @property
    def _crops_text(self) -> str:
        return f"centre crop {self.crop}" if self.crops == 1 else f"{self.crops} crops {self.crop} along the long side"

    @model_validator(mode="after")
    def _consistent(self) -> InputContract:
        if self.sampling == "segments":
            if self.fps is not None or self.stride_frames is not None:
                raise ValueError('sampling = "segments" goes with neither fps nor stride_frames')
        elif (self.fps is None) == (self.stride_frames is None):
            raise ValueError("set exactly one of fps and stride_frames")
        if self.crop > self.short_side:
            raise ValueError(f"crop {self.crop} is larger than the resized short side {self.short_side}")
        if not isinstance(self.resize, int) and self.interpolation == "area":
            raise ValueError(f'resize to a pair of sides, {list(self.resize)}, needs interpolation = "bilinear"')
        pixels = self.frames * self.crop**2
        if pixels > MOST_CLIP_PIXELS:
            raise ValueError(
                f"a clip of {self.frames} frames and crop {self.crop} is larger than {MOST_CLIP_PIXELS} pixels"
            )
        if pixels * self.clips * self.crops > MOST_VIDEO_PIXELS:
            raise ValueError(
                f"{self.clips} clips of {self.frames} frames and {self.crops} crops {self.crop} are together larger "
                f"than {MOST_VIDEO_PIXELS} pixels"
            )
        if min(self.std) <= 0:
            raise ValueError(f"std {self.std} holds a value that is not positive")
        return self
