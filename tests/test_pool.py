from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stzoo.pool import processes

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="asks for processes as POSIX does")

KILLED = """
import os, signal
from stzoo.pool import processes

if __name__ == "__main__":
    with processes(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_end_with_one_that_is_killed(tmp_path: object) -> None:
    program = f"{tmp_path}/killed.py"
    with open(program, "w") as file:
        file.write(KILLED)
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    done = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert ends(int(done.stdout))


def ends(process: int) -> bool:
    """Whether a process is gone soon."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_nobody_waits_for_what_is_at_hand_when_an_exception_comes() -> None:
    workers: list[int] = []

    def interrupted() -> None:
        with processes(1) as pool:
            workers.append(pool.submit(os.getpid).result())
            pool.submit(time.sleep, 600)
            raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ends(workers[0])
    assert time.monotonic() - start < 300


def test_what_was_asked_for_is_done_when_the_block_ends() -> None:
    with processes(2) as pool:
        numbers = pool.map(abs, [-1, -2, -3])
        assert list(numbers) == [1, 2, 3]


MASKS = """
import multiprocessing
import signal
from stzoo.pool import no_interrupt, processes

def blocked():
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])

def tell(connection):
    connection.send(blocked())

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    for _ in range(2):
        ours, theirs = context.Pipe()
        process = context.Process(target=tell, args=(theirs,))
        with no_interrupt():
            process.start()
        print(ours.recv(), blocked())
        process.join()
    with processes(1) as pool:
        print(pool.submit(blocked).result(), blocked())
"""


def test_no_process_sees_an_interrupt_while_it_starts(tmp_path: Path) -> None:
    program = tmp_path / "masks.py"
    program.write_text(MASKS)
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    command = [sys.executable, str(program)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout == "True False\n" * 3, done.stderr
