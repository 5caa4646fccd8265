"""A bundle's net on another runtime than torch: from its own ONNX file, if that agrees with it, or from a cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import stzoo
from stzoo import bundle as bundles
from stzoo.bundle import Bundle
from stzoo.bundle.reading import locate, read_json
from stzoo.contract import InputContract
from stzoo.errors import BundleError, ExportError, UsageError
from stzoo.files import packaged
from stzoo.runtimes import OnnxFile, Precision, Runtime, Session, has_gpu, is_there, open_session
from stzoo.runtimes.onnx_file import read

CACHE = "STZOO_CACHE"
"""The environment variable that names the folder of exported files; by default `stzoo` in the user's cache."""


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

    `auto` is torch on a GPU and where no ONNX file is at hand; else openvino if it is installed, else onnxruntime. The
    others have a file written into the cache, of which `say` is told.

    Raises `UsageError` for what cannot be had, and the errors of `find` and `made`.
    """
    if runtime == "torch":
        if precision == "fp32":
            return None
        raise UsageError(f"torch computes in fp32 here, not in {precision}; choose the runtime openvino or onnxruntime")
    if runtime == "auto" and precision == "fp32" and (device == "cuda" or (device in (None, "auto") and has_gpu())):
        return None
    file = find(folder, bundle, contract, precision)
    if file is None and precision == "int8":
        raise UsageError(
            f"{bundle.name} has no {bundles.ONNX_INT8} for this input; write it with `stzoo export {bundle.name} "
            f"--precision int8 --calibrate LIST -o {folder / bundles.ONNX_INT8}`"
        )
    if runtime == "auto":
        if file is None and precision == "fp32":
            return None
        runtime = "openvino" if precision == "bf16" or is_there("openvino") else "onnxruntime"
    return open_session(runtime, file or made(folder, bundle, contract, say), device, precision)


def find(folder: Path, bundle: Bundle, contract: InputContract, precision: Precision) -> OnnxFile | None:
    """The file that is there and takes the contract's clips: the bundle's, else one in the cache.

    Raises `BundleError` when the bundle's file is not its net, labels and input included, leads out of the folder, or
    was found to differ from torch.
    """
    name = bundles.ONNX_INT8 if precision == "int8" else bundles.ONNX
    path = locate(folder, name)
    if path is not None:
        own = _checked(read(path), folder, bundle, name)
        if own.takes(contract):
            return own
    return _cached(folder, bundle, contract) if precision != "int8" else None


def made(folder: Path, bundle: Bundle, contract: InputContract, say: Callable[[str], None]) -> OnnxFile:
    """Exports the bundle's net for the contract's clips into the cache, compared with torch on the packaged video.

    Raises `BundleError` for a bundle that does not load, `ExportError` when the file does not agree with torch.
    """
    from stzoo import onnx_export, rebuild
    from stzoo.video.frames import normalise
    from stzoo.video.reader import read_clips

    path = _place(folder, bundle, contract)
    say(f"Writing {bundle.name} for {contract.frames} frames as ONNX, once: {path}")
    net = rebuild.build(folder, bundle)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx_export.export(
        net,
        path,
        contract,
        bundle.labels,
        name=bundle.name,
        strategy=bundle.strategy,
        digest=bundles.weights_digest(folder),
    )
    clips = normalise(read_clips(packaged("bundled") / "sample.mp4", contract, 1).clips[:1], contract)
    agreement = onnx_export.compare(net, path, clips, (1,))
    if not agreement.passed:
        path.unlink()
        raise ExportError(
            f"{bundle.name} as ONNX does not agree with torch: a logit differs by {agreement.largest_difference:.1e}; "
            "choose the runtime torch"
        )
    return read(path)


def cache_folder() -> Path:
    """Where files exported on the way are kept."""
    given = os.environ.get(CACHE)
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(given or f"{home}/stzoo").expanduser() / "onnx"


def _cached(folder: Path, bundle: Bundle, contract: InputContract) -> OnnxFile | None:
    path = _place(folder, bundle, contract)
    try:
        file = read(path)
        file.check(bundle, bundles.weights_digest(folder))
    except (OSError, BundleError):
        return None  # it will be written again
    return file if file.takes(contract) else None


def _place(folder: Path, bundle: Bundle, contract: InputContract) -> Path:
    """The name of a cached file follows from all that its graph depends on."""
    parts = {
        "stzoo": stzoo.__version__,
        "weights": bundles.weights_digest(folder),
        "backbone": bundle.config.backbone.model_dump(mode="json"),
        "strategy": bundle.strategy.digest,
        "labels": bundle.config.classes.sha256,
        "input": contract.model_dump(mode="json", include={"frames", "crop", "mean", "std"}),
    }
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return cache_folder() / f"{key}.onnx"


def _checked(file: OnnxFile, folder: Path, bundle: Bundle, name: str) -> OnnxFile:
    file.check(bundle, bundles.weights_digest(folder))
    reports = locate(folder, bundles.EXPORT)
    if reports is None:
        return file
    found = read_json(reports)
    report = found.get(name, {}) if isinstance(found, dict) else None
    if not isinstance(report, dict):
        raise BundleError(f"{reports} does not hold what stzoo writes about ONNX files; write it again")
    if not report:
        return file
    if report.get("sha256") != hashlib.sha256(file.content).hexdigest():
        raise BundleError(f"{reports} is about another {name} than the one beside it; write it again")
    if report.get("passed") is not True:
        raise BundleError(f"{reports} says that {name} does not agree with torch; write it again")
    return file
