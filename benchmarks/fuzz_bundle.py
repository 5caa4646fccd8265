"""Damaged and hostile bundles, loaded one after another: the table of docs/results/fuzz-bundle.md (`make fuzz`).

Every bundle is a small good one with one mutation, which its seed and number decide; half of the mutations are of its
ONNX file, a few at a time, and are loaded by onnxruntime, openvino and `auto` in turn. A bundle either loads, and
answers with the right shape, or it is refused by an error of ours. Each is loaded in a process of its own, with a limit
of time and of memory. Anything else, a crash too, ends the program with the number of the mutation.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import signal
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from stzoo import bundle as bundles
from stzoo import nets
from stzoo.bundle import Bundle
from stzoo.contract import InputContract
from stzoo.errors import StzooError
from stzoo.export import to_onnx
from stzoo.runtimes import is_there
from stzoo.strategies.posterior import Posterior
from stzoo.zoo import loading, variants

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


def add_onnx(folder: Path) -> Path:
    """Puts the net's ONNX file into the bundle."""
    model = loading.load(folder, device="cpu")
    assert isinstance(model.net, nn.Module)
    to_onnx.export(model.net, folder / bundles.ONNX, model.contract, model.labels, name="good", digest=model.digest)
    return folder


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
        copy: Any = value.copy()
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


NUMBERS = (0, 1, -1, 2, 3, 7, 64, 65, 1000, 2**20, 2**31, -(2**31), 2**40, 2**62, -(2**63), 2**63 - 1)
OPERATORS = (
    "Loop", "If", "Scan", "Expand", "Tile", "Resize", "Mod", "Div", "ConstantOfShape", "Constant", "MatMul", "Einsum",
    "GatherND", "ScatterND", "Unsqueeze", "Squeeze", "Reshape", "Transpose", "Concat", "Split", "Gemm", "Conv", "Add",
    "Mul", "Sub", "Pad", "MaxPool", "AveragePool", "ReduceMean", "Softmax", "Shape", "Gather", "Cast", "Clip",
    "DequantizeLinear", "QuantizeLinear", "RandomNormal", "Range", "NonZero", "Nonsense", "",
)  # fmt: skip


def _names(graph: Any) -> list[str]:
    """Every tensor of the graph by its name, and some that it has not."""
    made = [name for node in graph.node for name in node.output]
    return [*made, *(tensor.name for tensor in graph.initializer), "clips", "logits", "", "nothing"]


def _mutate_node(graph: Any, rng: random.Random) -> None:
    node = rng.choice(graph.node)
    choice = rng.randrange(7)
    if choice == 0:
        node.op_type = rng.choice(OPERATORS)
    elif choice == 1:
        node.domain = rng.choice(["com.microsoft", "ai.onnx", "ai.onnx.ml", "x"])
    elif choice == 2 and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice(_names(graph))
    elif choice == 3:
        node.input.append(rng.choice(_names(graph)))
    elif choice == 4 and node.input:
        del node.input[rng.randrange(len(node.input))]
    elif choice == 5:
        node.output[0] = rng.choice(_names(graph))
    else:
        node.output.append(rng.choice(["more", "logits"]))


def _mutate_attribute(graph: Any, rng: random.Random) -> None:
    node = rng.choice([node for node in graph.node if node.attribute])
    attribute = rng.choice(node.attribute)
    choice = rng.randrange(6)
    if choice < 3 and attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(NUMBERS)
    elif choice < 3:
        attribute.i = rng.choice(NUMBERS)
    elif choice == 3:
        attribute.ints.extend([1] * rng.choice([1, 5, 10_000]))
    elif choice == 4:
        attribute.name = rng.choice(["to", "axis", "perm", "pads", "group", "x", "body", "value", "ceil_mode"])
    else:
        attribute.type = rng.randrange(14)


def _mutate_tensor(graph: Any, rng: random.Random) -> None:
    tensors = [tensor for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.INT64]
    tensor = rng.choice(tensors if tensors and rng.random() < 0.6 else graph.initializer)
    choice = rng.randrange(7)
    if choice < 3:
        array = onnx.numpy_helper.to_array(tensor).copy()
        hostile = rng.choice(NUMBERS) if array.dtype.kind == "i" else rng.choice([np.nan, np.inf, 3e38, 0.0, -1.0])
        array.reshape(-1)[rng.randrange(array.size)] = hostile
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    elif choice == 3:
        tensor.dims.append(rng.choice(NUMBERS))
    elif choice == 4 and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(NUMBERS)
    elif choice == 5:
        tensor.data_type = rng.randrange(24)
    else:
        tensor.raw_data = tensor.raw_data[: rng.randrange(max(1, len(tensor.raw_data)))]


