from __future__ import annotations

import click
import pytest

from stzoo.cli.interrupts import saying_how_to_go_on


@pytest.mark.parametrize(
    ("aloud", "said"), [(True, "Stopped. The same command goes on from what is finished.\n"), (False, "")]
)
def test_one_of_all_processes_says_it_and_all_of_them_end(
    capsys: pytest.CaptureFixture[str], aloud: bool, said: str
) -> None:
    with pytest.raises(click.Abort), saying_how_to_go_on(aloud):
        raise KeyboardInterrupt
    assert capsys.readouterr() == ("", said)
