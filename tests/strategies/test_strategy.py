from __future__ import annotations

import copy
import json
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.errors import StrategyError
from stzoo.strategies.strategy import NONE, Site, Strategy, open_branches

SITES = (Site("B1.L1"), Site("B1.L2"), Site("T1", closable=False), Site("B2.L1"))
FITTING = {"B1.L1": "S", "B1.L2": "S+ST", "T1": "ST", "B2.L1": "none"}


def numbered(prefix: str, first: int, count: int, padded: bool) -> list[str]:
    return [f"{prefix}{number:0{3 * padded}d}" for number in range(first, first + count)]


runs = st.builds(
    numbered,
    st.sampled_from(["B1.L", "B2.L", "T", "x.", "q9_", "٣", ""]),
    st.one_of(st.integers(0, 12), st.integers(98, 100), st.integers(99_997, 100_002)),
    st.integers(1, 4),
    st.booleans(),
)
names = st.one_of(runs.map(lambda run: run[0]), st.from_regex(r"[\w-]+(\.[\w-]+)*\.?", fullmatch=True))
units = st.sampled_from(["S", "ST", "S+ST", NONE, "tail"])
units_of_sites = st.lists(st.tuples(st.one_of(runs, names.map(lambda name: [name])), units), max_size=6).map(
    lambda groups: {name: unit for group, unit in groups for name in group}
)
strategies = st.builds(Strategy, st.from_regex(r"[\w-]+", fullmatch=True), units_of_sites)


@given(strategies)
def test_text_and_json_round_trip(strategy: Strategy) -> None:
    for other in (
        Strategy.from_text(strategy.text()),
        Strategy.from_text(f"\n {strategy.text()}  \n"),
        Strategy.from_json(json.loads(json.dumps(strategy.to_json()))),
        copy.deepcopy(strategy),
        pickle.loads(pickle.dumps(strategy)),
    ):
        assert dict(other.units) == dict(strategy.units)
        assert list(other.units) == list(strategy.units)
        assert other.backbone == strategy.backbone
        assert other == strategy
        assert hash(other) == hash(strategy)
        assert other.digest == strategy.digest


@given(strategies, st.data())
def test_one_other_unit_is_another_strategy(strategy: Strategy, data: st.DataObject) -> None:
    assert strategy != Strategy(strategy.backbone + "x", strategy.units)
    if strategy.units:
        site = data.draw(st.sampled_from(list(strategy.units)))
        unit = data.draw(units.filter(lambda unit: unit != strategy.units[site]))
        other = Strategy(strategy.backbone, {**strategy.units, site: unit})
        assert other != strategy
        assert other.digest != strategy.digest


words = st.sampled_from(
    ["net:", " ", "B1.L", "1", "..", "3", "9", ".", "=", "=S", "=S+ST", "+", "S", "\n", ":", "none"]
)


@given(st.lists(words).map("".join))
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
    try:
        strategy = Strategy.from_text(text)
    except StrategyError:
        pass
    else:
        assert Strategy.from_text(strategy.text()) == strategy


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["backbone", "units", "B1.L1"]), inner),
    )
)
def test_any_json_is_read_or_refused_with_a_sentence(value: object) -> None:
    try:
        strategy = Strategy.from_json(value)
    except StrategyError:
        pass
    else:
        assert strategy.to_json() == value


def test_text_joins_neighbouring_numbers_that_share_a_unit() -> None:
    units = {f"B1.L{number}": "S+ST" for number in range(1, 6)} | {"B1.L6": "ST", "T1": "ST", "B2.L7": "ST"}
    strategy = Strategy("densenet121", units)
    assert strategy.text() == "densenet121: B1.L1..5=S+ST B1.L6=ST T1=ST B2.L7=ST"
    assert str(strategy) == strategy.text()


def test_a_range_is_every_number_from_first_to_last() -> None:
    strategy = Strategy.from_text("net: B1.L8..11=S T1=none")
    assert dict(strategy.units) == {"B1.L8": "S", "B1.L9": "S", "B1.L10": "S", "B1.L11": "S", "T1": "none"}