def _add_node(graph: Any, rng: random.Random) -> None:
    """A node of any operator with hostile numbers; what it gives is used, or it is made for nothing."""
    values = [rng.choice(NUMBERS) for _ in range(rng.choice([1, 1, 2, 4]))]
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(values, np.int64), "hostile"))
    inputs = [rng.choice(["hostile", "hostile", *_names(graph)]) for _ in range(rng.randint(1, 3))]
    node = onnx.helper.make_node(rng.choice(OPERATORS), inputs, ["added"])
    if rng.random() < 0.5:
        name = rng.choice(["axis", "to", "perm", "num_outputs", "keepdims"])
        node.attribute.append(onnx.helper.make_attribute(name, rng.choice([1, 0, 7, [0, 1]])))
    if node.op_type in ("Loop", "Scan", "If") and rng.random() < 0.8:
        inner = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "inner", [], [])
        node.attribute.append(onnx.helper.make_attribute("body", inner))
    place = rng.randrange(len(graph.node) + 1)
    graph.node.insert(place, node)
    if rng.random() < 0.5 and place + 1 < len(graph.node):
        user = graph.node[rng.randrange(place + 1, len(graph.node))]
        user.input[rng.randrange(len(user.input))] = "added"


def _mutate_shape(graph: Any, rng: random.Random) -> None:
    value = rng.choice([*graph.input, *graph.output, *graph.value_info])
    tensor = value.type.tensor_type
    choice = rng.randrange(4)
    if choice == 0:
        tensor.elem_type = rng.randrange(24)
    elif choice == 1 and tensor.shape.dim:
        tensor.shape.dim[rng.randrange(len(tensor.shape.dim))].dim_value = rng.choice(NUMBERS)
    elif choice == 2:
        tensor.shape.dim.add(dim_value=rng.choice(NUMBERS))
    else:
        value.name = rng.choice(["x", "clips", "frames", "logits", "probabilities"])


def _mutate_model(model: Any, rng: random.Random) -> None:
    choice = rng.randrange(7)
    if choice == 0:
        model.opset_import[0].version = rng.choice([1, 11, 17, 19, 21, 27, 2**31, -1])
    elif choice == 1:
        model.ir_version = rng.choice([0, 3, 99, 2**62])
    elif choice == 2:
        node = onnx.helper.make_node("Relu", ["x"], ["y"])
        opset = [onnx.helper.make_opsetid("", 18)]
        model.functions.append(onnx.helper.make_function("mine", "F", ["x"], ["y"], [node], opset))
    elif choice == 3:
        model.graph.sparse_initializer.add()
    elif choice == 4:
        model.graph.node.remove(rng.choice(model.graph.node))
    else:
        entry = rng.choice(model.metadata_props)
        hostile = [
            json.dumps(_mutated(["left", "right", "still"], rng)),
            "[" * 100_000,
            "",
            "9" * 5000,
            "\x1b[2J",
            "[]",
        ]
        entry.value = rng.choice(hostile)


def graph(files: Files, rng: random.Random) -> None:
    """The ONNX file with one to three changes of nodes, attributes, tensors, shapes, metadata or operator set."""
    model = onnx.load_model_from_string(files[bundles.ONNX])
    for _ in range(rng.choice([1, 1, 2, 3])):
        part = rng.choice([_mutate_node, _mutate_attribute, _mutate_tensor, _add_node, _mutate_shape, _mutate_model])
        with contextlib.suppress(ValueError, TypeError, IndexError):  # an earlier change leaves nothing to change here
            part(model if part is _mutate_model else model.graph, rng)
    files[bundles.ONNX] = model.SerializeToString()


def onnx_bytes(files: Files, rng: random.Random) -> None:
    """Some bytes of the ONNX file are others, or its end is missing."""
    data = bytearray(files[bundles.ONNX])
    for _ in range(rng.randint(1, 20)):
        data[rng.randrange(len(data) if rng.random() < 0.5 else min(len(data), 20_000))] = rng.randrange(256)
    files[bundles.ONNX] = bytes(data[: rng.randrange(len(data))] if rng.random() < 0.2 else data)


MUTATIONS: tuple[Callable[[Files, random.Random], None], ...] = (
    overwrite, cut, exchange, json_value, json_value, labels, strategy, header, arrays, arrays,
)  # fmt: skip


