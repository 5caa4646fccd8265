"""The script with a stand-in for Ray that runs its stage in this process; docs/results/ray.md tells of a real run."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stzoo.ray_stage import PredictStage
from tests.conftest import MakeVideo

SCRIPT = Path(__file__).parents[2] / "examples" / "ray_predict.py"


class Dataset:
    def __init__(self, items: list[dict[str, str]], override_num_blocks: int) -> None:
        assert 1 <= override_num_blocks <= len(items)
        self.items = items

    def map_batches(
        self, stage: Callable[..., Any], *, fn_constructor_kwargs: dict[str, Any], batch_size: int, **_: object
    ) -> Dataset:
        self.stage, self.size = stage(**fn_constructor_kwargs), batch_size
        return self

    def iter_rows(self) -> Iterator[dict[str, Any]]:
        for start in range(0, len(self.items), self.size):
            columns = self.stage({"path": [item["path"] for item in self.items[start : start + self.size]]})
            yield from (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))


def test_the_script_writes_the_rows_in_order(
    make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    context = SimpleNamespace(execution_options=SimpleNamespace(preserve_order=False))
    data = SimpleNamespace(
        DataContext=SimpleNamespace(get_current=lambda: context),
        ActorPoolStrategy=lambda size: size,
        from_items=Dataset,
    )
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(data=data))
    paths = [str(make_video(f"{index}.mp4", 2 + 3 * index)) for index in range(3)]
    (tmp_path / "text.mp4").write_text("no video")
    output = tmp_path / "rows.jsonl"
    monkeypatch.setattr(sys, "argv", ["ray_predict.py", str(tmp_path), "-o", str(output), "--batch", "2"])
    with pytest.raises(SystemExit) as done:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert done.value.code == 1
    assert "text.mp4 is a text file" in capsys.readouterr().err
    assert context.execution_options.preserve_order
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    expected = [
        json.loads(line)
        for line in PredictStage("camera-motion-opt")({"path": [*paths, str(tmp_path / "text.mp4")]})["json"]
    ]
    for row in (*rows, *expected):
        row.pop("seconds", None)
    assert rows == expected
