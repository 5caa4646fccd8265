from __future__ import annotations

from pathlib import Path

import pytest

from stzoo import card as cards
from stzoo.card import Bundled, OnHub
from stzoo.errors import BundleError

GOOD = """---
name: toy-opt
title: Which way the toy goes
dataset: toy
task: way
backbone: toy
strategy: Opt
weights: {bundled: toy-opt}
---

It tells left from right.

---
Even with a rule in the prose.
"""


def write(folder: Path, text: str, name: str = "toy-opt") -> Path:
    path = folder / f"{name}.md"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_card_is_read(tmp_path: Path) -> None:
    card = cards.read(write(tmp_path, GOOD))
    assert card.title == "Which way the toy goes"
    assert card.weights == Bundled(bundled="toy-opt")
    assert card.body.startswith("It tells left")
    assert card.body.endswith("rule in the prose.")


@pytest.mark.parametrize(
    ("weights", "where"),
    [
        ("{bundled: toy-opt}", "in the package"),
        ("{hub: org/toy, revision: v1}", "org/toy@v1"),
        ("{hub: org/toy}", "org/toy@main"),
        ("none", "not trained yet"),
    ],
)
def test_where_the_weights_are(tmp_path: Path, weights: str, where: str) -> None:
    assert cards.read(write(tmp_path, GOOD.replace("{bundled: toy-opt}", weights))).where == where


def test_cards_round_trip(tmp_path: Path) -> None:
    card = cards.read(write(tmp_path, GOOD))
    for weights in (card.weights, OnHub(hub="org/toy", revision="v1"), "none"):
        changed = card.model_copy(update={"weights": weights})
        assert cards.read(write(tmp_path, cards.render(changed))) == changed


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("---\nname", "name", "no front matter"),
        ("name: toy-opt", "name: [", "not YAML"),
        ("name: toy-opt", "nome: toy-opt", "name is missing; nome is unknown"),
        ("name: toy-opt", "name: other", "called after its name"),
        ("task: way", "task: 3", "task is 3"),
        ("{bundled: toy-opt}", "{bundled: ../../etc}", "weights.*etc"),
        ("{bundled: toy-opt}", "{hub: nobody}", "weights.*nobody"),
        ("{bundled: toy-opt}", "null", "weights"),
        ("weights:", "net: {classes: 1}\nweights:", "net.classes is 1"),
        ("weights:", "license: My own\nweights:", "license is 'My own'"),
        ("task: way", 'task: "\\e[31mway"', "task .* U\\+001B"),
        ("task: way", "task: &a [x, x]\nmore: [*a, *a]", "write values out"),
        ("task: way", "task: " + "[" * 20_000, "too deeply|not YAML"),
        ("task: way", "task: " + "9" * 5000, "task is '9999"),
        ("task: way", "task: 0x" + "f" * 5000, "task .* at most 200"),
        ("weights:", "net: 1" + ":59" * 2000 + "\nweights:", "net is '1:59"),
        ("weights:", "net: 2024-13-45\nweights:", "net is '2024-13-45'"),
        ("weights:", "net: !!timestamp x\nweights:", "net is 'x'"),
        ("weights:", "net: !!bool x\nweights:", "none of its tag"),
        ("weights:", "net: !!set {a}\nweights:", "not YAML"),
        ("weights:", "!!binary aGk= : 1\nweights:", "not YAML"),
        ("weights:", "2024-01-01: 1\nweights:", "2024-01-01 is unknown"),
        ("weights:", "net: [" + "1, " * 50_000 + "1]\nweights:", "characters; at most 65536 are read"),
    ],
)
def test_a_broken_card_is_named(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    with pytest.raises(BundleError, match=sentence) as caught:
        cards.read(write(tmp_path, GOOD.replace(old, new, 1)))
    assert "toy-opt.md" in str(caught.value)


def test_what_looks_like_a_date_or_a_time_is_a_text(tmp_path: Path) -> None:
    for text in ("2024-01-01", "07:32:00", "1:30.5"):
        assert cards.read(write(tmp_path, GOOD.replace("task: way", f"task: {text}"))).task == text


def test_a_byte_order_mark_is_no_part_of_a_card(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    plain = cards.read(path)
    path.write_text(GOOD, encoding="utf-8-sig")
    assert cards.read(path) == plain


def test_a_card_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"nowhere\.md cannot be read"):
        cards.read(tmp_path / "nowhere.md")


def test_names_come_sorted_and_only_from_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "packaged", lambda folder: tmp_path)
    write(tmp_path, GOOD)
    write(tmp_path, GOOD.replace("name: toy-opt", "name: alpha"), "alpha")
    (tmp_path / "__init__.py").write_text("")
    assert cards.names() == ["alpha", "toy-opt"]
    assert cards.named("alpha").name == "alpha"


def test_the_cards_that_ship_are_readable() -> None:
    assert "camera-motion-opt" in cards.names()
    for name in cards.names():
        assert cards.named(name).body


def test_a_card_describes_a_net_that_nobody_has_trained(tmp_path: Path) -> None:
    net = """net:
  classes: 400
  strategy: published:k400
  options: {temporal_stride: x8}
  input: {frames: 16, fps: 8, clips: 10, resize: 256, crop: 256, mean: [0.5, 0.5, 0.5]}
weights: none"""
    card = cards.read(write(tmp_path, GOOD.replace("weights: {bundled: toy-opt}", net)))
    assert card.net is not None
    assert card.net.input.mean == (0.5, 0.5, 0.5)
    assert card.net.options == {"temporal_stride": "x8"}
    assert cards.read(write(tmp_path, cards.render(card))) == card


ALIKE = """---
name: toy-s
like: toy-opt
strategy: S
weights: none
net: {strategy: s}
---
"""


def test_a_card_that_is_like_another_says_only_what_differs(tmp_path: Path) -> None:
    net = """net:
  classes: 3
  strategy: published:toy
  input: {frames: 4, fps: 5, resize: 32, crop: 32}
  parameters: 1000
paper: [{source: Table 2, protocol: one clip, top1: 50.2}]
weights:"""
    write(tmp_path, GOOD.replace("weights:", net))
    card = cards.read(write(tmp_path, ALIKE, "toy-s"))
    lender = cards.read(tmp_path / "toy-opt.md")
    assert (card.title, card.body, card.backbone) == (lender.title, lender.body, lender.backbone)
    assert (card.strategy, card.weights, card.paper) == ("S", "none", ())
    assert card.net is not None
    assert lender.net is not None
    assert (card.net.classes, card.net.strategy, card.net.parameters) == (3, "s", None)
    assert card.net.input == lender.net.input
    assert cards.read(write(tmp_path, cards.render(card), "toy-s")) == card


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("like: toy-opt", "like: ../toy-opt", "is like '../toy-opt'"),
        ("like: toy-opt", "like: [1]", "give the name of a card beside it"),
        ("like: toy-opt", "like: toy-none", r"toy-none\.md cannot be read"),
        ("like: toy-opt", "like: toy-s", 'itself is like "toy-s"'),
        ("weights: none", "wights: none", "weights is missing;.*wights is unknown"),
    ],
)
def test_a_card_that_is_like_nothing_is_named(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    write(tmp_path, GOOD)
    with pytest.raises(BundleError, match=sentence):
        cards.read(write(tmp_path, ALIKE.replace(old, new), "toy-s"))