def mutated(files: Files, seed: int, number: int) -> tuple[str, Files]:
    """The name of mutation `number`, and the files after it."""
    rng = random.Random(f"{seed} {number}")
    mutations = (*MUTATIONS, *(graph,) * 8, *(onnx_bytes,) * 2) if bundles.ONNX in files else MUTATIONS
    mutation = mutations[number % len(mutations)]
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
            warnings.simplefilter("ignore", variants.BatchNormWarning)
            model = loading.load(folder, strategy="s" if number % 3 == 2 else None, device="cpu")
    except StzooError as error:
        return str(error)
    assert isinstance(model.net, nn.Module)
    with torch.no_grad():
        logits = model.net(torch.zeros(1, 3, 2, 32, 32))
    if logits.shape != (1, len(model.labels)) or logits.dtype != torch.float32:
        raise AssertionError(f"mutation {number} loads, and answers {logits.dtype} of shape {tuple(logits.shape)}")
    return None


def refusal_of_onnx(folder: Path, number: int) -> str | None:
    """Loads a folder with a changed ONNX file on a runtime. The sentence that refuses it or passes it over, or None.

    `auto` loads in any case where the rest of the bundle is good, since torch runs what the file may not.
    """
    runtimes = ["onnxruntime", *(["openvino"] if is_there("openvino") else []), "auto"]
    said: list[str] = []
    try:
        runtime: Any = runtimes[number % len(runtimes)]
        model = loading.load(folder, device="cpu", runtime=runtime, say=said.append)
        scores = model.scores_of(np.zeros((2, 2, 32, 32, 3), np.uint8))
    except StzooError as error:
        return str(error)
    if scores.shape != (len(model.labels),) or not np.isfinite(scores).all():
        raise AssertionError(f"mutation {number} loads, and answers {scores}")
    return said[0] if said else None


class ContainedError(Exception):
    """A bundle that crashed, hung, took too much memory, or raised something else than our errors."""


def contained(folder: Path, kind: str, number: int, seconds: int, megabytes: int) -> tuple[str | None, float, int]:
    """What `refusal` says, in a process of its own with limits; and its processor time and how large it grew, in MB.

    Raises `ContainedError` for anything else than an answer or a refusal.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            with open("/proc/self/statm") as statm:
                taken = int(statm.read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (taken + megabytes * 2**20,) * 2)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.alarm(seconds)
            ask = refusal_of_onnx if kind in (graph.__name__, onnx_bytes.__name__) else refusal
            answer = json.dumps({"sentence": ask(folder, number)})
        except BaseException as error:
            answer = json.dumps({"error": repr(error)[:2000]})
        os.write(writer, answer.encode()[:60_000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    _, status, usage = os.wait4(child, 0)
    if os.WIFSIGNALED(status):
        raise ContainedError(f"died of {signal.Signals(os.WTERMSIG(status)).name}")
    said = json.loads(text)
    if "error" in said:
        raise ContainedError(said["error"])
    return said["sentence"], usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024  # Linux counts kilobytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundles", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=60, help="a bundle that takes longer ends the program")
    parser.add_argument("--megabytes", type=int, default=2048, help="more than this, and the program ends")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # a process that has run threads cannot be forked safely
    counts: dict[str, Counter[str]] = {}
    slowest, largest = 0.0, 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        files = read_files(add_onnx(good_bundle(Path(name) / "good")))
        for number in range(arguments.bundles):
            kind, changed = mutated(files, arguments.seed, number)
            with tempfile.TemporaryDirectory(dir=name) as place:
                write_files(Path(place) / "bundle", changed, number)
                try:
                    limits = arguments.seconds, arguments.megabytes
                    sentence, seconds, size = contained(Path(place) / "bundle", kind, number, *limits)
                except ContainedError as error:
                    raise SystemExit(f"mutation {number} ({kind}) of seed {arguments.seed}: {error}") from error
            slowest, largest = max(slowest, seconds), max(largest, size)
            counts.setdefault(kind, Counter())["loads" if sentence is None else "refused"] += 1
    print(f"{arguments.bundles} bundles, seed {arguments.seed}\n\n| mutation | loads | refused |\n|---|---:|---:|")
    for kind, count in counts.items():
        print(f"| {kind} | {count['loads']} | {count['refused']} |")
    print(f"\nslowest {slowest:.2f} s of processor time, largest size {largest} MB")
    print(f"{time.monotonic() - began:.0f} s in all")


if __name__ == "__main__":
    main()
