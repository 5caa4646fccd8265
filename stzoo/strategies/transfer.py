"""From the networks whose fusion was learnt to other backbones: the paper's rules, and strategies carried by depth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from stzoo.errors import StrategyError, did_you_mean
from stzoo.strategies.strategy import Site, Strategy

Stage = str | tuple[tuple[int, str], ...]  # one unit for a whole stage, or runs: how many sites have which unit

_RESNET: tuple[Stage, ...] = ("S+ST", "S+ST", "ST", "S+ST")
_MOBILENET: tuple[Stage, ...] = ("S+ST", "S+ST", "ST", "ST", "S+ST", "S+ST")
_MOBILENET_KINETICS: tuple[Stage, ...] = ("S+ST", "S", "S+ST", "S", "ST", "S+ST")
_SOMETHING: Mapping[str, tuple[Stage, ...]] = {
    "resnet50": _RESNET,
    "resnext50": _RESNET,
    "resnet_tiny": _RESNET,
    "resnext101": ("S+ST", "S+ST", ((1, "ST"), (9, "S+ST"), (13, "ST")), "S+ST"),
    "mobilenet_v2": _MOBILENET,
    "mobilenet_v2_tiny": _MOBILENET,
}
_KINETICS: Mapping[str, tuple[Stage, ...]] = {
    "resnext101": ("S+ST", "S+ST", ((5, "S"), (10, "S+ST"), (4, "S"), (4, "ST")), "S+ST"),
    "mobilenet_v2": _MOBILENET_KINETICS,
    "mobilenet_v2_tiny": _MOBILENET_KINETICS,
}
_RULES = ("sthv1", "sthv2", "ucf101", "k400")


def rules(backbone: str) -> tuple[str, ...]:
    """The datasets for which the paper has a rule for this backbone."""
    return tuple(data for data in _RULES if data != "k400" or backbone in _KINETICS)


def rule(data: str, backbone: str, sites: Sequence[Site]) -> Strategy:
    """What the paper calls Opt on a backbone other than DenseNet121: designed from what it saw there, not learnt.

    - `sthv1`, `sthv2`: the tables of the authors' code for ResNet50, ResNeXt50, ResNeXt101 and MobileNetV2. On every
      other backbone the sentence of section 4.5 as printed: S+ST in the first half and at the last three sites, ST in
      between. An odd number of sites gives the first half one more, as the table for ResNeXt101 does.
    - `ucf101`: S+ST at every site.
    - `k400`: the tables of the authors' code for ResNeXt101 and MobileNetV2.

    Our small siblings take the tables of ResNet50 and MobileNetV2.

    Raises `StrategyError` where there is no such rule.

    Reference: section 4.5, Table 6 and supplementary section 3, Zhou et al. 2020.
    """
    if data not in rules(backbone):
        known = rules(backbone)
        elsewhere = f"; k400 has one for {', '.join(_KINETICS)}" if data == "k400" else ""
        raise StrategyError(
            f'there is no rule "{data}" for {backbone}{elsewhere}.{did_you_mean(data, known)} '
            f"Give {backbone} one of {', '.join(f'rule:{name}' for name in known)}."
        )
    if data == "ucf101":
        return Strategy.uniform(backbone, sites, "S+ST")
    table = _KINETICS if data == "k400" else _SOMETHING
    if backbone in table:
        return Strategy.in_order(backbone, sites, _by_stage(table[backbone], sites))
    total = sum(site.has_choice for site in sites)
    half = (total + 1) // 2
    between = max(total - half - 3, 0)
    return Strategy.in_order(backbone, sites, ["S+ST"] * half + ["ST"] * between + ["S+ST"] * (total - half - between))


def carried(strategy: Strategy, backbone: str, sites: Sequence[Site]) -> Strategy:
    """A strategy of one backbone at the same relative depth of another.

    Of L sites that have a choice, number i (from 0) stands at depth (i + 1/2) / L; it gets the unit of the site of
    `strategy` whose share of the depth contains it. Order is kept, and a strategy carried to its own sites is itself.
    Every site of `strategy` counts as one with a choice, as in the published ones.

    Raises `StrategyError` for a unit that no site of the backbone offers.
    """
    units = list(strategy.units.values())
    total = sum(site.has_choice for site in sites)
    return Strategy.in_order(backbone, sites, [units[(2 * i + 1) * len(units) // (2 * total)] for i in range(total)])


def _by_stage(table: Sequence[Stage], sites: Sequence[Site]) -> list[str]:
    lengths = [sum(site.has_choice and site.stage == number for site in sites) for number in range(1, len(table) + 1)]
    return [unit for stage, length in zip(table, lengths, strict=True) for unit in _units(stage, length)]


def _units(stage: Stage, length: int) -> Iterator[str]:
    for count, unit in [(length, stage)] if isinstance(stage, str) else stage:
        yield from [unit] * count
