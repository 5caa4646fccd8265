from __future__ import annotations

import sys

import pytest

from stzoo.errors import MissingPackageError, listed, quoted, require, translated, unexpected


def test_the_first_words_are_listed_and_the_others_counted() -> None:
    assert listed(["a", "b"], most=2) == "a, b"
    assert listed(["a", "b", "c", "d"], most=2) == "a, b and 2 more"
    assert listed([]) == ""
    assert quoted(["a", "b", "c"], most=1) == '"a" and 2 more'


def test_what_nobody_foresaw_is_called_unexpected_or_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STZOO_DEBUG", raising=False)
    sentence = unexpected("a.mp4", KeyError("x\ny" + "z" * 1000))
    assert sentence.startswith("a.mp4 cannot be read because of an unexpected KeyError ('x\\nyzz")
    assert len(sentence) < 400
    assert "unexpected MemoryError; STZOO_DEBUG=1 in the env" in unexpected("a.mp4", MemoryError())
    monkeypatch.setenv("STZOO_DEBUG", "1")
    with pytest.raises(KeyError):
        unexpected("a.mp4", KeyError("x"))


@pytest.mark.parametrize("package", ["torch", "torchvision", "matplotlib", "onnxscript"])
def test_what_is_not_installed_is_named_with_the_line_that_installs_it(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(package)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        MissingPackageError, match=rf"^{package} is not installed here, .*`pip install '{package}>=[\d.]+'`$"
    ):
        require(package)


def test_a_failed_import_is_about_a_package_that_may_be_missing_or_no_business_of_ours() -> None:
    error = translated(ModuleNotFoundError("No module named 'onnx_ir'", name="onnx_ir.passes"))
    assert str(error).startswith("onnxscript is not installed")
    assert translated(ModuleNotFoundError("No module named 'numpy'", name="numpy")) is None
    assert translated(ModuleNotFoundError("without a name")) is None
