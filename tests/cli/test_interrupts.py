from __future__ import annotations

import subprocess
import sys

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


def test_an_interrupt_that_is_lost_in_a_callback_comes_again_and_ends_a_wait() -> None:
    program = """
import signal, time
from stzoo.cli.interrupts import remembering_interrupts

class Callback:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    with remembering_interrupts():
        Callback()
        print("lost", flush=True)
        time.sleep(300)
except KeyboardInterrupt:
    print("heard")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "lost\nheard\n", "")
