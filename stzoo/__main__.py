"""`python -m stzoo`, and where the command `stzoo` begins."""

import sys


def main() -> None:
    """Imports the command and runs it. An interrupt ends it quietly even before it can answer one itself."""
    try:
        from stzoo.cli import main as command

        command(prog_name="stzoo")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
