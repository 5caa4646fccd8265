from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stzoo import cli
from stzoo.strategies.published import published


@pytest.fixture(autouse=True)
def sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STZOO_DEBUG", raising=False)


def run(*args: object) -> Result:
    return CliRunner().invoke(cli.main, ["measure", *map(str, args)], prog_name="stzoo")


def test_json_is_the_counts_and_nothing_else() -> None:
    size = ("--classes", 174, "--frames", 16, "--size", 256, "--temporal-stride", "none")
    result = run("densenet121", "--strategy", "sst", *size, "--format", "json")
    assert result.exit_code == 0
    assert result.stderr == ""
    counts = json.loads(result.stdout)
    assert list(counts) == ["parameters", "multiply_adds", "activations"]
    assert (counts["parameters"], counts["multiply_adds"]) == (21_404_526, 161_380_218_880)


def test_latency_comes_with_how_it_was_measured() -> None:
    size = ("--classes", 3, "--frames", 1, "--size", 32, "--strategy", "t", "--branches", "S,T,ST", "--latency")
    latency = json.loads(run("densenet_tiny", *size, "--format", "json").stdout)["latency"]
    assert set(latency) == {"milliseconds", "runs", "threads", "torch"}
    *_, line = run("densenet_tiny", *size).stdout.splitlines()
    assert re.fullmatch(r"latency +[\d,.]+ ms, median of \d+ runs with .*, \d+ threads?, torch \S+", line)
    assert line.endswith(latency["torch"])


def test_text_says_what_was_measured() -> None:
    result = run("densenet_tiny", "--strategy", "st", "--classes", 10, "--frames", 8, "--size", 64)
    heading, parameters, multiply_adds, activations = result.stdout.splitlines()
    assert heading == "densenet_tiny, strategy st, 10 classes, clip 8x64x64"
    assert parameters.split()[0] == "parameters"
    assert 50_000 < int(parameters.split()[1].replace(",", "")) < 400_000
    assert multiply_adds.split()[0] == "multiply-adds"
    assert activations.split()[0] == "activations"


def test_s_behind_a_stem_of_single_frames_has_the_parameters_of_torchvisions_mobilenet() -> None:
    size = ("--strategy", "s", "--classes", 1000, "--format", "json", "--size", 32)
    assert json.loads(run("mobilenet_v2", *size, "--stem-frames", 1).stdout)["parameters"] == 3_504_872
    refused = run("mobilenet_v2", *size, "--stem-frames", 2)
    assert (refused.exit_code, refused.stderr) == (
        2,
        "Error: mobilenet_v2 has no stem_frames 2; give 1, or leave it out\n",
    )


def test_a_published_strategy_and_its_file_are_measured_alike(tmp_path: Path) -> None:
    path = tmp_path / "strategy.txt"
    path.write_text(published("k400").strategy.text())
    size = ("--frames", 5, "--size", 32, "--format", "json", "--temporal-stride", "low")
    by_name, by_file = (run("densenet121", "--strategy", word, *size) for word in ("published:k400", path))
    assert by_name.exit_code == by_file.exit_code == 0
    assert by_name.stdout == by_file.stdout
    assert json.loads(by_name.stdout)["parameters"] == 18_309_584


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        (["densenet12"], 2, 'no backbone is called "densenet12". Did you mean "densenet121"? Known are '),
        (["densenet_tiny", "--branches", "S"], 2, "densenet_tiny has no branches S; choose S,ST or S,T,ST"),
        (["densenet_tiny", "--strategy", "t"], 1, "no site of densenet_tiny offers the unit 'T'; choose one of S, ST"),
        (["mobilenet_v2", "--branches", "S,T,ST"], 2, "mobilenet_v2 has no option branches; it has temporal_stride"),
        (["densenet_tiny", "--temporal-stride", "x8"], 2, 'densenet_tiny has no temporal stride "x8"; choose none'),
        (["densenet121", "--strategy", "published:k40"], 1, 'Did you mean "k400"?'),
        (["densenet121", "--strategy", "sstt"], 1, 'no strategy is called "sstt" and no file has that path'),
        (["densenet121", "--strategy", "x" * 300], 1, "and no file has that path"),
        (["densenet_tiny", "--strategy", "published:k400"], 1, "for densenet121, not for densenet_tiny"),
        (["densenet_tiny", "--size", "16"], 1, "too small for this net; use at least 32x32"),
        (["densenet121", "--temporal-stride", "x8", "--frames", "4", "--size", "64"], 1, "use at least 5"),
        (["densenet_tiny", "--frames", "0"], 2, "--frames"),
        (["densenet_tiny", "--format", "xml"], 2, "--format"),
        ([], 2, "BACKBONE"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(args: list[str], code: int, sentence: str) -> None:
    result = run(*args)
    assert result.exit_code == code
    assert sentence in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
