"""Damaged and hostile bundles, loaded one after another: the table of docs/results/fuzz-bundle.md (`make fuzz`).

Every bundle is a small good one with one mutation, which its seed and number decide. It either loads, and answers with
the right shape, or it is refused by an error of ours. Anything else ends the program with the number of the mutation.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import random
import resource
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stzoo import bundle as bundles
from stzoo import nets
from stzoo.bundle import Bundle
from stzoo.contract import InputContract
from stzoo.errors import StzooError
from stzoo.strategies.posterior import Posterior
from stzoo.zoo import loading

Files = dict[str, bytes]

LABELS = ("left", "right", "still")
HOSTILE: tuple[Any, ...] = (
    None, True, 0, -1, 2, 10**9, 10**30, -(2**63), 0.5, -0.0, 1e308, "", "S", "ST", "none", "x8", "../../etc/passwd",
    "/dev/zero", "a\nb", "\x00", "\ud800", "9" * 5000, "S+" * 3000, [], [[]], {}, {"a": {"b": []}}, [1, "a", None],
)  # fmt: skip


def good_bundle(folder: Path) -> Path:
    """A bundle with everything that a bundle can have: `resnet_tiny`, three classes, template and statistics."""
    template = nets.template("resnet_tiny", len(LABELS))
    built = nets.architecture(template)
    posterior = Posterior("resnet_tiny", {site.name: {"S": 0.2, "ST": 0.4} for site in built.sites})
    strategy = posterior.sample(seed=0, index=0)
    config = bundles.Config(
        name="good",
        backbone=bundles.Backbone(name="resnet_tiny", options={"temporal_stride": "none", "dropout": 0.1}),
        classes=bundles.Classes.of(LABELS),
        strategy=strategy,
        input=InputContract(frames=2, fps=5.0, clips=2, resize=32, crop=32),
        versions=bundles.Versions(stzoo="0.1.0"),
        provenance={"seed": "0"},
    )
    result = bundles.Result(dataset="d", split="test", protocol="2 clips", metric="top1", value=0.9, n=9)
    net, s = nets.prune(template, strategy), built.uniform("S")
    arrays, whole = ({name: t.numpy() for name, t in part.state_dict().items()} for part in (net, template))
    buffers = {name: t.numpy() for name, t in nets.prune(template, s).named_buffers()}
    bundle = Bundle(config, posterior, (result,), recipe='name = "good"\n', scores="index,strategy,top1\n")
    return bundles.save(folder, bundle, arrays, whole, statistics={s: buffers})


def read_files(folder: Path) -> Files:
    """Every file of a folder by its name in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _some_file(files: Files, rng: random.Random) -> str:
    return rng.choice([name for name in files if name != bundles.README])


def overwrite(files: Files, rng: random.Random) -> None:
    """Some bytes of a file are others."""
    name = _some_file(files, rng)
    data = bytearray(files[name])
    for _ in range(rng.randint(1, 20)):
        data[rng.randrange(len(data) if rng.random() < 0.5 else min(len(data), 400))] = rng.randrange(256)
    files[name] = bytes(data)


def cut(files: Files, rng: random.Random) -> None:
    """A file ends early, or goes on."""
    name = _some_file(files, rng)
    data = files[name]
    files[name] = data[: rng.randrange(len(data))] if rng.random() < 0.7 else data + rng.randbytes(rng.randint(1, 99))


def exchange(files: Files, rng: random.Random) -> None:
    """A file has the content of another one, or is not there."""
    name, other = _some_file(files, rng), _some_file(files, rng)
    if name == other:
        del files[name]
    else:
        files[name] = files[other]


def _mutated(value: Any, rng: random.Random) -> Any:
    """A JSON value in which one place, anywhere in it, has a hostile value, is gone, or stands under another key."""
    if isinstance(value, (dict, list)) and value and rng.random() < 0.85:
        copy = value.copy()
        key = rng.choice(list(copy)) if isinstance(copy, dict) else rng.randrange(len(copy))
        choice = rng.random()
        if choice < 0.1:
            del copy[key]
        elif choice < 0.2 and isinstance(copy, dict):
            copy[rng.choice(["x", "__class__", "a" * 300, f"{key}.", ""])] = copy.pop(key)
        elif choice < 0.2:
            copy.insert(key, copy[key])
        else:
            copy[key] = _mutated(copy[key], rng)
        return copy
    return rng.choice(HOSTILE)


def json_value(files: Files, rng: random.Random) -> None:
    """A JSON file says something else in one place."""
    name = rng.choice([name for name in files if name.endswith(".json")])
    text = json.dumps(_mutated(json.loads(files[name]), rng))
    if rng.random() < 0.05:
        text = text.replace("{", '{"deep": ' + "[" * 50_000 + "]" * 50_000 + ", ", 1)
    files[name] = text.encode()


def labels(files: Files, rng: random.Random) -> None:
    """As many labels as the head has not, with the digest that belongs to them."""
    count = rng.choice([1, 2, 4, 5000, 100_001])
    config = json.loads(files[bundles.CONFIG])
    named = [f"label {index}" for index in range(count)]
    config["classes"] = {"labels": named, "sha256": bundles.labels_digest(named)}
    files[bundles.CONFIG] = json.dumps(config).encode()


