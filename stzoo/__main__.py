"""`python -m stzoo` is the command `stzoo`."""

from stzoo.cli import main

if __name__ == "__main__":
    main(prog_name="stzoo")
