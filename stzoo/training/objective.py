"""What a template is trained on: cross-entropy plus the divergence of its gates and weights from their prior."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from stzoo.nets.classifier import Classifier
from stzoo.nets.fusion import named_gates
from stzoo.nets.layers import Conv
from stzoo.recipe import ObjectiveForm

NO_PRICES: Mapping[tuple[str, str], float] = MappingProxyType({})


def divergence(
    template: Classifier,
    *,
    k: float,
    samples: int,
    form: ObjectiveForm = "coded",
    prices: Mapping[tuple[str, str], float] = NO_PRICES,
) -> Float[Tensor, ""]:
    """The regulariser of variational DropPath, summed over all gates; 0 for a net without gates.

    With drop probability p, the gated convolution's weights w and N training `samples`, a gate adds

    - `coded`: (k / N) (1 - p) ||w||^2 + (1 / N) (p log p + (1 - p) log(1 - p)), to which the published k belong;
    - `eq5`: (k^2 / 2N) (1 - p) ||w||^2 + (1 / N) p log p, as printed;
    - `cost`: k (1 - p) price + (1 / N) (p log p + (1 - p) log(1 - p)), where `prices` has the branch's share of the
      net's multiply-adds by site and branch. It leaves the weights alone, and the number of samples does not matter.

    Written with log-sigmoids, so that value and gradient are finite at p -> 0 and p -> 1, and computed in at least
    single precision.

    Reference: Eq. 5 and S12, Zhou et al. 2020; the entropy of `coded` has both sides, as Prop. 4 (S10) does.
    """
    total = torch.zeros(())
    weight_factor = k * k / 2.0 if form == "eq5" else k
    for site, name, gate, branch in named_gates(template):
        precision = torch.promote_types(gate.logit.dtype, torch.float32)
        logit = gate.logit.to(precision)
        drop, keep = torch.sigmoid(logit), torch.sigmoid(-logit)
        entropy = drop * F.logsigmoid(logit)
        if form != "eq5":
            entropy = entropy + keep * F.logsigmoid(-logit)
        if form == "cost":
            total = total.to(logit.device) + k * keep * prices[site, name] + entropy / samples
            continue
        weights = [module.weight for module in branch.modules() if isinstance(module, Conv)]
        squared_norm = torch.stack([weight.to(precision).square().sum() for weight in weights]).sum()
        total = total.to(logit.device) + (weight_factor * keep * squared_norm + entropy) / samples
    return total
