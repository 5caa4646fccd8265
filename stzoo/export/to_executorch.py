"""Fixed nets as ExecuTorch programs for phones and small machines: their convolutions computed by XNNPACK."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

import stzoo
from stzoo.bundle.confidence import Confidence
from stzoo.contract import InputContract
from stzoo.errors import ExportError, UsageError
from stzoo.export.around import InForm
from stzoo.export.to_onnx import Agreement, Clips, median_seconds
from stzoo.files import replacing
from stzoo.nets import is_template, merge
from stzoo.nets.torchvision import TorchvisionNet
from stzoo.runtimes import threads
from stzoo.runtimes.executorch_net import ABOUT, About, ExecutorchNet, refuse_missing
from stzoo.strategies.strategy import Strategy
from stzoo.terminal.quiet import quietly, without_standard_error


class Delegation(NamedTuple):
    """What XNNPACK takes of a program."""

    convolutions: int
    delegated_convolutions: int
    partitions: int
    left: tuple[str, ...]
    """The kinds of operations that are left to ExecuTorch's portable kernels."""


def export(
    net: nn.Module,
    path: Path,
    contract: InputContract,
    labels: Sequence[str],
    *,
    name: str = "",
    strategy: Strategy | None = None,
    digest: str = "",
    confidence: Confidence | None = None,
    clips_at_once: int = 1,
) -> Delegation:
    """Writes a fixed net on the CPU, merged and laid out as a portable ONNX file is, as an ExecuTorch program.

    Its method `forward` takes float32 `clips` [clips_at_once, 3, frames, crop, crop], normalised as the contract says,
    and gives logits; its method `about` gives JSON, as `stzoo.runtimes.executorch_net.About` has it.

    Raises `MissingPackageError` without executorch, `UsageError` for torchvision's nets, and `ExportError` for a
    template, for what torch or executorch cannot write, and where XNNPACK leaves out a convolution.
    """
    refuse_missing()
    if is_template(net):
        raise ExportError("a template has random outputs and cannot be exported; prune a strategy out of it first")
    if isinstance(net, TorchvisionNet):
        raise UsageError("torchvision's nets have operations on five dimensions and no portable form; write ONNX")
    about = About(
        stzoo_version=stzoo.__version__,
        name=name,
        labels=tuple(labels),
        input=contract,
        model_digest=digest,
        strategy=None if strategy is None else strategy.text(),
        confidence=confidence,
        clips_at_once=clips_at_once,
    )
    graph = InForm(merge(net.eval()), "portable")
    clips = torch.zeros(clips_at_once, 3, contract.frames, contract.crop, contract.crop)
    try:
        with quietly("torch", "executorch", "torchao", "root"), without_standard_error():
            from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
            from executorch.exir import to_edge_transform_and_lower
            from executorch.exir.passes.constant_prop_pass import constant_prop_pass

            # XNNPACK takes a convolution whose weight is a constant, and not one that is computed from it.
            program = constant_prop_pass(torch.export.export(graph, (clips,)))
            lowered = to_edge_transform_and_lower(
                program, partitioner=[XnnpackPartitioner()], constant_methods={ABOUT: about.model_dump_json()}
            )
            calls = _calls(lowered.exported_program())  # before its memory is planned
            content = lowered.to_executorch().buffer
    except Exception as error:  # of many kinds: two compilers have been at it
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        raise ExportError(f"{path} cannot be written with executorch: {reason}") from error
    delegation = _delegation(_calls(program), calls)
    if delegation.delegated_convolutions < delegation.convolutions:
        raise ExportError(
            f"XNNPACK takes {delegation.delegated_convolutions} of {delegation.convolutions} convolutions of this net; "
            "no net of stzoo's should leave one, so tell its authors"
        )
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return delegation


def compare(net: nn.Module, path: Path, clips: Clips, clips_at_once: int) -> Agreement:
    """Runs the program on executorch and the net in torch on the CPU, on the same clips.

    Their number is a multiple of those at once.
    """
    program = ExecutorchNet(path)
    with torch.inference_mode():
        expected = net(torch.from_numpy(clips)).numpy()
        answer = program(torch.from_numpy(clips)).numpy()
        first = torch.from_numpy(clips[:clips_at_once])
        seconds = median_seconds(lambda: program(first))
    return Agreement(
        largest_difference=float(np.abs(answer - expected).max()),
        top1_agreement=float(np.mean(answer.argmax(axis=1) == expected.argmax(axis=1))),
        batch_sizes=(clips_at_once,),
        milliseconds_a_clip=round(1000 * seconds / clips_at_once, 3),
        runtime=f"executorch {importlib.metadata.version('executorch')}",
        provider="XNNPACK",
        threads=threads(),
    )


def _calls(program: Any) -> list[str]:
    """What is called in the graph of an exported program, one after the other."""
    return [str(node.target) for node in program.graph.nodes if node.op == "call_function"]


def _delegation(before: list[str], after: list[str]) -> Delegation:
    convolutions, left = (sum("aten.conv" in call for call in calls) for calls in (before, after))
    delegates = [call for call in after if "executorch_call_delegate" in call]
    others = {call for call in after if call not in delegates and "getitem" not in call}
    return Delegation(convolutions, convolutions - left, len(delegates), tuple(sorted(map(_short, others))))


def _short(call: str) -> str:
    """`aten.mean.dim` of how executorch prints it."""
    return call.removeprefix("<EdgeOpOverload: ").partition(">")[0]
