"""What there is on this machine, and whether it works. Each part is looked at by itself: a broken one hides none."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import stzoo
from stzoo import DEFAULT_MODEL
from stzoo import bundle as bundles
from stzoo.errors import HubError, may_be_missing
from stzoo.files import CACHE, cache_folder, packaged
from stzoo.runtimes import RUNTIMES, Runtime, has_gpu, is_there
from stzoo.zoo import hub
from stzoo.zoo.benchmarking import machine
from stzoo.zoo.loading import load

_EXCLUSIVE = {"opencv-python-headless": "cv2", "onnxruntime-gpu": "onnxruntime"}
"""Modules that other distributions have too. One of them is enough, and two overwrite each other's files."""

_GPL = ("libx264", "libx265")
_MOST_LETTERS = 200  # of what a library says


@dataclass(frozen=True)
class Part:
    """One thing that was looked at."""

    facts: Any
    """As JSON takes it."""
    problems: tuple[str, ...] = ()
    """What will not work, and what to do."""
    remarks: tuple[str, ...] = ()
    """What is good to know."""


@dataclass(frozen=True)
class Findings:
    """All parts of a check."""

    machine: Part
    packages: Part
    devices: Part
    runtimes: Part
    decoder: Part
    caches: Part
    hub: Part

    @property
    def problems(self) -> list[str]:
        return [problem for part in self._parts.values() for problem in part.problems]

    @property
    def remarks(self) -> list[str]:
        return [remark for part in self._parts.values() for remark in part.remarks]

    def to_json(self) -> dict[str, Any]:
        """The facts of every part, and after them all problems and remarks."""
        facts = {name: part.facts for name, part in self._parts.items()}
        return {"stzoo": stzoo.__version__, **facts, "problems": self.problems, "remarks": self.remarks}

    @property
    def _parts(self) -> dict[str, Part]:
        return {name: getattr(self, name) for name in asdict(self)}


def check(*, offline: bool | None = None) -> Findings:
    """Looks at everything; the model of the package predicts its sample on every runtime that is installed.

    The Hub is asked once, unless it may not be: by default HF_HUB_OFFLINE decides.
    """
    return Findings(Part(machine()), _packages(), _devices(), _runtimes(), _decoder(), _caches(), _hub(offline))


def _packages() -> Part:
    """Versions of what stzoo requires, against what it asks for; and distributions that break each other."""
    from packaging.requirements import Requirement

    versions: dict[str, str | None] = {}
    problems: list[str] = []
    remarks: list[str] = []
    owners = {module: _owners(module) for module in _EXCLUSIVE.values()}
    for text in _required():
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        name, wanted = requirement.name, f"{requirement.name}{requirement.specifier}"
        if _version(name) is None and (others := owners.get(_EXCLUSIVE.get(name, ""), [])):
            name = others[0]
            remarks.append(f"{name} is installed in place of {requirement.name}")
        version = versions[name] = _version(name)
        if version is None:
            sentence = f"{name} is not installed; install it with `pip install '{wanted}'`"
            (remarks if may_be_missing(name) else problems).append(sentence)
        elif not requirement.specifier.contains(version, prereleases=True):
            problems.append(
                f"{name} is {version}, and stzoo needs {requirement.specifier}; install it with `pip install "
                f"'{name}{requirement.specifier}'`"
            )
    for module, several in owners.items():
        if len(several) > 1:
            problems.append(
                f"{' and '.join(several)} are installed both, and overwrite each other's files of {module}; "
                f"`pip uninstall {' '.join(several)}`, then install one of them again"
            )
    return Part(versions, tuple(problems), tuple(remarks))


def _required() -> list[str]:
    """What stzoo's own metadata require; nothing where it is imported without being installed."""
    try:
        return importlib.metadata.requires("stzoo") or []
    except importlib.metadata.PackageNotFoundError:
        return []


def _owners(module: str) -> list[str]:
    """The distributions of this environment that have put files into a module."""
    named = {distribution.name: distribution for distribution in importlib.metadata.distributions()}
    likely = {name: named[name] for name in sorted(named) if re.match("opencv|onnxruntime", name)}
    return [name for name, its in likely.items() if any(file.parts[0] == module for file in its.files or ())]


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _devices() -> Part:
    """GPUs that the driver and torch see."""
    if not is_there("torch"):
        return Part(["cuda"] if has_gpu() else [])
    try:
        import torch
    except Exception:  # said of the runtime
        return Part(["cuda"] if has_gpu() else [])
    devices = [f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(torch.cuda.device_count())]
    devices += [name for name in ("mps", "xpu") if getattr(torch, name).is_available()]
    if has_gpu() and not torch.cuda.is_available():
        built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "for CPUs"
        remark = f"NVIDIA's driver shows a GPU, which torch {torch.__version__}, built {built}, cannot use"
        return Part(devices, (), (remark,))
    return Part(devices)


