"""Which of a model's nets is asked for, and what runs it; and what cannot be meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stzoo.contract import CHANGEABLE
from stzoo.errors import UsageError

if TYPE_CHECKING:
    from stzoo.runtimes import Precision, Runtime
    from stzoo.strategies.strategy import Strategy
    from stzoo.video.video import Video


@dataclass(frozen=True)
class Variant:
    """Which of a bundle's nets: of which strategy, trained or as initialised, with whose batch-norm statistics, and for
    other classes perhaps; or an average of so many that are drawn.
    """

    strategy: Strategy | str | None
    is_trained: bool
    videos: tuple[Path | str | Video, ...]
    classes: tuple[str, ...] | None
    average: int | None = None

    @property
    def is_stored(self) -> bool:
        """Whether it is the net whose weights the bundle stores."""
        others = self.strategy, self.classes, self.average
        return self.is_trained and not self.videos and others == (None, None, None)


@dataclass(frozen=True)
class Engine:
    """What runs the net."""

    runtime: Runtime | Literal["auto"]
    precision: Precision
    device: str | None


def refuse_other_kinds(calibrate: object, protocol: object, classes: object) -> None:
    """Raises `UsageError` for values that `load` does not take."""
    if not isinstance(calibrate, Path | Iterable) or isinstance(calibrate, bytes):
        raise UsageError(f"calibrate takes the path of a video or several, and {calibrate!r:.40} is neither")
    if not isinstance(protocol, Mapping) or not set(protocol) <= CHANGEABLE:
        raise UsageError(f"protocol maps some of {', '.join(sorted(CHANGEABLE))} to numbers; it is {protocol!r:.80}")
    if classes is None:
        return
    names = [] if isinstance(classes, str | bytes) or not isinstance(classes, Iterable) else list(classes)
    if not names or len({*names}) < len(names) or not all(isinstance(name, str) and name.strip() for name in names):
        raise UsageError(f"classes are names, each another one, and {classes!r:.80} are none")


def refuse_contradictions(variant: Variant, engine: Engine, calibrated: bool) -> None:
    """Raises `UsageError` for a runtime or precision that there is not, or that does not run such a net."""
    from stzoo.runtimes import refuse_unknown

    refuse_unknown(engine.runtime, engine.precision)
    if (engine.runtime not in ("torch", "auto") or engine.precision != "fp32") and not variant.is_stored:
        raise UsageError(
            f"{engine.runtime} in {engine.precision} runs a model as its bundle stores it; leave strategy, weights, "
            "calibrate, classes and average out, or choose the runtime torch in fp32"
        )
    is_own = variant.is_trained and variant.strategy is None and variant.classes is None
    if variant.average is not None and not (_is_count(variant.average) and variant.average >= 2 and is_own):
        raise UsageError(
            f"average is how many trained strategies are drawn, 2 or more, and is {variant.average!r:.40}; leave "
            "strategy, weights and classes out"
        )
    if calibrated and not is_own:
        raise UsageError("what a bundle is calibrated with is of its own net; leave strategy, weights and classes out")


def refuse_for_a_file(file: Path, variant: Variant, revision: str | None) -> None:
    """Raises `UsageError` where another net is asked for than the one in an ONNX file."""
    if not variant.is_stored or revision is not None:
        raise UsageError(
            f"{file} is one net as it was exported; leave strategy, weights, calibrate, classes, average and "
            "revision out, or load the bundle that it was made of"
        )


def _is_count(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)
