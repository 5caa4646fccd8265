from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from stzoo import card as cards
from stzoo import hub
from stzoo.card import Bundled, Card
from stzoo.cli.zoo import list_models_command, show
from stzoo.errors import ModelNotFoundError, StrategyError, UsageError


@pytest.fixture
def zoo(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    common = {"title": "Which way", "dataset": "toy", "task": "way", "backbone": "densenet_tiny", "strategy": "Opt"}
    homes: dict[str, Any] = {
        "toy-opt": Bundled(bundled="tiny-opt"),
        "toy-lost": Bundled(bundled="lost"),
        "toy-never": "none",
    }
    (tmp_path / "cards").mkdir()
    for name, weights in homes.items():
        card = Card.model_validate(common | {"name": name, "weights": weights, "body": "Prose."})
        (tmp_path / "cards" / f"{name}.md").write_text(cards.render(card))
    shutil.copytree(tiny_bundle, tmp_path / "bundled" / "tiny-opt")
    for module in (hub, cards):
        monkeypatch.setattr(module, "packaged", lambda folder: tmp_path / folder)
    return tmp_path


def run(command: Any, *arguments: str) -> str:
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_list_says_what_is_known_and_what_is_not(zoo: Path) -> None:
    text = run(list_models_command)
    opened = next(line for line in text.splitlines() if line.strip().startswith("toy-opt"))
    for part in ("way", "densenet_tiny", "Opt", "90.0 % (85.0 to 94.0)", "test, n = 200", "MB", "in the package"):
        assert part in opened
    never = next(line for line in text.splitlines() if line.strip().startswith("toy-never"))
    assert "not trained yet" in never
    lost = next(line for line in text.splitlines() if line.strip().startswith("toy-lost"))
    assert "missing from this installation" in lost
    assert "Measured: 2 clips." in text


def test_the_list_as_json_has_every_field(zoo: Path) -> None:
    rows = {row["name"]: row for row in json.loads(run(list_models_command, "--format", "json"))}
    assert list(rows) == ["toy-lost", "toy-never", "toy-opt"]
    known = rows["toy-opt"]
    assert known["parameters"] > 10_000
    assert known["bytes"] > 4 * known["parameters"]
    assert known["metrics"][0]["protocol"] == "2 clips"
    assert rows["toy-never"]["parameters"] is None


def test_a_pattern_narrows_the_list(zoo: Path) -> None:
    assert [row["name"] for row in json.loads(run(list_models_command, "*-opt", "--format", "json"))] == ["toy-opt"]
    with pytest.raises(ModelNotFoundError, match="no model matches"):
        run(list_models_command, "nothing*")


def test_a_bundle_is_shown_site_by_site(tiny_bundle: Path) -> None:
    text = run(show, str(tiny_bundle))
    for part in (
        "tiny-opt",
        "2 clips of 4 frames, 5 frames a second, short side 32, centre crop 32",
        "left, right, still",
        "90.0 %",
        "85.0 to 94.0 %",
        "B1.L1",
        "P(S+ST)",
        "as in Fig. 4 of the paper",
    ):
        assert part in text
    sites = hub.bundles.read(tiny_bundle).strategy.units
    for site, unit in sites.items():
        line = next(line for line in text.splitlines() if line.split()[:1] == [site])
        assert line.split()[1] == unit


def test_the_two_conventions_differ(tiny_bundle: Path) -> None:
    paper, linear = (
        json.loads(run(show, str(tiny_bundle), "--format", "json", "--convention", convention))["marginals"]["B1.L1"]
        for convention in ("paper", "linear")
    )
    assert linear["S+ST"] == pytest.approx(0.8 * 0.6)
    assert paper["S+ST"] == pytest.approx((1 - 0.2**0.5) * (1 - 0.4**0.5))


def test_what_a_bundle_says_of_its_making_replaces_no_fact(tiny_bundle: Path) -> None:
    from stzoo.cli.drawing import pairs

    lines = pairs({"parameters": "5"}, {"parameters": "none at all", "weights": "pruned"}).columns[1]._cells
    assert [str(cell) for cell in lines] == ["5", "none at all", "pruned"]
    assert len([line for line in run(show, str(tiny_bundle)).splitlines() if line.startswith("weights ")]) == 0


def test_a_name_is_shown_with_its_title(zoo: Path) -> None:
    assert "Which way" in run(show, "toy-opt")
    with pytest.raises(ModelNotFoundError, match="no weights yet"):
        run(show, "toy-never")


def test_what_the_paper_publishes_is_shown() -> None:
    text = run(show, "published:sthv1")
    assert "Fig. 4" in text
    assert sum(line.split()[1:2] == ["ST"] for line in text.splitlines()) == 19
    assert json.loads(run(show, "published:ucf101", "--format", "json"))["strategy"]["backbone"] == "densenet121"
    with pytest.raises(StrategyError, match="sthv1"):
        run(show, "published:sthv3")


def test_a_strategy_of_a_backbone_is_shown() -> None:
    lines = run(show, "densenet_tiny", "--strategy", "mc3").splitlines()
    assert lines[0] == "mc3"
    assert lines[1].split() == ["backbone", "densenet_tiny"]
    assert [line.split()[1] for line in lines if line.strip().startswith(("B1", "T1"))] == ["ST", "ST", "ST"]
    assert lines[-1].startswith("S at 12, ST at 3 of 15 sites; ")
    value = json.loads(run(show, "densenet121", "--strategy", "published:sthv1", "--format", "json"))
    assert value["backbone"] == "densenet121"
    assert value["strategy"] == json.loads(run(show, "published:sthv1", "--format", "json"))["strategy"]
    with pytest.raises(UsageError, match='no backbone is called "densenet12"'):
        run(show, "densenet12", "--strategy", "mc3")


@pytest.mark.parametrize("arguments", ["list", "show published:sthv1"])
def test_torch_is_not_imported(arguments: str) -> None:
    code = (
        "import sys\n"
        "from stzoo.cli import main\n"
        f"main({arguments.split()!r}, standalone_mode=False)\n"
        "sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
