from __future__ import annotations

from pathlib import Path

import pytest

from stzoo.recipe import expand, read
from stzoo.training.sweep import Point, sweep, sweep_folder
from stzoo.training.voice import Voice


def test_a_sweep_shares_the_warm_up_and_never_reads_validation(
    motions: Path, clip_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stzoo.training.sweep.SWEPT_STRATEGIES", 2)
    monkeypatch.setattr("stzoo.training.data.RunData.test", None)
    points = [
        Point(overrides, read("recipes/smoke.toml", [f"data.root='{motions}'", *overrides]))
        for overrides in expand(["objective.k=1,5", "variational.epochs=1"])
    ]
    folder = sweep_folder(tmp_path / "smoke")
    folder.mkdir()
    said: list[str] = []
    trials = sweep(points, folder, clip_cache, Voice(said.append, progress=False))
    assert [trial.overrides for trial in trials] == [point.overrides for point in points]
    first, second = (folder / ",".join(point.overrides) for point in points)
    assert (first / "warmup.safetensors").read_bytes() == (second / "warmup.safetensors").read_bytes()
    assert (first / "template.safetensors").read_bytes() != (second / "template.safetensors").read_bytes()
    assert sum(sentence.startswith("warmup") for sentence in said) == 2
    assert (second / "metrics.jsonl").read_text().count('"warmup"') == 2
    assert len((folder / "sweep.csv").read_text().splitlines()) == 3