def test_the_digest_is_that_of_the_text() -> None:
    digest = "821e0e952dacc609777f6a7764a57bc6f5c1a531af2db2a281e34279ff467979"  # printf 'net: A=S' | sha256sum
    assert Strategy("net", {"A": "S"}).digest == digest


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "backbone"),
        ("B1.L1=S", "backbone"),
        (": B1.L1=S", "''"),
        ("my net: B1.L1=S", "'my net'"),
        ("net: B1.L1", "'B1.L1'"),
        ("net: =S", "''"),
        ("net: B1.L1=", "''"),
        ("net: B1.L1=S=ST", "'S=ST'"),
        ("net: B1.L1=S+", "'S+'"),
        ("net: B1.L1=S,ST", "'S,ST'"),
        ("net: B/1=S", "'B/1'"),
        ("net: B1.L1=S B1.L1=ST", "B1.L1 twice"),
        ("net: B1.L1..3=S B1.L2=ST", "B1.L2 twice"),
        ("net: B1.L3..1=S", "'B1.L3..1=S'"),
        ("net: B1.L3..3=S", "'B1.L3..3=S'"),
        ("net: B1.L1..=S", "'B1.L1..=S'"),
        ("net: B1.L1..L3=S", "'B1.L1..L3=S'"),
        ("net: B1.L1..3..5=S", "'B1.L1..3..5=S'"),
        ("net: B1.L..3=S", "'B1.L..3=S'"),
        ("net: ..3=S", "'..3=S'"),
        ("net: B1.L1..99999999=S", "rising numbers"),
        ("net: B1.L1..²=S", "rising numbers"),
        (f"net: L{'9' * 5000}..3=S", "rising numbers"),
        (f"net: L1..{'9' * 5000}=S", "rising numbers"),
    ],
)
def test_malformed_text_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(StrategyError) as caught:
        Strategy.from_text(text)
    assert named in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "net: A=S",
        {},
        {"backbone": "net"},
        {"backbone": "net", "units": ["A"]},
        {"backbone": "net", "units": {"A": "S"}, "extra": 1},
        {"backbone": "net", "units": {"A": 1}},
        {"backbone": "net", "units": {1: "S"}},
        {"backbone": None, "units": {"A": "S"}},
        {"backbone": "net", "units": {"A": "S or ST"}},
        {"backbone": "net", "units": {"A..3": "S"}},
    ],
)
def test_malformed_json_is_refused(value: object) -> None:
    with pytest.raises(StrategyError):
        Strategy.from_json(value)


def test_a_strategy_that_fits_is_accepted() -> None:
    Strategy("net", FITTING).check("net", SITES)


@given(st.data())
def test_a_strategy_that_does_not_fit_is_refused_naming_the_site(data: st.DataObject) -> None:
    wrong = dict(FITTING)
    kind = data.draw(st.sampled_from(["missing", "unknown", "unit"]))
    if kind == "missing":
        site = data.draw(st.sampled_from(list(FITTING)))
        del wrong[site]
        expected = f"it lacks the site {site}"
    elif kind == "unknown":
        site = data.draw(names.filter(lambda name: name not in FITTING and name.strip(".")))
        wrong[site] = "S"
        expected = f"it names the unknown site {site}"
    else:
        site, unit = data.draw(
            st.sampled_from([("T1", "none"), ("B1.L1", "ST+S"), ("B1.L2", "S+S"), ("B2.L1", "tail"), ("T1", "s")])
        )
        wrong[site] = unit
        expected = f"site {site} cannot have the unit {unit}, only S, ST, S+ST"
    with pytest.raises(StrategyError) as caught:
        Strategy("net", wrong).check("net", SITES)
    assert expected in str(caught.value)
    assert str(caught.value).startswith("the strategy does not fit net: ")


def test_all_problems_are_named_at_once_and_a_near_miss_is_offered() -> None:
    wrong = {"B1.L1": "S", "B1.L3": "S", "T1": "none", "B2.L1": "S"}
    with pytest.raises(StrategyError) as caught:
        Strategy("net", wrong).check("net", SITES)
    message = str(caught.value)
    assert "lacks the site B1.L2" in message
    assert message.endswith('unknown site B1.L3. Did you mean "B1.L2"?')
    assert "site T1 cannot have the unit none, only S, ST, S+ST" in message


def test_long_lists_of_sites_are_shortened() -> None:
    sites = [Site(f"B1.L{number}") for number in range(1, 21)]
    with pytest.raises(StrategyError, match=r"B1\.L6 and 14 more$"):
        Strategy("net", {}).check("net", sites)


