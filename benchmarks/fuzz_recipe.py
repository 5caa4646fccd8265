"""Odd and hostile recipes and cards, read one after another: the record docs/results/fuzz-recipe.md.

Every file is one of those that ship with stzoo, with mutations of its structure which its seed and number decide. It is
read, and what it describes is looked at as `stzoo train --dry-run` and `stzoo show` do, or it is refused by an error of
ours. Anything else, also an answer that takes longer than --seconds, ends the program with the number of the mutation.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import resource
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from stzoo import card as cards
from stzoo import recipe as recipes
from stzoo.cli.strategy_names import by_name
from stzoo.errors import StzooError
from stzoo.files import packaged
from stzoo.training.adapting import _flip
from stzoo.training.demands import check_net

VALUES = (
    "0", "-1", "1e400", "nan", "true", '""', "[]", "{}", "9" * 19, "9" * 5000, "0x" + "f" * 20, "0x" + "f" * 9000,
    "0b" + "1" * 300, "1_000_000_000", "2024-01-01", "2024-13-45", "07:32:00", "99:99:99", "1979-05-27T07:32:00Z",
    "1:30:00", "1" + ":59" * 2000, "1:30.5", "!!binary aGk=", "!!int", "!!float x", "!!bool x", "!!set {a, b}",
    "!!python/object:os.system {}", "~", ".inf", ".nan", "[" * 5000 + "]" * 5000, "{a = " * 900 + "1" + "}" * 900,
    "{a: " * 900 + "1" + "}" * 900, "[" + "1, " * 9000 + "1]", '"' + "a" * 9000 + '"', '"\\u202e\\u001b[31m"',
    '"../.."', '"/dev/zero"', '"\\u0000"',
    "*a", "&a [1]", "1e-300", "1e300", "0.5", "1", "2", "[1, 2]", '["S", "ST"]', "none",
)  # fmt: skip
KEYS = (
    "x", '""', '"a b"', ".".join("a" * 40), ".".join("a" * 5000), "a." * 20 + "b", "2024-01-01", "!!binary aGk=", "~",
    "? [a, b]\n", '"\\u001b[2J"', "a" * 3000, "0x" + "f" * 99, "<<", "extends", "like", "name", "body", "k", "seed",
)  # fmt: skip


def _lines(text: str, rng: random.Random, mark: str) -> tuple[list[str], int]:
    """The lines of a text, and the number of one that says something."""
    lines = text.splitlines()
    said = [row for row, line in enumerate(lines) if mark in line and not line.startswith("#")]
    return lines, rng.choice(said or [0])


def another_value(text: str, rng: random.Random, mark: str) -> str:
    """A key has another value."""
    lines, row = _lines(text, rng, mark)
    lines[row] = f"{lines[row].partition(mark)[0]}{mark} {rng.choice(VALUES)}"
    return "\n".join(lines) + "\n"


def another_key(text: str, rng: random.Random, mark: str) -> str:
    """A value stands under another key, or there is one more."""
    lines, row = _lines(text, rng, mark)
    indent = lines[row][: len(lines[row]) - len(lines[row].lstrip())]
    changed = f"{indent}{rng.choice(KEYS)}{mark} {lines[row].partition(mark)[2]}"
    lines[row : row + rng.randint(0, 1)] = [changed]
    return "\n".join(lines) + "\n"


def without_line(text: str, rng: random.Random, mark: str) -> str:
    """A line is gone, or stands twice."""
    lines, row = _lines(text, rng, mark)
    lines[row : row + 1] = [lines[row]] * rng.choice([0, 2])
    return "\n".join(lines) + "\n"


def another_table(text: str, rng: random.Random, mark: str) -> str:
    """A heading or an indent is another one."""
    lines = text.splitlines()
    row = rng.randrange(len(lines))
    odd = ["[[data]]", "[a.b.c.d]", "[" + ".".join("a" * 2000) + "]", "  ", "- - - -", "[data", "---", "[input]", "\t"]
    lines.insert(row, rng.choice(odd))
    return "\n".join(lines) + "\n"


def other_bytes(text: str, rng: random.Random, mark: str) -> str:
    """Some characters are others, or the text ends early."""
    letters = list(text)
    for _ in range(rng.randint(1, 6)):
        letters[rng.randrange(len(letters))] = rng.choice(
            ["\0", "\u202e", "é", '"', "[", "=", ":", "\n", "{", "\ufeff"]
        )
    return "".join(letters)[: None if rng.random() < 0.7 else rng.randrange(len(letters))]


def much(text: str, rng: random.Random, mark: str) -> str:
    """A great deal of it."""
    more = [f"z{number}.b.c.d{mark} 1" for number in range(20_000)]
    return text + rng.choice(["\n".join(more), "x" * 400_000, "\n" * 100_000, f"q{mark} [" + "1," * 90_000 + "1]"])


MUTATIONS: tuple[Callable[[str, random.Random, str], str], ...] = (
    another_value, another_value, another_value, another_key, another_key, without_line, another_table, other_bytes,
    another_value, much,
)  # fmt: skip


def mutated(seed: int, number: int) -> tuple[str, Path, str]:
    """The name of mutation `number`, the file that it is of, and its text. Even numbers are of recipes."""
    rng = random.Random(f"{seed} {number}")
    is_recipe = number % 2 == 0
    folder, mark = ("recipes", " =") if is_recipe else ("cards", ":")
    source = rng.choice(sorted(packaged("recipes" if folder == "recipes" else "cards").glob("*.*[ml]*")))
    mutation = MUTATIONS[number // 2 % len(MUTATIONS)]
    text = source.read_text(encoding="utf-8")
    if is_recipe:
        text = mutation(text, rng, mark)
    else:
        front, fence, body = text.removeprefix("---\n").partition("\n---\n")
        text = f"---\n{mutation(front, rng, mark)}{fence}{body}"
    return mutation.__name__, source, text


def refusal(folder: Path, source: Path, text: str) -> str | None:
    """Reads a file and looks at what it describes. The sentence that refuses it, or None."""
    path = folder / source.name
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        if source.suffix == ".toml":
            recipe = recipes.read(path)
            check_net(recipe, str(path))
            recipe.to_toml()
            _flip(tomllib.loads(text))
        else:
            card = cards.read(path)
            if card.net is not None:
                by_name(card.net.strategy, card.backbone, card.net.options)
            cards.render(card)
    except StzooError as error:
        return str(error)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--first", type=int, default=0, help="the number to begin with")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=5.0, help="the longest answer")
    options = parser.parse_args()
    faulthandler.enable()
    counts: Counter[str] = Counter()
    slowest, longest = 0.0, 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("recipes", "cards"):
            for path in packaged("recipes" if name == "recipes" else "cards").glob("*.*"):
                (folder / path.name).write_bytes(path.read_bytes())
        for number in range(options.first, options.first + options.files):
            mutation, source, text = mutated(options.seed, number)
            start = time.monotonic()
            try:
                sentence = refusal(folder, source, text)
            except BaseException:
                print(f"mutation {number} ({mutation} of {source.name}):", flush=True)
                raise
            seconds = time.monotonic() - start
            if seconds > options.seconds:
                raise AssertionError(f"mutation {number} ({mutation} of {source.name}) took {seconds:.1f} s")
            (folder / source.name).write_bytes(source.read_bytes())
            slowest, longest = max(slowest, seconds), max(longest, len(sentence or ""))
            counts[f"{source.suffix[1:]} {'read' if sentence is None else 'refused'}"] += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{options.files} files with seed {options.seed}, from number {options.first}:")
    for name, count in sorted(counts.items()):
        print(f"  {name}: {count}")
    print(f"slowest {slowest:.2f} s, longest sentence {longest} characters, {peak:.0f} MB at the most")


if __name__ == "__main__":
    main()
