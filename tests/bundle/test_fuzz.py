"""Two hundred damaged and hostile bundles; `make fuzz` loads thousands."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

BUNDLES, SEED = 200, 1


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "fuzz_bundle.py"
    spec = importlib.util.spec_from_file_location("fuzz_bundle", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_mutation_loads_with_the_right_shape_or_is_refused_in_one_sentence(
    fuzz: ModuleType, tmp_path: Path
) -> None:
    files = fuzz.read_files(fuzz.good_bundle(tmp_path / "good"))
    refused = 0
    for number in range(BUNDLES):
        kind, changed = fuzz.mutated(files, SEED, number)
        folder = tmp_path / str(number) / "bundle"
        fuzz.write_files(folder, changed, number)
        sentence = fuzz.refusal(folder, number)
        if sentence is not None:
            refused += 1
            assert str(folder) in sentence, (number, kind)
            assert "\n" not in sentence, (number, kind)
            assert len(sentence) < 1200, (number, kind)
    assert BUNDLES / 2 < refused < BUNDLES


def test_every_mutation_of_the_onnx_file_answers_or_is_refused(fuzz: ModuleType, tmp_path: Path) -> None:
    files = fuzz.read_files(fuzz.add_onnx(fuzz.good_bundle(tmp_path / "good")))
    kinds = Counter()
    for number in range(80):
        kind, changed = fuzz.mutated(files, SEED, number)
        if kind not in ("graph", "onnx_bytes"):
            continue
        folder = tmp_path / str(number) / "bundle"
        fuzz.write_files(folder, changed, 0)
        sentence = fuzz.refusal_of_onnx(folder, number)
        kinds["loads" if sentence is None else "refused"] += 1
        assert sentence is None or ("\n" not in sentence and len(sentence) < 1200), (number, kind)
    assert kinds["refused"] > kinds["loads"]


def test_the_bundle_that_is_mutated_loads(fuzz: ModuleType, tmp_path: Path) -> None:
    folder = fuzz.good_bundle(tmp_path / "good")
    assert [fuzz.refusal(folder, number) for number in range(3)] == [None] * 3


def test_a_mutation_is_decided_by_its_seed_and_number(fuzz: ModuleType, tmp_path: Path) -> None:
    files = fuzz.read_files(fuzz.good_bundle(tmp_path / "good"))
    assert fuzz.mutated(files, 0, 7) == fuzz.mutated(files, 0, 7)
    assert fuzz.mutated(files, 0, 7) != fuzz.mutated(files, 1, 7)