def test_another_backbone_is_refused() -> None:
    with pytest.raises(StrategyError, match="for net, not for resnet50"):
        Strategy("net", FITTING).check("resnet50", SITES)


def test_units_of_a_site() -> None:
    assert Site("A").units == ("S", "ST", "S+ST")
    assert Site("A", ("tail",)).units == ("tail",)
    assert Site("A", ("a", "b", "c")).units == ("a", "b", "c", "a+b", "a+c", "b+c", "a+b+c")
    assert open_branches("S+ST") == ("S", "ST")
    assert open_branches("S") == ("S",)
    assert open_branches(NONE) == ()


def test_units_in_order_skip_sites_without_a_choice() -> None:
    sites = (Site("A"), Site("B", branches=("tail",)), Site("C", branches=("S", "T")), Site("D"))
    strategy = Strategy.in_order("net", sites, ["S", "ST", "S+ST"])
    assert dict(strategy.units) == {"A": "S", "B": "tail", "C": "S+T", "D": "S+ST"}
    with pytest.raises(StrategyError, match="net has 3 sites with a choice and 2 units are given"):
        Strategy.in_order("net", sites, ["S", "S"])
    with pytest.raises(StrategyError, match="no site of net offers the unit 'none'"):
        Strategy.in_order("net", sites, ["S", NONE, "S"])


def test_a_uniform_strategy_has_one_unit_wherever_a_site_offers_it() -> None:
    sites = (*SITES, Site("B2.L1.tail", ("tail",)))
    for unit in ("S", "ST", "S+ST"):
        strategy = Strategy.uniform("net", sites, unit)
        strategy.check("net", sites)
        assert list(strategy.units) == [site.name for site in sites]
        assert list(strategy.units.values()) == [unit] * 4 + ["tail"]


@pytest.mark.parametrize("unit", ["st", "ST+S", NONE, ""])
def test_a_uniform_strategy_of_a_unit_that_no_site_offers_is_refused(unit: str) -> None:
    with pytest.raises(StrategyError, match=r"no site of net offers the unit .*choose one of S, ST, S\+ST"):
        Strategy.uniform("net", SITES, unit)


def test_counts_say_the_most_frequent_unit_first() -> None:
    assert list(Strategy("net", FITTING | {"B3.L1": "ST"}).counts().items()) == [
        ("ST", 2),
        ("S", 1),
        ("S+ST", 1),
        ("none", 1),
    ]


def test_units_cannot_be_changed() -> None:
    units = dict(FITTING)
    strategy = Strategy("net", units)
    units["T1"] = "S"
    assert strategy.units["T1"] == "ST"
    with pytest.raises(TypeError):
        strategy.units["T1"] = "S"  # type: ignore[index]


@pytest.mark.parametrize("as_json", [True, False])
def test_files_of_both_forms_are_read(tmp_path: Path, as_json: bool) -> None:
    strategy = Strategy("net", FITTING)
    path = tmp_path / "strategy"
    path.write_text(json.dumps(strategy.to_json(), indent=1) if as_json else strategy.text() + "\n")
    assert Strategy.read(path) == strategy


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    broken, deep, binary = tmp_path / "broken.json", tmp_path / "deep.json", tmp_path / "binary"
    rubbish, shape = tmp_path / "rubbish", tmp_path / "shape.json"
    rubbish.write_text("no strategy at all")
    shape.write_text('{"backbone": "net"}')
    broken.write_text('{"backbone": ')
    deep.write_text('{"backbone": ' * 50_000)
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (broken, deep, binary, rubbish, shape, tmp_path, tmp_path / "missing"):
        with pytest.raises(StrategyError, match=re.escape(str(path))):
            Strategy.read(path)


def test_st_stands_for_t_at_a_site_without_t() -> None:
    sites = [Site("L1", ("S", "T", "ST")), Site("T1")]
    assert dict(Strategy.uniform("net", sites, "S+T").units) == {"L1": "S+T", "T1": "S+ST"}
    assert dict(Strategy.uniform("net", sites, "T").units) == {"L1": "T", "T1": "ST"}
    with pytest.raises(StrategyError, match="no site of net offers the unit 'T'; choose one of S, ST, S\\+ST"):
        Strategy.uniform("net", [Site("T1")], "T")
