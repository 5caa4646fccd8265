from __future__ import annotations

import copy
import itertools
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stzoo.errors import StrategyError
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import NONE, Strategy

UNITS = ("S", "ST", "S+ST")
TYPICAL = Posterior(
    "net", {"B1.L1": {"S": 0.1, "ST": 0.5}, "T1": {"S": 0.9, "ST": 0.02}, "B2.L1": {"S": 0.5, "ST": 0.5}}
)

drops = st.floats(0.0, 1.0)
possible = st.floats(0.0, 0.999)
posteriors = st.lists(st.tuples(possible, possible), min_size=3, max_size=3).map(
    lambda pairs: Posterior("net", {f"L{i}": {"S": s, "ST": t} for i, (s, t) in enumerate(pairs)})
)


def every_strategy(posterior: Posterior, units: tuple[str, ...] = UNITS) -> list[Strategy]:
    return [
        Strategy("net", dict(zip(posterior.drop, chosen, strict=True)))
        for chosen in itertools.product(units, repeat=len(posterior.drop))
    ]


def direct_probability(posterior: Posterior, strategy: Strategy, closable: tuple[str, ...] = ()) -> float:
    """Two independent coins a site; given not-none unless the site may be closed."""
    probability = 1.0
    for site, unit in strategy.units.items():
        drop_s, drop_t = posterior.drop[site]["S"], posterior.drop[site]["ST"]
        probability *= {
            "S": (1 - drop_s) * drop_t,
            "ST": drop_s * (1 - drop_t),
            "S+ST": (1 - drop_s) * (1 - drop_t),
            NONE: drop_s * drop_t if site in closable else 0.0,
        }[unit]
        probability /= 1.0 if site in closable else 1.0 - drop_s * drop_t
    return probability


@given(drops, drops)
def test_marginals_are_products_of_keeping_and_dropping(drop_s: float, drop_t: float) -> None:
    posterior = Posterior("net", {"L1": {"S": drop_s, "ST": drop_t}})
    for convention, keep_s, keep_t in (
        ("linear", 1 - drop_s, 1 - drop_t),
        ("paper", 1 - drop_s**0.5, 1 - drop_t**0.5),
    ):
        marginals = posterior.marginals(convention)["L1"]  # type: ignore[arg-type]
        expected = {"S": keep_s * (1 - keep_t), "ST": (1 - keep_s) * keep_t, "S+ST": keep_s * keep_t}
        assert list(marginals) == list(UNITS)
        assert marginals == pytest.approx(expected, abs=1e-12)
        assert sum(marginals.values()) == pytest.approx(1 - (1 - keep_s) * (1 - keep_t), abs=1e-12)


def test_marginals_are_those_that_sampling_follows_unless_asked_otherwise() -> None:
    assert TYPICAL.marginals() == TYPICAL.marginals("linear")
    assert TYPICAL.marginals()["B1.L1"]["S+ST"] == pytest.approx(0.45)
    assert all(sum(units.values()) == pytest.approx(1) for units in TYPICAL.marginals(none=True).values())


@settings(max_examples=30)
@given(posteriors, st.sampled_from([(), ("L1",), ("L0", "L2")]))
def test_probabilities_are_those_of_independent_coins_and_sum_to_one(
    posterior: Posterior, closable: tuple[str, ...]
) -> None:
    total = 0.0
    for strategy in every_strategy(posterior, (*UNITS, NONE)):
        probability = math.exp(posterior.log_probability(strategy, closable))
        assert probability == pytest.approx(direct_probability(posterior, strategy, closable), rel=1e-9, abs=1e-15)
        total += probability
    assert total == pytest.approx(1.0, abs=1e-9)


@settings(max_examples=50)
@given(posteriors)
def test_the_most_probable_strategy_is_the_best_of_all(posterior: Posterior) -> None:
    best = max(posterior.log_probability(strategy) for strategy in every_strategy(posterior))
    likeliest = posterior.most_probable()
    assert NONE not in likeliest.units.values()
    assert posterior.log_probability(likeliest) == pytest.approx(best, abs=1e-9)


def test_of_equally_probable_units_that_with_most_branches_wins() -> None:
    posterior = Posterior("net", {"L1": {"S": 0.5, "ST": 0.5}, "L2": {"S": 0.5, "ST": 0.2}})
    assert dict(posterior.most_probable().units) == {"L1": "S+ST", "L2": "S+ST"}


@settings(max_examples=50)
@given(posteriors, st.integers(0, 2**63), st.integers(0, 10**6))
def test_a_sample_depends_on_seed_and_index_alone(posterior: Posterior, seed: int, index: int) -> None:
    expected = posterior.sample(seed, index)
    posterior.sample(seed, index + 1)
    posterior.sample(seed + 1, index)
    assert posterior.sample(seed, index) == expected
    assert Posterior.from_json(posterior.to_json()).sample(seed, index) == expected


@pytest.mark.parametrize("seed", [0, 2**63 - 1, 2**63 + 1])
def test_every_seed_and_every_index_is_a_stream_of_its_own(seed: int) -> None:
    posterior = Posterior("net", {f"L{i}": {"S": 0.5, "ST": 0.5} for i in range(64)})
    drawn = [posterior.sample(seed + shift, index) for shift in range(3) for index in range(5)]
    assert len(set(drawn)) == 15


