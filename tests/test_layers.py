"""Which modules do without the heavy libraries. That imports point down is import-linter's business (`make layers`)."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT_TORCH = (
    "stzoo.assessment",
    "stzoo.bundle",
    "stzoo.card",
    "stzoo.contract",
    "stzoo.errors",
    "stzoo.exported",
    "stzoo.files",
    "stzoo.hub",
    "stzoo.literature",
    "stzoo.metrics",
    "stzoo.posterior",
    "stzoo.predictor",
    "stzoo.published",
    "stzoo.quantisation",
    "stzoo.recipe",
    "stzoo.reference",
    "stzoo.remote",
    "stzoo.runtimes.onnxruntime_session",
    "stzoo.runtimes.openvino_session",
    "stzoo.scoring",
    "stzoo.strategies",
    "stzoo.strategy",
    "stzoo.timeline",
    "stzoo.transfer",
    "stzoo.validation",
    "stzoo.video.augment",
    "stzoo.video.check",
    "stzoo.video.clips",
    "stzoo.video.datasets",
    "stzoo.video.decode",
    "stzoo.video.examine",
    "stzoo.video.frames",
    "stzoo.video.images",
    "stzoo.video.lists",
    "stzoo.video.official",
    "stzoo.video.own",
    "stzoo.video.reader",
)


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
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


@pytest.mark.parametrize("name", ["stzoo.nets", "stzoo.measure"])
def test_networks_never_see_a_video(name: str) -> None:
    run(f"import sys; sys.modules['av'] = sys.modules['cv2'] = None; import {name}")


def test_torchvision_is_imported_for_imagenet_weights_alone() -> None:
    run("import sys; sys.modules['torchvision'] = None; import stzoo.predictor, stzoo.training.pipeline")


def test_video_never_sees_a_network() -> None:
    run("import sys; sys.modules['torch'] = None; import stzoo.video.reader, stzoo.video.datasets")
