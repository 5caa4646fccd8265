"""`python -m stzoo`, and where the command `stzoo` begins."""

import signal
import sys


def main() -> None:
    """Imports the command and runs it. Before and after, with nothing to lose, an interrupt just ends the process."""
    is_interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_interruptible:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from stzoo.cli import main as command

    try:
        if is_interruptible:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        command(prog_name="stzoo")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if is_interruptible:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
