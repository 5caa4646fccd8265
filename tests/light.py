"""Every command, and what Python offers, where torch, torchvision, matplotlib and onnxscript are not installed.

    python tests/light.py [MEGABYTES]

It ends with 1 where one of them answers with a traceback, or otherwise than it should, or where what is installed
beside pip and setuptools takes more than so many megabytes. `make light` starts it in an environment of
requirements/light.txt, tests/test_light.py where the packages are hidden.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

HIDDEN = ("torch", "torchvision", "matplotlib", "onnxscript", "onnx_ir", "skimage", "pybullet")
MODEL = "camera-motion-opt"
NO_TORCH, NO_MATPLOTLIB = "Error: torch is not installed here, and", "Error: matplotlib is not installed here, and"


class Case(NamedTuple):
    words: str
    exit_code: int
    said: str
    """What stands somewhere in its output."""


CASES = (
    Case(f"predict sample.mp4 --model {MODEL}", 0, "37.6 %  still"),
    Case("predict sample.mp4", 0, "sample.mp4"),
    Case(f"predict sample.mp4 --model {MODEL} --timeline", 0, "turn-left"),
    Case("predict sample.mp4 --render labelled.mp4", 0, "Wrote labelled.mp4"),
    Case("predict sample.mp4 --timeline --render moving.mp4", 0, "Wrote moving.mp4"),
    Case("predict sample.mp4 --timeline --figure timeline.png", 1, NO_MATPLOTLIB),
    Case("predict sample.mp4 --runtime torch", 1, NO_TORCH),
    Case(f"predict sample.mp4 --model {MODEL} --clips 2", 0, "Input: 2 clips"),
    Case(f"predict sample.mp4 --model {MODEL} --frames 16", 1, NO_TORCH),
    Case("predict sample.mp4 --model lab/toy", 0, "37.6 %  still"),
    Case("predict sample.mp4 --model torchvision:r3d_18", 1, NO_TORCH),
    Case(f"predict data --model {MODEL} --workers 2", 0, "37.6 %  still"),
    Case(f"embed sample.mp4 --model {MODEL} -o vectors.npz", 0, "1 vectors of 74 numbers"),
    Case(f"evaluate {MODEL} --data data -o measured", 0, "measured: scores.npz, results.json\n"),
    Case(f"evaluate {MODEL} --data data -o other --strategy s", 1, NO_TORCH),
    Case("list", 0, MODEL),
    Case("list --source torchvision", 0, "r3d_18"),
    Case(f"show {MODEL}", 0, "B1.L1"),
    Case(f"show {MODEL} --figure strategy.png", 1, NO_MATPLOTLIB),
    Case("show published:sthv1", 0, "ST at 19"),
    Case("show camera-motoin-opt", 1, f'Did you mean "{MODEL}"?'),
    Case(f"diff {MODEL} camera-motion-s", 0, "They differ at 13 of 15 sites"),
    Case(f"diff {MODEL} mc3", 1, NO_TORCH),
    Case(f"export {MODEL} -o model.onnx", 1, NO_TORCH),
    Case(f"page {MODEL} -o site", 1, NO_TORCH),
    Case(f"verify {MODEL}", 0, "onnxruntime"),
    Case(f"benchmark {MODEL}", 0, "onnxruntime"),
    Case("check --offline", 0, "GPL"),
    Case(f"serve {MODEL} --port 70000", 2, "70000"),
    Case("calibrate nowhere --data data", 1, "nowhere"),
    Case(f"publish {MODEL} --repo lab/more", 1, NO_TORCH),
    Case("measure resnet50", 1, NO_TORCH),
    Case("train smoke", 1, NO_TORCH),
    Case("train smoke --dry-run", 1, NO_TORCH),
    Case("train --data data", 1, NO_TORCH),
    Case(f"finetune {MODEL} --data data", 1, NO_TORCH),
    Case("select run", 1, NO_TORCH),
    Case("effects run", 1, NO_TORCH),
    Case(f"compare {MODEL} other", 1, NO_TORCH),
    Case("data check smoke", 1, "does not exist"),
    Case("data shrink smoke --out small", 1, "does not exist"),
    Case("data make camera --out made", 1, "scikit-image is not installed"),
    Case("data make mocap15 --out made", 1, "pybullet, which is not installed"),
)


def wrong_command(case: Case) -> str | None:
    """What is wrong with the answer to a command, or None."""
    from click.testing import CliRunner

    from stzoo import cli

    result = CliRunner().invoke(cli.main, case.words.split(), prog_name="stzoo")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return f"ended with {result.exception!r}"
    if result.exit_code != case.exit_code or case.said not in result.output or "Traceback" in result.output:
        return f"ended with {result.exit_code} and said\n{result.output}"
    return None


def wrong_call(call: Callable[[], object], package: str) -> str | None:
    """What is wrong with a call that needs a package, or None."""
    from stzoo.errors import MissingPackageError

    try:
        call()
    except MissingPackageError as error:
        return None if str(error).startswith(f"{package} is not installed") else f"said {error}"
    return "ended well"


def calls() -> dict[str, str | None]:
    """What is wrong with every call of Python's."""
    import stzoo
    from stzoo.figures.strategies import strategy_figure
    from stzoo.ray_stage import PredictStage

    model = stzoo.load(MODEL)
    rows = PredictStage(MODEL)({"path": ["sample.mp4"]})
    strategy = model.strategy
    return {
        "load": None if model.runtime != "torch" and model.predict("sample.mp4")[0].label == "still" else "differs",
        "PredictStage": None if rows["label"].tolist() == ["still"] else f"gave {rows}",
        "load in torch": wrong_call(lambda: stzoo.load(MODEL, runtime="torch"), "torch"),
        "load without weights": wrong_call(lambda: stzoo.load(MODEL, weights=None), "torch"),
        "load a strategy": wrong_call(lambda: stzoo.load(MODEL, strategy="s"), "torch"),
        "load of torchvision": wrong_call(lambda: stzoo.load("torchvision:r3d_18"), "torch"),
        "load with other classes": wrong_call(lambda: stzoo.load(MODEL, classes=["a", "b"]), "torch"),
        "evaluate": None if stzoo.evaluate(MODEL, "data")["top1"]["n"] == 2 else "differs",
        "create": wrong_call(lambda: stzoo.create("resnet50"), "torch"),
        "train": wrong_call(lambda: stzoo.train("smoke"), "torch"),
        "export_onnx": wrong_call(lambda: stzoo.export_onnx(MODEL, "model.onnx"), "torch"),
        "a figure": wrong_call(lambda: strategy_figure(strategy, "figure.png", "a title"), "matplotlib"),
    }


