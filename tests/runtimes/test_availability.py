from __future__ import annotations

import importlib.util

import pytest
import torch

from stzoo.runtimes.availability import has_gpu, is_there, threads


def test_a_runtime_is_there_when_its_package_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_there("onnxruntime")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not is_there("onnxruntime")


def test_the_driver_and_torch_agree_on_whether_there_is_a_gpu() -> None:
    assert has_gpu() == torch.cuda.is_available()


def test_threads_are_those_that_torch_would_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "all")
    assert threads() >= 1