@pytest.mark.parametrize("closable", [(), ("B1.L1", "B2.L1")])
def test_frequencies_follow_the_distribution(closable: tuple[str, ...]) -> None:
    draws = 3000
    samples = [TYPICAL.sample(7, index, closable) for index in range(draws)]
    for site, distribution in TYPICAL.distribution(closable).items():
        assert (NONE in distribution) == (site in closable)
        drawn = [sample.units[site] for sample in samples]
        assert set(drawn) <= set(distribution)
        chi_square = sum(
            (drawn.count(unit) - draws * value) ** 2 / (draws * value) for unit, value in distribution.items()
        )
        assert chi_square < 16.3  # one in a thousand with three degrees of freedom
    # Sites are independent of each other.
    first, last = (np.array([sample.units[site] == "S" for sample in samples]) for site in ("B1.L1", "B2.L1"))
    assert abs(np.corrcoef(first, last)[0, 1]) < 4 / draws**0.5


@settings(max_examples=30)
@given(st.lists(st.tuples(drops, drops).filter(lambda pair: math.prod(pair) < 1.0), min_size=1, max_size=4))
def test_none_is_never_drawn_unless_asked_for(pairs: list[tuple[float, float]]) -> None:
    posterior = Posterior("net", {f"L{i}": {"S": s, "ST": t} for i, (s, t) in enumerate(pairs)})
    for index in range(20):
        assert NONE not in posterior.sample(0, index).units.values()
        closed_at = {site for site, unit in posterior.sample(0, index, ("L0",)).units.items() if unit == NONE}
        assert closed_at <= {"L0"}


def test_certain_gates_are_followed() -> None:
    posterior = Posterior(
        "net", {"L1": {"S": 0.0, "ST": 1.0}, "L2": {"S": 1.0, "ST": 0.0}, "L3": {"S": 0.0, "ST": 0.0}}
    )
    only = Strategy.from_text("net: L1=S L2=ST L3=S+ST")
    assert {posterior.sample(0, index) for index in range(50)} == {only}
    assert posterior.log_probability(only) == 0.0
    assert posterior.log_probability(Strategy.from_text("net: L1=ST L2=ST L3=S+ST")) == -math.inf
    assert posterior.entropy() == {"L1": 0.0, "L2": 0.0, "L3": 0.0}


def test_a_site_that_is_always_closed_can_only_be_drawn_closed() -> None:
    posterior = Posterior("net", {"L1": {"S": 1.0, "ST": 1.0}})
    with pytest.raises(StrategyError, match="every branch of site L1 has drop probability 1"):
        posterior.sample(0, 0)
    assert posterior.sample(0, 0, ("L1",)).units["L1"] == NONE


def test_the_log_probability_of_a_foreign_strategy_is_refused() -> None:
    with pytest.raises(StrategyError, match=r"lacks the sites T1, B2\.L1"):
        TYPICAL.log_probability(Strategy.from_text("net: B1.L1=S"))
    with pytest.raises(StrategyError, match="for other, not for net"):
        TYPICAL.log_probability(Strategy.from_text("other: B1.L1=S T1=S B2.L1=S"))


def test_entropy_is_that_of_what_is_sampled_from() -> None:
    assert TYPICAL.entropy()["B2.L1"] == pytest.approx(math.log(3))
    assert TYPICAL.entropy(("B2.L1",))["B2.L1"] == pytest.approx(math.log(4))
    total = sum(TYPICAL.entropy().values())
    expected = -sum(
        math.exp(logarithm) * logarithm for logarithm in map(TYPICAL.log_probability, every_strategy_of_typical())
    )
    assert total == pytest.approx(expected)


def every_strategy_of_typical() -> list[Strategy]:
    return [
        Strategy("net", dict(zip(TYPICAL.drop, units, strict=True))) for units in itertools.product(UNITS, repeat=3)
    ]


def test_one_branch_sites_have_one_unit() -> None:
    posterior = Posterior("net", {"L1.tail": {"tail": 0.3}})
    assert posterior.marginals() == {"L1.tail": {"tail": 0.7}}
    assert posterior.distribution() == {"L1.tail": {"tail": 0.7, NONE: pytest.approx(0.3)}}
    assert {posterior.sample(0, index).units["L1.tail"] for index in range(50)} == {"tail", NONE}


@given(posteriors)
def test_json_round_trips(posterior: Posterior) -> None:
    for other in (
        Posterior.from_json(json.loads(json.dumps(posterior.to_json()))),
        copy.deepcopy(posterior),
        pickle.loads(pickle.dumps(posterior)),
    ):
        assert other == posterior
        assert list(other.drop) == list(posterior.drop)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"backbone": "net", "drop": []},
        {"backbone": "net", "drop": {"L1": 0.5}},
        {"backbone": "net", "drop": {"L1": {"S": "half"}}},
        {"backbone": "net", "drop": {"L1": {"S": None}}},
        {"backbone": "net", "drop": {"L1": {"S": 10**400}}},
        {"drop": {"L1": {"S": 0.5}}},
    ],
)
def test_malformed_json_is_refused(value: object) -> None:
    with pytest.raises(StrategyError, match="a posterior in JSON"):
        Posterior.from_json(value)


@pytest.mark.parametrize("drop", [-0.1, 1.1, math.nan, math.inf])
def test_what_is_no_probability_is_refused_by_name(drop: float) -> None:
    with pytest.raises(StrategyError, match="drop probability of L1 ST is"):
        Posterior("net", {"L1": {"S": 0.5, "ST": drop}})


def test_drops_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TYPICAL.drop["T1"]["S"] = 0.5  # type: ignore[index]