def strategy(files: Files, rng: random.Random) -> None:
    """Another unit at a site, or another backbone, in both files that say it."""
    config = json.loads(files[bundles.CONFIG])
    if rng.random() < 0.5:
        site = rng.choice(list(config["strategy"]["units"]))
        config["strategy"]["units"][site] = rng.choice(["S", "ST", "S+ST", "T", "none"])
    else:
        other = rng.choice(["resnet50", "densenet_tiny", "resnext101", "inception", "nothing"])
        config["backbone"]["name"] = config["strategy"]["backbone"] = other
    files[bundles.CONFIG] = json.dumps(config).encode()
    files["strategy.json"] = json.dumps(config["strategy"]).encode()


def _weights_file(files: Files, rng: random.Random) -> str:
    return rng.choice([name for name in files if name.endswith(".safetensors")])


def header(files: Files, rng: random.Random) -> None:
    """The header of a weights file says something else in one place."""
    name = _weights_file(files, rng)
    data = files[name]
    end = 8 + int.from_bytes(data[:8], "little")
    text = json.dumps(_mutated(json.loads(data[8:end]), rng)).encode()
    files[name] = len(text).to_bytes(8, "little") + text + data[end:]


def arrays(files: Files, rng: random.Random) -> None:
    """A well-formed weights file with an array of another value, type, shape or name."""
    from safetensors.numpy import load, save

    name = _weights_file(files, rng)
    tensors = load(files[name])
    array = rng.choice(list(tensors))
    old = tensors[array]
    choice = rng.randrange(8)
    if choice < 2:
        tensors[array] = np.full_like(old, rng.choice([np.nan, np.inf, -np.inf]) if old.dtype.kind == "f" else -1)
    elif choice == 2:
        tensors[array] = np.full_like(old, rng.choice([-1, 0, 2**24]))
    elif choice == 3:
        tensors[array] = old.astype(rng.choice(["float16", "float64", "int64", "int8", "bool"]))
    elif choice == 4:
        tensors[array] = np.ascontiguousarray(old[..., None] if rng.random() < 0.5 else old.reshape(-1))
    elif choice == 5:
        tensors[array] = np.concatenate([old.reshape(-1)] * 2)
    elif choice == 6:
        tensors[f"{array}.{rng.choice(['x', 'weight', '../x'])}"] = tensors.pop(array)
    else:
        del tensors[array]
    files[name] = save(tensors)


MUTATIONS: tuple[Callable[[Files, random.Random], None], ...] = (
    overwrite, cut, exchange, json_value, json_value, labels, strategy, header, arrays, arrays,
)  # fmt: skip


def mutated(files: Files, seed: int, number: int) -> tuple[str, Files]:
    """The name of mutation `number`, and the files after it."""
    rng = random.Random(f"{seed} {number}")
    mutation = MUTATIONS[number % len(MUTATIONS)]
    changed = dict(files)
    mutation(changed, rng)
    return mutation.__name__, changed


def write_files(folder: Path, files: Files, number: int) -> None:
    """Writes the files; one of forty folders has a link out of itself in place of a file."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    if number % 40 == 39:
        path = folder / sorted(files)[number // 40 % len(files)]
        path.rename(folder.parent / f"outside-{number}")
        path.symlink_to(folder.parent / f"outside-{number}")


def refusal(folder: Path, number: int) -> str | None:
    """Loads a folder, every third with the strategy S from its template. The sentence that refuses it, or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", loading.BatchNormWarning)
            model = loading.load(folder, strategy="s" if number % 3 == 2 else None, device="cpu")
    except StzooError as error:
        return str(error)
    with torch.no_grad():
        logits = model.net(torch.zeros(1, 3, 2, 32, 32))
    if logits.shape != (1, len(model.labels)) or logits.dtype != torch.float32:
        raise AssertionError(f"mutation {number} loads, and answers {logits.dtype} of shape {tuple(logits.shape)}")
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundles", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0, help="a bundle that takes longer ends the program")
    arguments = parser.parse_args()
    counts: dict[str, Counter[str]] = {}
    slowest = 0.0
    with tempfile.TemporaryDirectory() as name:
        files = read_files(good_bundle(Path(name) / "good"))
        for number in range(arguments.bundles):
            kind, changed = mutated(files, arguments.seed, number)
            faulthandler.dump_traceback_later(arguments.seconds, exit=True)
            with tempfile.TemporaryDirectory(dir=name) as place:
                write_files(Path(place) / "bundle", changed, number)
                before = time.process_time()
                try:
                    sentence = refusal(Path(place) / "bundle", number)
                except Exception as error:
                    raise SystemExit(f"mutation {number} ({kind}) of seed {arguments.seed}: {error!r}") from error
                slowest = max(slowest, time.process_time() - before)
            faulthandler.cancel_dump_traceback_later()
            counts.setdefault(kind, Counter())["loads" if sentence is None else "refused"] += 1
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts kilobytes
    print(f"{arguments.bundles} bundles, seed {arguments.seed}\n\n| mutation | loads | refused |\n|---|---:|---:|")
    for kind, count in counts.items():
        print(f"| {kind} | {count['loads']} | {count['refused']} |")
    print(f"\nslowest {slowest:.2f} s of processor time, largest size {largest:.0f} MB")


if __name__ == "__main__":
    main()
