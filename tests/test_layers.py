"""Which modules do without the heavy libraries. That imports point down is import-linter's business (`make layers`)."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT_TORCH = (
    "stzoo.evaluation",
    "stzoo.bundle",
    "stzoo.card",
    "stzoo.contract",
    "stzoo.errors",
    "stzoo.export.cached",
    "stzoo.files",
    "stzoo.zoo.loading",
    "stzoo.strategies.literature",
    "stzoo.metrics",
    "stzoo.strategies.posterior",
    "stzoo.prediction.predictor",
    "stzoo.strategies.published",
    "stzoo.export.to_int8",
    "stzoo.recipe",
    "stzoo.zoo.reference",
    "stzoo.zoo.hub",
    "stzoo.zoo.torchvision",
    "stzoo.zoo.checking",
    "stzoo.runtimes.onnxruntime_session",
    "stzoo.runtimes.openvino_session",
    "stzoo.prediction.scoring",
    "stzoo.strategies.names",
    "stzoo.strategies.strategy",
    "stzoo.prediction.timeline",
    "stzoo.strategies.transfer",
    "stzoo.validation",
    "stzoo.video.augment",
    "stzoo.data.check",
    "stzoo.video.clips",
    "stzoo.data.datasets",
    "stzoo.video.decode",
    "stzoo.data.examine",
    "stzoo.video.frames",
    "stzoo.video.images",
    "stzoo.data.lists",
    "stzoo.data.official",
    "stzoo.data.own",
    "stzoo.video.reader",
)


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_plain_modules_import_no_torch() -> None:
    program = (
        "import importlib, sys\n"
        f"for name in {WITHOUT_TORCH}:\n"
        "    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, name\n"
    )
    run(program)


@pytest.mark.parametrize("name", ["stzoo.nets", "stzoo.nets.measure"])
def test_networks_never_see_a_video(name: str) -> None:
    run(f"import sys; sys.modules['av'] = sys.modules['cv2'] = None; import {name}")


def test_torchvision_is_imported_for_its_weights_and_its_nets_alone() -> None:
    run(
        "import sys; sys.modules['torchvision'] = None\n"
        "import stzoo.prediction.predictor, stzoo.training.pipeline, stzoo.export.to_onnx, stzoo.zoo.publishing\n"
        "from stzoo.files import packaged\n"
        "stzoo.predict(packaged('bundled') / 'sample.mp4', clips=1, device='cpu')"
    )


def test_video_never_sees_a_network() -> None:
    run("import sys; sys.modules['torch'] = None; import stzoo.video.reader, stzoo.data.datasets")
