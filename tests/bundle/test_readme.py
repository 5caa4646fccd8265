from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from markdown_it import MarkdownIt

from stzoo import bundle as bundles
from stzoo.bundle import Bundle
from stzoo.bundle.readme import render
from stzoo.card import Card

CARD = {
    "name": "toy-opt",
    "title": "Which way the toy goes",
    "dataset": "toy",
    "task": "way",
    "backbone": "toy",
    "strategy": "Opt",
    "weights": {"bundled": "toy-opt"},
}


def test_the_readme_tells_people_what_they_need(bundle: Bundle) -> None:
    text = render(bundle, None, 123_456)
    for part in (
        "`left`, `right`, `still`",
        "| toy | test | video level, 3 clips | top1 | 97.3 % | 95.8 to 98.4 % | 600 |",
        "toy: B1.L1=S+ST T1=S",
        "3 clips of 8 frames, 4 frames a second",
        "- parameters: 123,456",
        "- batch norm: re-estimated on 256 clips",
        'stzoo.load("path/to/toy-opt")',
    ):
        assert part in text


def test_how_it_was_made_is_said_and_also_what_nobody_noted(bundle: Bundle) -> None:
    recipe = """name = "toy"
[data]
root = "data/toy"
format = "list"
train = "train.txt"
selection_fraction = 0.25
"""
    text = render(replace(bundle, recipe=recipe), None, 1)
    assert "- data: `train.txt` in `data/toy`, 25 % of it held out for selection" in text
    assert "- commit: not recorded" in text
    official = recipe.replace('train = "train.txt"\n', "").replace("list", "ucf101")
    assert "- data: ucf101 in `data/toy`, 25 %" in render(replace(bundle, recipe=official), None, 1)
    absurd = ("0x" + "f" * 500, "0x" + "f" * 9000, "9" * 5000, "1e400", "nan", "-1", "2024-01-01", '"a"')
    fractions = [recipe.replace("0.25", fraction) for fraction in absurd]
    for nonsense in ("data = 3", "a = " + "[" * 10_000, "[data]\nroot = 5", "\x00", *fractions):
        assert "- data:" not in render(replace(bundle, recipe=nonsense), None, 1)
    noted = bundle.config.model_copy(update={"provenance": {"commit": "abc", "training time": "1 h 2 min"}})
    text = render(replace(bundle, config=noted), None, 1)
    assert "- training time: 1 h 2 min\n- commit: abc" in text


def test_no_text_of_a_bundle_ends_its_place_in_the_card(bundle: Bundle) -> None:
    result = bundle.metrics[0].model_copy(update={"dataset": "a | b", "split": "c|d"})
    classes = bundles.Classes.of(["`tick`", "other"])
    config = bundle.config.model_copy(update={"classes": classes})
    text = render(Bundle(config, metrics=(result,)), None, 1)
    assert "`` `tick` ``, `other`." in text
    assert "| a \\| b | c\\|d |" in text


def test_nothing_that_a_bundle_says_becomes_a_heading_markup_or_a_picture(bundle: Bundle) -> None:
    hostile = "# Buy <script>alert(1)</script> ![x](https://example.org/x.png) `a` | b"
    split = f"a\n\n{hostile}"
    recipe = f"""name = "toy"
[data]
root = {json.dumps(split)}
format = "list"
train = {json.dumps(hostile)}
selection_fraction = 0.25
"""
    result = bundle.metrics[0].model_copy(update={"dataset": hostile, "split": hostile, "protocol": hostile})
    config = bundle.config.model_copy(
        update={"classes": bundles.Classes.of([hostile, "other"]), "provenance": {hostile: hostile, "recipe": hostile}}
    )
    card = Card.model_validate(CARD | {"title": hostile, "dataset": hostile})
    pictures = ["a](https:x)<b>.png"]
    text = render(Bundle(config, metrics=(result,), recipe=recipe), card, 1, pictures).partition("\n---\n")[2]
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    assert [token.type for token in tokens].count("heading_open") == 9
    assert not [token for token in tokens if token.type == "html_block"]
    inline = [child for token in tokens for child in token.children or []]
    assert "html_inline" not in {child.type for child in inline}
    assert [child.attrs["src"] for child in inline if child.type == "image"] == ["a%5D%28https%3Ax%29%3Cb%3E.png"]
    assert "link_open" not in {child.type for child in inline}


def test_a_card_lends_title_and_prose(bundle: Bundle) -> None:
    card = Card.model_validate(CARD | {"body": "It tells *left* from right.", "limits": "Not for <b>you</b>."})
    text = render(bundle, card, 1)
    assert "# Which way the toy goes" in text
    assert "It tells *left* from right." in text
    assert "Not for <b>you</b>." in text
    assert 'stzoo.load("toy-opt")' in text


def test_pictures_of_the_folder_are_shown(tmp_path: Path, bundle: Bundle, weights: dict[str, np.ndarray]) -> None:
    extra = {"marginals.png": b"\x89PNG", "model.onnx": b"onnx"}
    text = (bundles.save(tmp_path / "b", bundle, weights, extra_files=extra) / "README.md").read_text("utf-8")
    assert "(marginals.png)" in text
    assert "model.onnx" not in text


def test_nothing_measured_is_said(bundle: Bundle) -> None:
    text = render(Bundle(bundle.config), None, 1)
    assert "Nothing has been measured" in text
    assert "model-index" not in text


def test_effects_are_shown_from_the_branch_that_costs_most_to_close(bundle: Bundle) -> None:
    card = render(bundle, None, 1000)
    assert "on 300 videos (val.txt), on which it is right in 90.0 % with every branch open" in card
    assert "rank correlation of 0.97" in card
    rows = [line for line in card.splitlines() if line.startswith("| B1.L1 |")]
    assert rows == [
        "| B1.L1 | ST | +0.125 ± 0.010 | +6.2 % | 0.04 M |",
        "| B1.L1 | S | -0.002 ± 0.010 | -0.1 % | 0.04 M |",
    ]
    assert "Where time pays" not in render(replace(bundle, effects=None), None, 1000)
