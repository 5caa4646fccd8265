from __future__ import annotations

import pytest

from stzoo.errors import UsageError
from stzoo.zoo.address import as_reference


@pytest.fixture(autouse=True)
def own_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("https://huggingface.co/org/name", "org/name"),
        ("http://huggingface.co/org/name/", "org/name"),
        ("https://huggingface.co/org/name?library=stzoo#use", "org/name"),
        ("hf.co/org/name", "org/name"),
        ("huggingface.co/org/name", "org/name"),
        ("hf://org/name", "org/name"),
        ("org/name/tree/main", "org/name@main"),
        ("https://huggingface.co/org/name/tree/feature/x", "org/name@feature/x"),
        ("https://huggingface.co/org/name/tree/feature%2Fx", "org/name@feature/x"),
        ("https://huggingface.co/org/name/blob/v1.0/config.json", "org/name@v1.0"),
        ("https://hf.co/org/name/commit/0123456", "org/name@0123456"),
        ("org/name", "org/name"),
        ("org/name@v1", "org/name@v1"),
        ("camera-motion-opt", "camera-motion-opt"),
        ("runs/first/bundles", "runs/first/bundles"),
        ("", ""),
    ],
)
def test_an_address_means_its_repository(text: str, reference: str) -> None:
    assert as_reference(text) == reference


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("https://example.org/org/name", "no address of the Hub at huggingface.co"),
        ("ftp://huggingface.co/org/name", "no address of the Hub"),
        ("https://huggingface.co/datasets/org/name", "no address of a model; write ORG/NAME"),
        ("https://huggingface.co/name", "no address of a model"),
        ("hf.co/org/name/discussions/1", "no address of a model"),
    ],
)
def test_what_is_no_model_says_what_to_write(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        as_reference(text)


def test_the_hub_that_is_asked_has_its_own_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:8000")
    assert as_reference("http://127.0.0.1:8000/org/name/tree/v1") == "org/name@v1"
    with pytest.raises(UsageError, match=r"no address of the Hub at 127\.0\.0\.1:8000"):
        as_reference("https://huggingface.co/org/name")
