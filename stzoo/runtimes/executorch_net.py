"""An ExecuTorch program that stzoo has written, run by executorch, which takes and gives torch's tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float32
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from stzoo.bundle.confidence import Confidence
from stzoo.bundle.schema import Classes
from stzoo.contract import InputContract
from stzoo.errors import BundleError, MissingPackageError
from stzoo.runtimes.availability import is_there, threads
from stzoo.terminal.quiet import quietly, without_standard_error
from stzoo.validation import problems

ABOUT = "about"
"""The method of a program that gives, as JSON, what `About` says."""

INSTALL = "pip install 'stzoo[executorch]'"


class About(BaseModel):
    """What a program says of itself beside its net, whose method is `forward`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    format: Literal[1] = 1
    stzoo_version: str
    name: str = Field(max_length=96)
    labels: tuple[str, ...]
    input: InputContract
    model_digest: str = Field(pattern=r"^([0-9a-f]{64})?$")
    strategy: str | None = None
    confidence: Confidence | None = None
    clips_at_once: int = Field(ge=1, le=64)


def refuse_missing() -> None:
    """Raises `MissingPackageError` where executorch is not installed."""
    if not is_there("executorch"):
        raise MissingPackageError(
            f"executorch is not installed here, and .pte files are written and run with it; install it with `{INSTALL}`"
        )


class ExecutorchNet(nn.Module):
    """Takes normalised clips and gives logits, as the net in torch does; `about` is what the file says of itself.

    Raises `MissingPackageError` without executorch, and `BundleError` for a file that is no program of stzoo's. The
    runtime checks a program's structure and trusts its operations, so files are to come from who is trusted.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        refuse_missing()
        self.path = path
        try:
            with quietly("torch"), without_standard_error():
                from executorch.extension.pybindings import portable_lib
                from executorch.runtime import Runtime, Verification

                portable_lib._unsafe_reset_threadpool(threads())
                self._program: Any = Runtime.get().load_program(path, verification=Verification.InternalConsistency)
                names = self._program.method_names
                said = self._program.load_method(ABOUT).execute([])[0] if ABOUT in names else None
                self._net: Any = self._program.load_method("forward")
        except (RuntimeError, KeyError) as error:
            raise BundleError(
                f"{path} is not a program that this executorch runs, or one that is cut off; write it again with "
                "`stzoo export`"
            ) from error
        if not isinstance(said, str):
            raise BundleError(f"{path} does not say what it is; write it again with `stzoo export`")
        try:
            self.about = About.model_validate_json(said)
            Classes.of(list(self.about.labels))
        except ValidationError as error:
            raise BundleError(
                f"{path} has no right description of stzoo in it: {problems(error)}; write it again with `stzoo export`"
            ) from error

    def forward(self, clips: Float32[Tensor, "clips 3 frames height width"]) -> Float32[Tensor, "clips classes"]:
        """The logits; where there are fewer clips than the program takes at once, the last one is given again.

        Raises `BundleError` where the program cannot be run on them, or answers with something else than logits.
        """
        step = self.about.clips_at_once
        answers = []
        whole = torch.cat([clips, clips[-1:].repeat(-len(clips) % step, 1, 1, 1, 1)])
        for part in whole.split(step):
            wanted = torch.Size([step, len(self.about.labels)])
            try:
                answer = self._net.execute([part.contiguous()])[0]
            except RuntimeError as error:
                raise BundleError(
                    f"executorch cannot run {self.path} on clips of shape {list(part.shape)}; it takes {step} at a "
                    f"time, and {self.about.input.text}"
                ) from error
            if not isinstance(answer, Tensor) or answer.shape != wanted or not answer.isfinite().all():
                raise BundleError(f"{self.path} does not answer with {list(wanted)} finite numbers; write it again")
            answers.append(answer)
        return torch.cat(answers)[: len(clips)]
