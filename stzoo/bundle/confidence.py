"""How far a model's scores are to be believed: a temperature, and least scores for wanted precisions. No torch.

A bundle keeps it as confidence.json, for its net and for averages of nets that are drawn from its template; an ONNX
file has that of its net in its metadata.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stzoo.bundle.reading import locate, parse_json, read_text
from stzoo.bundle.schema import Line, Sha256
from stzoo.errors import BundleError, UsageError
from stzoo.files import write_json
from stzoo.validation import problems

CONFIDENCE = "confidence.json"
"""The file of a bundle."""

Share = Annotated[float, Field(ge=0, le=1)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Threshold(_Value):
    """The least best score at and above which answers are right so often, and the share of videos that have it."""

    precision: Annotated[float, Field(gt=0, lt=1)]
    score: Share
    coverage: Share


class Confidence(_Value):
    """What was fitted on the scores of held-out `videos` of the list `data`, as the mean over so many `nets`."""

    nets: Annotated[int, Field(ge=1, le=1000)]
    temperature: Annotated[float, Field(gt=0, le=100)]
    thresholds: Annotated[tuple[Threshold, ...], Field(max_length=100)]
    videos: Annotated[int, Field(ge=1)]
    data: Line

    def least_score(self, precision: float) -> float:
        """The score below which an answer is not sure enough: that of the lowest precision that is no lower.

        Raises `UsageError` where the videos that it was fitted on did not show so high a precision.
        """
        enough = [threshold for threshold in self.thresholds if threshold.precision >= precision]
        if not enough:
            best = max((threshold.precision for threshold in self.thresholds), default=None)
            shown = "no precision that was asked for" if best is None else f"a precision of {best:g} and no higher one"
            raise UsageError(
                f"{self.videos} videos of {self.data} showed {shown}; ask for less than {precision:g}, or calibrate "
                "the model on more videos"
            )
        return min(enough, key=lambda threshold: threshold.precision).score


class Confidences(_Value):
    """The file: what was fitted for the weights with this digest, by the number of nets."""

    format: Literal[1] = 1
    model_digest: Sha256
    fits: Annotated[tuple[Confidence, ...], Field(min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _consistent(self) -> Confidences:
        if len({fit.nets for fit in self.fits}) != len(self.fits):
            raise ValueError("two fits are for the same number of nets")
        return self


def read(folder: Path, digest: str) -> dict[int, Confidence]:
    """What a bundle knows, by the number of nets; nothing where it has no such file.

    Raises `BundleError` for a file that is malformed, or of other weights than those with this digest.
    """
    path = locate(folder, CONFIDENCE)
    if path is None:
        return {}
    try:
        stored = Confidences.model_validate_json(json.dumps(parse_json(read_text(path), path)))
    except ValidationError as error:
        raise BundleError(f"{path} does not say how far scores are to be believed: {problems(error)}") from error
    if stored.model_digest != digest:
        raise BundleError(f"{path} is of other weights than those beside it; remove it, or run `stzoo calibrate` again")
    return {fit.nets: fit for fit in stored.fits}


def add(folder: Path, digest: str, confidence: Confidence) -> Path:
    """Writes a fit into the file of a bundle, in place of one for as many nets.

    Of averages there is one: the nets of a smaller one are among those of a larger one, whose statistics it changes.
    Raises as `read`.
    """
    kept = {nets: fit for nets, fit in read(folder, digest).items() if nets == 1 or confidence.nets == 1}
    fits = kept | {confidence.nets: confidence}
    stored = Confidences(model_digest=digest, fits=tuple(fits[nets] for nets in sorted(fits)))
    write_json(folder / CONFIDENCE, stored.model_dump(mode="json"))
    return folder / CONFIDENCE
