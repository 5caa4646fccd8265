"""How well a table of units predicts what whole nets take, on a runtime of this machine.

    OMP_NUM_THREADS=1 python benchmarks/latency.py --runtime onnxruntime --out latency.json

takes the template inside the package, camera-motion-opt. The file has every net that was timed; a measurement that was
stopped goes on from it. `stzoo select RUN --budget 3.5ms --runtime onnxruntime` does the same in a run.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from stzoo import bundle as bundles
from stzoo import nets
from stzoo.bundle import rebuild
from stzoo.runtimes import RUNTIMES, threads
from stzoo.space.latency import asked, measure_latency
from stzoo.terminal.progress import counting
from stzoo.zoo.reference import find


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", choices=RUNTIMES, default="onnxruntime")
    parser.add_argument("--out", type=Path, required=True, help="where the table is kept, as JSON")
    options = parser.parse_args()
    torch.set_num_threads(threads())
    folder = find("camera-motion-opt", files=(*bundles.TEXTS, bundles.MODEL, bundles.TEMPLATE)).folder
    bundle = bundles.read(folder)
    template = rebuild.template_of(folder, bundle)
    count = len(asked(nets.architecture(template)))
    with counting("timing", count, unit="nets", show=True) as bar:
        found = measure_latency(
            template, bundle.contract.changed(clips=1), options.runtime, options.out, advance=bar.advance
        )
    print("| strategy | predicted | measured | off by |")
    print("|---|---:|---:|---:|")
    for check in sorted(found.checks, key=lambda check: check.measured):
        units = ", ".join(f"{unit} at {number}" for unit, number in check.strategy.counts().items())
        milliseconds = f"{check.predicted / 1e6:.2f} ms | {check.measured / 1e6:.2f} ms"
        print(f"| {units} | {milliseconds} | {100 * check.error:.1f} % |")
    costs = found.costs
    print(f"cheapest {costs.of(costs.cheapest) / 1e6:.2f} ms, dearest {costs.of(costs.dearest) / 1e6:.2f} ms a clip")
    print(f"{found.text} {found.about['runtime']}, {found.about['machine']}")


if __name__ == "__main__":
    main()
