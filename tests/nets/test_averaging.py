from __future__ import annotations

import numpy as np
import torch

from stzoo import nets
from stzoo.contract import InputContract
from stzoo.nets.averaging import Averaged
from stzoo.runtimes.torch_net import TorchNet

CONTRACT = InputContract(frames=4, fps=5.0, clips=2, resize=32, crop=32)


def test_nets_of_one_template_answer_together_as_each_does_alone() -> None:
    torch.manual_seed(0)
    template = nets.template("resnet_tiny", 3).eval()
    architecture = nets.architecture(template)
    for module in template.modules():
        if hasattr(module, "running_mean"):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    several = [nets.prune(template, architecture.uniform(unit)).eval() for unit in ("ST", "S+ST", "S")]
    clips = np.random.default_rng(0).integers(0, 256, (2, 4, 32, 32, 3), dtype=np.uint8)
    together = TorchNet(Averaged(several), "cpu")
    assert together.nets == 3
    each = together.each_clip_scores(clips, CONTRACT)
    alone = [TorchNet(net, "cpu").clip_scores(clips, CONTRACT) for net in several]
    np.testing.assert_allclose(each, np.stack(alone), atol=1e-5)
    assert np.ptp(each, axis=0).max() > 1e-3
    np.testing.assert_allclose(together.clip_scores(clips, CONTRACT), np.mean(alone, axis=0), atol=1e-5)
