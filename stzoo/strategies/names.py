"""Strategies by name: what `--strategy` and a recipe's `[fixed]` table accept, for any backbone's sites."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Callable, Iterable, Sequence

from stzoo.errors import StrategyError, did_you_mean
from stzoo.strategies.literature import bottom_heavy, mict, mixed, reversed_mixed, smart, top_heavy
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.published import PUBLISHED, published
from stzoo.strategies.strategy import Site, Strategy
from stzoo.strategies.transfer import carried, rule, rules

UNIFORM = {
    "s": "S",
    "st": "ST",
    "sst": "S+ST",
    "t": "T",
    "s+t": "S+T",
    "t+st": "T+ST",
    "s+t+st": "S+T+ST",
}
"""The names of the uniform strategies; those with a T exist where a backbone has T branches."""


def uniform_names(sites: Sequence[Site]) -> dict[str, str]:
    """Those of the uniform strategies' names whose unit one of the sites has, with the unit."""
    offered = {unit for site in sites for unit in site.units}
    return {name: unit for name, unit in UNIFORM.items() if unit in offered}


_PATTERNS: dict[str, Callable[[str, Sequence[Site]], Strategy]] = {"mict": mict, "smart": smart}
_NUMBERED: dict[str, Callable[[str, Sequence[Site], int], Strategy]] = {
    "mc": mixed,
    "rmc": reversed_mixed,
    "top-heavy:": top_heavy,
    "bottom-heavy:": bottom_heavy,
}
_NUMBERED_NAME = re.compile(rf"({'|'.join(_NUMBERED)})([0-9]{{1,5}})")


def _carried(data: str, backbone: str, sites: Sequence[Site]) -> Strategy:
    return carried(published(data).strategy, backbone, sites)


def _published(data: str, backbone: str, sites: Sequence[Site]) -> Strategy:
    home = published(data).strategy.backbone
    if backbone != home:
        raise StrategyError(
            f"published:{data} is for {home}, not for {backbone}; carried:{data} has it there by relative depth"
        )
    return _carried(data, backbone, sites)


_BY_DATA: dict[str, Callable[[str, str, Sequence[Site]], Strategy]] = {
    "rule:": rule,
    "carried:": _carried,
    "published:": _published,
}
FORMS = ", ".join(
    [*UNIFORM, *_PATTERNS, *(f"{kind}<n>" for kind in _NUMBERED), *(f"{kind}<data>" for kind in _BY_DATA)]
)


MOST_PROBABLE = "most-probable"
"""The name of what a posterior thinks likeliest, wherever there is one."""


def named(text: str, backbone: str, sites: Sequence[Site], posterior: Posterior | None = None) -> Strategy:
    """The strategy that `text` names, as one of `FORMS` or as the path of a strategy file.

    | form | strategy |
    |---|---|
    | `s`, `st`, `sst`, and where there are T branches `t`, `s+t`, `t+st`, `s+t+st` | that unit everywhere |
    | `mict`, `smart`, `mc<n>`, `rmc<n>`, `top-heavy:<n>`, `bottom-heavy:<n>` | `stzoo.strategies.literature` |
    | `rule:<data>` | the paper's transfer rule for the backbone: `stzoo.strategies.transfer.rule` |
    | `published:<data>` | a published strategy of DenseNet121, on that backbone |
    | `carried:<data>` | the same on any backbone, by relative depth: `stzoo.strategies.transfer.carried` |

    With a `posterior` that is learnt for the backbone, `most-probable` names what it thinks likeliest at every site.
    The strategy's sites are in network order, whatever order a file has.

    Raises `StrategyError` when there is no such strategy, or when it does not fit the backbone.
    """
    if not sites and not os.path.isfile(text):
        Strategy(backbone, {}).require_sites()
    kind, colon, data = text.partition(":")
    if text == MOST_PROBABLE:
        if posterior is None:
            raise StrategyError(f"{MOST_PROBABLE} is the strategy of a posterior; name a model that has learnt one")
        strategy = posterior.most_probable()
    elif text in UNIFORM:
        strategy = Strategy.uniform(backbone, sites, UNIFORM[text])
    elif text in _PATTERNS:
        strategy = _PATTERNS[text](backbone, sites)
    elif match := _NUMBERED_NAME.fullmatch(text):
        strategy = _NUMBERED[match[1]](backbone, sites, int(match[2]))
    elif kind + colon in _BY_DATA:
        strategy = _BY_DATA[kind + colon](data, backbone, sites)
    elif os.path.isfile(text):
        strategy = Strategy.read(text)
    else:
        raise _unknown(text, _like(text, backbone, uniform_names(sites)))
    strategy.check(backbone, sites)
    return Strategy(backbone, {site.name: strategy.units[site.name] for site in sites})


def check_form(text: str) -> None:
    """Raises `StrategyError` for what names a strategy of no backbone: none of `FORMS`, and no file's path."""
    kind, colon, _ = text.partition(":")
    simple = text in UNIFORM or text in _PATTERNS or _NUMBERED_NAME.fullmatch(text)
    if not simple and kind + colon not in _BY_DATA and not os.path.isfile(text):
        raise _unknown(text, _like(text, "", UNIFORM))


def _unknown(text: str, known: Sequence[str]) -> StrategyError:
    return StrategyError(
        f'no strategy is called "{text}" and no file has that path.{did_you_mean(text, known)} '
        f"Give a strategy file or one of {FORMS}."
    )


def _like(text: str, backbone: str, uniform: Iterable[str]) -> list[str]:
    """Names that could have been meant, with the number that `text` ends in."""
    number = text[len(text.rstrip(string.digits)) :][-5:]
    numbered = [f"{kind}{number}" for kind in _NUMBERED] if number else []
    by_data = [f"{kind}{data}" for kind in ("carried:", "published:") for data in PUBLISHED]
    return [*uniform, *_PATTERNS, *numbered, *(f"rule:{data}" for data in rules(backbone)), *by_data]
