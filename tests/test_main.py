import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys
from types import ModuleType
from stzoo import __main__

def interrupt(**_):
    os.kill(os.getpid(), signal.SIGINT)

class Command(ModuleType):
    def __getattr__(self, name):
        if sys.argv[1] == "imported" and name == "main":
            interrupt()
        return interrupt if sys.argv[1] == "running" else lambda **_: None

signal.signal(signal.SIGINT, signal.SIG_IGN if sys.argv[2] == "ignored" else signal.default_int_handler)
sys.modules["stzoo.cli"] = Command("stzoo.cli")
__main__.main()
if sys.argv[1] == "over":
    interrupt()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent an interrupt of its own there")
@pytest.mark.parametrize(
    ("moment", "exit_code"), [("imported", -signal.SIGINT), ("running", 130), ("over", -signal.SIGINT)]
)
def test_an_interrupt_ends_the_command_quietly_at_any_moment(moment: str, exit_code: int) -> None:
    command = [sys.executable, "-c", PROGRAM, moment]
    done = subprocess.run([*command, "answered"], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (exit_code, "", "")
    done = subprocess.run([*command, "ignored"], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, ""), "whoever starts it in the background may ignore interrupts"