def megabytes() -> float:
    """What is installed, without what every virtual environment has."""
    bare = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
    kept = [folder for folder in Path(sysconfig.get_path("purelib")).iterdir() if not folder.name.startswith(bare)]
    files = {file for folder in kept for file in (folder.rglob("*") if folder.is_dir() else [folder])}
    return sum(file.stat().st_blocks * 512 for file in files if file.is_file()) / 2**20


def main() -> None:
    """Runs everything in an empty folder, with a Hub of its own."""
    there = [name for name in HIDDEN if importlib.util.find_spec(name) is not None]
    if there:
        sys.exit(f"{', '.join(there)} can be imported here; this is about an environment without them")
    if len(sys.argv) > 1 and (size := megabytes()) > float(sys.argv[1]):
        sys.exit(f"{size:.0f} MB are installed, more than {sys.argv[1]}")
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ |= {"HF_HOME": f"{folder}/hf", "STZOO_CACHE": f"{folder}/cache", "HF_HUB_DISABLE_XET": "1"}
        os.environ.pop("HF_HUB_OFFLINE", None)
        from hub_server import HubServer
        from stzoo.files import packaged

        for name in ("sample.mp4", "data/still/a.mp4", "data/approach/b.mp4"):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes((packaged("bundled") / "sample.mp4").read_bytes())
        hub = HubServer(Path(folder) / "server")
        hub.start()
        os.environ["HF_ENDPOINT"] = hub.url
        try:
            hub.put("lab/toy", packaged("bundled") / MODEL)
            found = {f"stzoo {case.words}": wrong_command(case) for case in CASES} | calls()
        finally:
            hub.stop()
        os.chdir("/")
    wrong = {what: why for what, why in found.items() if why is not None}
    for what, why in wrong.items():
        print(f"{what} {why}", file=sys.stderr)
    sys.exit(f"{len(wrong)} of {len(found)} are wrong" if wrong else None)


if __name__ == "__main__":
    main()
