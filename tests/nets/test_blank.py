from __future__ import annotations

import subprocess
import sys

import torch
from torch import nn

from stzoo.nets.blank import without_memory


def test_nets_take_no_memory_until_they_get_weights() -> None:
    real = nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4))
    with without_memory():
        blank = nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4))
    assert all(tensor.is_meta for tensor in blank.state_dict().values())
    blank.load_state_dict(real.state_dict(), assign=True)
    clip = torch.randn(2, 3, 4, 5, 5)
    torch.testing.assert_close(blank.eval()(clip), real.eval()(clip))


def test_sizes_that_no_machine_has_are_laid_out() -> None:
    with without_memory():
        assert nn.Linear(10**9, 10**6).weight.shape == (10**6, 10**9)


def test_initialisation_works_again_afterwards() -> None:
    with without_memory():
        nn.Linear(2, 2)
    weight = nn.init.constant_(nn.Linear(2, 2).weight, 3.0)
    assert weight.tolist() == [[3.0, 3.0], [3.0, 3.0]]


def test_the_compiler_is_not_imported() -> None:
    code = (
        "import sys, torch\n"
        "from stzoo import nets\n"
        "from stzoo.nets.blank import without_memory\n"
        "with without_memory():\n"
        "    shape = nets.Architecture('densenet_tiny', 10, {})\n"
        "    nets.fixed('densenet_tiny', shape.uniform('S+ST'), 10)\n"
        "sys.exit('torch._dynamo' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