def _runtimes() -> Part:
    """What each runtime is and has, and whether the package's model predicts on it."""
    facts: dict[str, Any] = {}
    problems = []
    for runtime in RUNTIMES:
        if not is_there(runtime):
            facts[runtime] = None
            continue
        try:
            facts[runtime] = _providers(runtime)
            _try(runtime)
        except Exception as error:  # whatever a broken installation raises
            facts[runtime] = facts.get(runtime) or {}
            problems.append(f"{runtime} does not predict here: {_said(error)}; install it anew")
        facts[runtime]["works"] = not any(problem.startswith(f"{runtime} ") for problem in problems)
    if not any(facts.values()):
        problems.append("no runtime is installed; install one with `pip install onnxruntime`")
    return Part(facts, tuple(problems))


def _providers(runtime: Runtime) -> dict[str, Any]:
    """A runtime's version, and where it says that it can run nets."""
    if runtime == "openvino":
        from stzoo.telemetry import without_openvinos

        with without_openvinos():
            import openvino
        return {"version": openvino.__version__.partition("-")[0], "providers": list(openvino.Core().available_devices)}
    library = importlib.import_module(runtime)
    if runtime == "onnxruntime":
        return {"version": library.__version__, "providers": list(library.get_available_providers())}
    providers = ["cpu"] + [name for name in ("cuda", "mps", "xpu") if getattr(library, name).is_available()]
    return {"version": library.__version__, "providers": providers}


def _try(runtime: Runtime) -> None:
    """Raises what is wrong with one clip of the sample, on the CPU."""
    model = packaged("bundled") / DEFAULT_MODEL
    reference = model if runtime == "torch" else model / bundles.ONNX
    load(reference, runtime=runtime, device="cpu").predict(packaged("bundled") / "sample.mp4", clips=1)


def _decoder() -> Part:
    """FFmpeg as PyAV brings it, and under which licences."""
    try:
        import av
        from av import _core
    except Exception as error:
        return Part(None, (f"PyAV cannot be imported, and no video be read: {_said(error)}; install av anew",))
    codecs = _core.library_meta["libavcodec"]
    gpl = [name for name in _GPL if name in av.codecs_available]
    facts = {"av": av.__version__, "ffmpeg": _core.ffmpeg_version_info, "licence": codecs["license"], "gpl": gpl}
    remark = f"PyAV's FFmpeg carries {' and '.join(gpl)}, which are under the GPL: mind it before you pass them on"
    return Part(facts, (), (remark,) if gpl else ())


def _caches() -> Part:
    """Folders that grow, and how much they hold."""
    from huggingface_hub import constants

    torch_home = os.environ.get("TORCH_HOME") or "~/.cache/torch"
    folders = {
        "onnx": cache_folder("onnx"),
        "torchvision": cache_folder("torchvision"),
        "hub": Path(constants.HF_HUB_CACHE),
        "torch hub": Path(os.path.expanduser(torch_home)) / "hub",
    }
    facts = {name: {"folder": str(folder), "bytes": _bytes(folder)} for name, folder in folders.items()}
    variables = {"onnx": CACHE, "torchvision": CACHE, "hub": "HF_HOME", "torch hub": "TORCH_HOME"}
    problems = tuple(
        f"the cache {folder} cannot be written; name another folder with {variables[name]}"
        for name, folder in folders.items()
        if not os.access(next(place for place in (folder, *folder.parents) if place.exists()), os.W_OK)
    )
    return Part(facts, problems)


def _bytes(folder: Path) -> int:
    """What a folder holds; files that are linked to are counted where they lie."""
    files = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    return sum(file.lstat().st_size for file in files if not file.is_symlink())


def _hub(offline: bool | None) -> Part:
    """Whether the Hub answers; None where it may not be asked."""
    if hub.is_offline(offline):
        return Part({"endpoint": hub.endpoint(), "answers": None})
    try:
        hub.ping()
    except HubError as error:
        return Part({"endpoint": hub.endpoint(), "answers": False}, (str(error),))
    return Part({"endpoint": hub.endpoint(), "answers": True})


def _said(error: Exception) -> str:
    """What a library says, in one line."""
    return f"{type(error).__name__}, {' '.join(str(error).split())[:_MOST_LETTERS]}"
