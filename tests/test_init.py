"""`import stzoo` is light, and every name that it offers exists."""

from __future__ import annotations

import subprocess
import sys

import pytest

import stzoo


def test_importing_stzoo_imports_no_library() -> None:
    program = "import sys, stzoo; assert not {'torch', 'numpy', 'pydantic', 'av', 'cv2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


@pytest.mark.parametrize("name", stzoo.__all__)
def test_every_public_name_exists(name: str) -> None:
    assert getattr(stzoo, name) is not None
    assert name in dir(stzoo)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = stzoo.nothing
