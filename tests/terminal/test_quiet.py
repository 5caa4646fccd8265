from __future__ import annotations

import logging
import os
import warnings

import pytest

from stzoo.terminal.quiet import quietly, without_standard_error


def test_nothing_is_said_within_and_all_is_as_before_after(caplog: pytest.LogCaptureFixture) -> None:
    chatty, other = logging.getLogger("chatty.inside"), logging.getLogger("other")
    chatty.setLevel(logging.INFO)
    with quietly("chatty"):
        chatty.error("unheard")
        other.error("heard")
        warnings.warn("unheard", stacklevel=1)
    assert [record.message for record in caplog.records] == ["heard"]
    assert chatty.level == logging.INFO
    with pytest.warns(UserWarning, match="heard again"):
        warnings.warn("heard again", stacklevel=1)


def test_what_c_prints_is_lost_within_and_not_after(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="within"), without_standard_error():  # noqa: PT012
        os.write(2, b"unheard")
        raise ValueError("within")
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"
