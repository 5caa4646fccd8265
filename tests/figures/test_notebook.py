from __future__ import annotations

import base64
import re
import sys

import pytest

import stzoo
from stzoo.prediction.predictor import Predictor
from stzoo.strategies.published import published
from stzoo.zoo import loading


def picture(page: str) -> bytes:
    found = re.search(r'src="data:image/png;base64,([^"]+)"', page)
    assert found is not None
    return base64.b64decode(found[1])


def test_a_model_draws_its_strategy_and_says_what_it_is() -> None:
    model = loading.load("camera-motion-opt", runtime="onnxruntime")
    page = model._repr_html_()
    assert page is not None
    assert picture(page).startswith(b"\x89PNG")
    assert "<td>camera-motion-opt</td>" in page
    assert "<td>onnxruntime, fp32, cpu</td>" in page
    odd = Predictor(model.net, model.contract, tuple(f"<b>{label}" for label in model.labels), "<i>")
    page = odd._repr_html_()
    assert page is not None
    assert "&lt;b&gt;still" in page
    assert "<b>" not in page
    assert "<img" not in page, "nothing is known of its strategy"


def test_strategies_and_posteriors_draw_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = published("sthv1")
    pages = [panel.strategy._repr_html_(), panel.posterior._repr_html_()]
    assert all(page is not None and len(picture(page)) > 5000 for page in pages)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert panel.strategy._repr_html_() is None
    assert "notebook_html" not in stzoo.__all__
