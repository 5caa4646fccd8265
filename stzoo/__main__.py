"""`python -m stzoo` is the command `stzoo`."""

import sys

if __name__ == "__main__":
    try:
        from stzoo.cli import main
    except KeyboardInterrupt:  # before the command can answer it
        sys.exit(130)
    main(prog_name="stzoo")
