from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hub_server import HubServer
from stzoo.cli import drawing
from stzoo.cli.list_models import list_models_command
from stzoo.errors import ModelNotFoundError, UsageError
from stzoo.zoo import loading
from stzoo.zoo.reference import NAMESPACE


def run(*arguments: str) -> str:
    result = CliRunner().invoke(list_models_command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_list_says_what_is_known_and_what_is_not(zoo: Path) -> None:
    text = run()
    opened = next(line for line in text.splitlines() if line.strip().startswith("toy-opt"))
    for part in ("way", "densenet_tiny", "Opt", "90.0 (85.0–94.0) ¹", "MB", "in the package"):
        assert part in opened
    never = next(line for line in text.splitlines() if line.strip().startswith("toy-never"))
    assert "not trained yet" in never
    lost = next(line for line in text.splitlines() if line.strip().startswith("toy-lost"))
    assert "missing from this installation" in lost
    assert "¹ toy, test, 200 videos: 2 clips." in text


def test_the_list_as_csv_has_a_line_a_model_with_the_accuracy_that_the_table_quotes(zoo: Path) -> None:
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(run("--format", "csv")))}
    assert list(rows) == ["toy-lost", "toy-never", "toy-opt"]
    measured = [rows["toy-opt"][name] for name in ("metric", "value", "low", "high", "n", "split", "protocol")]
    assert measured == ["top1", "0.9", "0.85", "0.94", "200", "test", "2 clips"]
    assert int(rows["toy-opt"]["parameters"]) > 0
    assert [rows["toy-never"][name] for name in ("parameters", "value", "weights")] == ["", "", "not trained yet"]


def test_the_list_as_json_has_every_field(zoo: Path) -> None:
    rows = {row["name"]: row for row in json.loads(run("--format", "json"))}
    assert list(rows) == ["toy-lost", "toy-never", "toy-opt"]
    known = rows["toy-opt"]
    assert known["parameters"] > 10_000
    assert known["bytes"] > 4 * known["parameters"]
    assert known["metrics"][0]["protocol"] == "2 clips"
    assert rows["toy-never"]["parameters"] is None


def test_a_pattern_narrows_the_list(zoo: Path) -> None:
    assert [row["name"] for row in json.loads(run("*-opt", "--format", "json"))] == ["toy-opt"]
    with pytest.raises(ModelNotFoundError, match="no model matches"):
        run("nothing*")


def names(*arguments: str) -> list[str]:
    return [row["name"] for row in json.loads(run(*arguments, "--format", "json"))]


def test_filters_narrow_the_list(zoo: Path) -> None:
    assert names("--bundled") == ["toy-lost", "toy-opt"]
    assert names("--dataset", "TOY") == ["toy-lost", "toy-never", "toy-opt"]
    assert names("--max-params", "1") == ["toy-opt"]
    assert names("--max-params", "0.001") == []
    with pytest.raises(UsageError, match=r'no model is of the dataset "tyo"\. Did you mean "toy"'):
        run("--dataset", "tyo")
    with pytest.raises(ModelNotFoundError, match="no model is left after these filters"):
        run("--max-params", "0.001")


def test_the_papers_zoo_is_listed_by_dataset_and_size_and_never_with_an_accuracy_of_ours() -> None:
    rows = json.loads(run("--dataset", "k400", "--max-params", "20", "--format", "json"))
    assert [row["name"] for row in rows] == ["k400-mobilenet_v2-opt", "k400-opt", "k400-s", "k400-st"]
    for row in rows:
        assert (row["metrics"], row["bytes"], row["weights"]) == ([], None, "not trained yet")
        assert row["multiply_adds"] > row["parameters"]
    assert "¹" not in run("--dataset", "Kinetics-400")
    assert rows[1]["paper"][1] == {
        "source": "Table 4",
        "protocol": "validation split, 2 clips, trained from scratch",
        "top1": 72.5,
        "top5": 90.3,
    }


@pytest.mark.parametrize(
    ("width", "left_out"),
    [
        (200, ""),
        (120, "size"),
        (100, "size, strategy, backbone"),
        (80, "size, strategy, backbone, multiply-adds, task"),
    ],
)
def test_a_narrow_terminal_gets_fewer_columns_and_whole_cells(
    monkeypatch: pytest.MonkeyPatch, width: int, left_out: str
) -> None:
    monkeypatch.setattr(drawing, "_PIPE_WIDTH", width)
    text = run()
    assert "…" not in text
    said = " ".join(text.split()).rpartition(" No room for ")[2]
    assert said == f"{left_out}; --format json says everything." if left_out else "No room" not in text
    table = text.partition("¹ camera")[0].splitlines()
    assert max(map(len, table)) <= width
    assert sum("sthv1-resnext101-opt" in line for line in table) == 1


def test_a_namespace_says_where_its_weights_are(
    zoo: Path, server: HubServer, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put("lab/toy-never", tiny_bundle)
    monkeypatch.setenv(NAMESPACE, "lab")
    weights = {row["name"]: row["weights"] for row in json.loads(run("--format", "json"))}
    assert weights["toy-never"] == "not fetched from lab"
    assert weights["toy-opt"] == "in the package"
    loading.load("toy-never")
    server.requests.clear()
    rows = {row["name"]: row for row in json.loads(run("--format", "json"))}
    assert rows["toy-never"]["weights"] == "lab/toy-never"
    assert rows["toy-never"]["metrics"][0]["value"] == 0.9
    assert rows["toy-never"]["bundled"] is False
    assert server.requests == []


@pytest.mark.parametrize("arguments", ["list", "show published:sthv1", "show k400-st", "diff sthv1-opt k400-sst"])
def test_no_heavy_library_is_imported(arguments: str) -> None:
    code = (
        "import sys\n"
        "from stzoo.cli import main\n"
        f"main({arguments.split()!r}, standalone_mode=False)\n"
        "sys.exit(bool({'torch', 'numpy', 'matplotlib', 'httpx2'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_results_in_docs_are_those_of_the_models_in_the_package() -> None:
    listed = [row for row in csv.DictReader(io.StringIO(run("--format", "csv"))) if row["value"]]
    path = Path(__file__).parents[2] / "docs" / "results" / "results.csv"
    with path.open(encoding="utf-8", newline="") as file:
        published = list(csv.DictReader(file))
    known = [{name: row[name] for name in listed[0]} for row in published]
    assert known == listed, "write it again: python benchmarks/results.py"
    for row in published:
        assert 0 < float(row["processor_milliseconds_a_clip"]) < 10_000
        assert (row["runtime"], row["threads"]) == ("onnxruntime", "1")
        assert row["processor"]
