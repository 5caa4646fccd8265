"""`stzoo export`: a model as an ONNX file, compared with torch on a real clip."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from stzoo.errors import ExportError

if TYPE_CHECKING:
    from stzoo.onnx_export import Agreement
    from stzoo.predictor import Predictor

_BATCH_SIZES = (1, 3)


@click.command()
@click.argument("model", metavar="NAME|PATH")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The ONNX file to write. What was compared is written beside it, with .json added to its name.",
)
@click.option("--opset", type=int, help="ONNX's operator set.  [default: the oldest that torch writes]")
@click.option(
    "--verify/--no-verify", default=True, show_default=True, help="Compare logits with torch on clips of a real video."
)
@click.option(
    "--video",
    type=click.Path(path_type=Path),
    help="The video whose clips are compared.  [default: the sample that ships with stzoo]",
)
def export(model: str, output: Path, opset: int | None, verify: bool, video: Path | None) -> None:
    """Write a model as ONNX, checked against torch.

    The file takes any number of clips at a time, and has the labels, the input contract and the strategy in its
    metadata. A difference of more than 1e-4 in any logit is an error; the files are left for inspection.
    """
    from stzoo import onnx_export
    from stzoo.files import packaged
    from stzoo.hub import load
    from stzoo.video.frames import normalise
    from stzoo.video.reader import read_clips

    predictor = load(model, device="cpu")
    source = video or packaged("bundled") / "sample.mp4"
    clips = read_clips(source, predictor.contract, max(_BATCH_SIZES)).clips if verify else None
    chosen = onnx_export.OLDEST_OPSET if opset is None else opset
    onnx_export.export(
        predictor.net,
        output,
        predictor.contract,
        predictor.labels,
        name=predictor.name,
        strategy=predictor.strategy,
        opset=chosen,
    )
    click.echo(f"{output}: {output.stat().st_size / 1e6:.1f} MB, operator set {chosen}")
    if clips is None:
        return
    agreement = onnx_export.compare(predictor.net, output, normalise(clips, predictor.contract), _BATCH_SIZES)
    _write_report(output, predictor, source, agreement, chosen)
    click.echo(
        f"Compared with torch on {source} at batch sizes {' and '.join(map(str, agreement.batch_sizes))}: largest "
        f"difference of a logit {agreement.largest_difference:.1e}, same best label {agreement.top1_agreement:.0%}"
    )
    if not agreement.passed:
        raise ExportError(
            f"{output} does not agree with torch: a logit differs by {agreement.largest_difference:.1e}, more than "
            f"{onnx_export.TOLERANCE:.0e}, or a best label changes; do not use it, and see {_report(output)}"
        )


def _report(output: Path) -> Path:
    return output.with_name(f"{output.name}.json")


def _write_report(output: Path, predictor: Predictor, video: Path, agreement: Agreement, opset: int) -> None:
    import hashlib

    import onnx
    import torch

    import stzoo
    from stzoo.files import write_json
    from stzoo.onnx_export import TOLERANCE

    with output.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    report: dict[str, Any] = {
        "model": predictor.name,
        "file": output.name,
        "sha256": digest,
        "opset": opset,
        "passed": agreement.passed,
        "tolerance": TOLERANCE,
        **asdict(agreement),
        "video": video.name,
        "versions": {"stzoo": stzoo.__version__, "torch": torch.__version__, "onnx": onnx.__version__},
    }
    write_json(_report(output), report)
