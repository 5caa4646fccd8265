"""A bundle's net on another runtime than torch: from its own ONNX file, if that agrees with it, or from a cache."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import stzoo
from stzoo import bundle as bundles
from stzoo.bundle import Bundle
from stzoo.bundle.reading import locate, read_json
from stzoo.contract import InputContract
from stzoo.errors import BundleError, ExportError, UsageError, require
from stzoo.files import CACHE, cache_folder, packaged
from stzoo.runtimes import (
    OnnxFile,
    Precision,
    Runtime,
    Session,
    UnusableFileError,
    has_gpu,
    is_there,
    open_session,
    refuse_impossible,
)
from stzoo.runtimes.onnx_file import Form, read


def session(
    folder: Path,
    bundle: Bundle,
    contract: InputContract,
    runtime: Runtime | Literal["auto"],
    precision: Precision,
    device: str | None,
    say: Callable[[str], None],
) -> Session | None:
    """The bundle's net, ready to run on what was asked for; None where that is torch, also by `auto`.

    `auto` is torch on a GPU and where no ONNX file is at hand or the bundle's cannot be used, of which `say` is told;
    else openvino if it is installed, else onnxruntime, on whatever file is there. Who asks for one of them has a file
    written into the cache where there is none in the form that it runs fastest, of which `say` is told. Without torch
    no file can be written, and any form is taken.

    Raises `UsageError` for what cannot be had, and the errors of `bundled_file` and `export_into_cache`.
    """
    if runtime == "torch":
        if precision == "fp32":
            return None
        raise UsageError(f"torch computes in fp32 here, not in {precision}; choose the runtime openvino or onnxruntime")
    on_gpu = has_gpu() if device in (None, "auto") else device != "cpu"  # torch judges any other device
    has_torch = is_there("torch")
    if runtime == "auto" and precision == "fp32" and on_gpu and has_torch:
        return None
    concrete = runtime
    if concrete == "auto":
        concrete = "openvino" if precision == "bf16" or is_there("openvino") else "onnxruntime"
    refuse_impossible(concrete, device, precision)
    if precision == "fp16":
        raise UsageError(
            f"a bundle is not run in fp16; write a file with `stzoo export {folder} --form portable --precision fp16`, "
            "and load that"
        )
    forms: list[Form] = ["volumes", "images"] if concrete == "openvino" else ["images", "volumes"]
    forms.append("portable")
    if not bundle.strategy.units:
        forms = ["volumes"]  # torchvision's nets are written in no layout of ours
    try:
        file = find(folder, bundle, contract, precision, forms if runtime == "auto" or not has_torch else forms[:1])
        if file is None and runtime == "auto" and precision == "fp32":
            return None
        if file is not None:
            return open_session(concrete, file, device, precision)
    except UnusableFileError as error:
        if runtime != "auto" or precision != "fp32" or not has_torch:
            raise
        say(f"{error}. torch runs the net instead.")
        return None
    if precision == "int8":
        if contract.frames != bundle.contract.frames:
            raise UsageError(
                f"in int8 {bundle.name} takes clips of its own {bundle.contract.frames} frames, not of "
                f"{contract.frames}; leave the other number out, or choose fp32"
            )
        raise UsageError(
            f"{bundle.name} has no {bundles.ONNX_INT8}; write it with `stzoo export {folder} --precision int8 "
            f"--calibrate LIST -o {folder / bundles.ONNX_INT8}`"
        )
    return open_session(concrete, export_into_cache(folder, bundle, contract, forms[0], say), device, precision)


def find(
    folder: Path, bundle: Bundle, contract: InputContract, precision: Precision, forms: Sequence[Form]
) -> OnnxFile | None:
    """The file that takes the contract's clips, in the first form there is: the bundle's own, else one in the cache.

    In int8 there is only the bundle's, in whatever form. Raises what `bundled_file` raises.
    """
    bundled = bundled_file(folder, bundle, precision)
    if bundled is not None and not bundled.takes(contract):
        bundled = None
    if precision == "int8":
        return bundled
    for form in forms:
        file = bundled if bundled is not None and bundled.form == form else _cached(folder, bundle, contract, form)
        if file is not None:
            return file
    return None


def bundled_file(folder: Path, bundle: Bundle, precision: Precision) -> OnnxFile | None:
    """The bundle's own file, if it has one.

    Raises `BundleError` when it is not the bundle's net, labels and input included, leads out of the folder, or was
    found to differ from torch.
    """
    name = bundles.ONNX_INT8 if precision == "int8" else bundles.ONNX
    path = locate(folder, name)
    return None if path is None else _checked(read(path), folder, bundle, name)


def export_into_cache(
    folder: Path, bundle: Bundle, contract: InputContract, form: Form, say: Callable[[str], None]
) -> OnnxFile:
    """Exports the bundle's net for the contract's clips into the cache, compared with torch on the packaged video.

    Raises `UsageError` where the cache cannot be written, `BundleError` for a bundle that does not load, and
    `ExportError` when the file does not agree with torch, and `MissingPackageError` for what is not installed.
    """
    require("torch", "onnxscript")
    from stzoo.bundle import rebuild
    from stzoo.export import to_onnx
    from stzoo.video.frames import normalise
    from stzoo.video.reader import read_clips
    from stzoo.video.video import Video

    path = _place(folder, bundle, contract, form)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise UsageError(
            f"{path.parent} cannot be written ({error.strerror}); name another folder for ONNX files with {CACHE}, or "
            "choose the runtime auto, which takes what is there"
        ) from error
    say(f"Writing {bundle.name} for {contract.frames} frames as ONNX of {form}, once: {path}")
    net = rebuild.build(folder, bundle)
    to_onnx.export(
        net,
        path,
        contract,
        bundle.labels,
        name=bundle.name,
        strategy=bundle.strategy,
        digest=bundles.weights_digest(folder),
        form=form,
    )
    clips = normalise(read_clips(Video(packaged("bundled") / "sample.mp4"), contract, 1).clips[:1], contract)
    agreement = to_onnx.compare(net, path, clips, (1,))
    if not agreement.passed:
        path.unlink()
        raise ExportError(
            f"{bundle.name} as ONNX does not agree with torch: a logit differs by {agreement.largest_difference:.1e}; "
            "choose the runtime torch"
        )
    return read(path)


def _cached(folder: Path, bundle: Bundle, contract: InputContract, form: Form) -> OnnxFile | None:
    path = _place(folder, bundle, contract, form)
    try:
        file = read(path)
        file.check(bundle, bundles.weights_digest(folder))
    except (OSError, BundleError):
        return None  # it will be written again
    return file if file.takes(contract) and file.form == form else None


def _place(folder: Path, bundle: Bundle, contract: InputContract, form: Form) -> Path:
    """The name of a cached file follows from all that its graph depends on."""
    parts = {
        "stzoo": stzoo.__version__,
        "weights": bundles.weights_digest(folder),
        "backbone": bundle.config.backbone.model_dump(mode="json"),
        "strategy": bundle.strategy.digest,
        "labels": bundle.config.classes.sha256,
        "input": contract.model_dump(mode="json", include={"frames", "crop", "mean", "std"}),
        "form": form,
    }
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return cache_folder("onnx") / f"{key}.onnx"


def _checked(file: OnnxFile, folder: Path, bundle: Bundle, name: str) -> OnnxFile:
    file.check(bundle, bundles.weights_digest(folder))
    file.refuse_unrunnable()
    reports = locate(folder, bundles.EXPORT)
    if reports is None:
        return file
    value = read_json(reports)
    report = value.get(name, {}) if isinstance(value, dict) else None
    if not isinstance(report, dict):
        raise BundleError(f"{reports} does not hold what stzoo writes about ONNX files; write it again")
    if not report:
        return file
    if report.get("sha256") != hashlib.sha256(file.content).hexdigest():
        raise BundleError(f"{reports} is about another {name} than the one beside it; write it again")
    if report.get("passed") is not True:
        raise BundleError(f"{reports} says that {name} does not agree with torch; write it again")
    return file
