"""`stzoo check`: what there is on this machine, and whether it works."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import rich_click as click

from stzoo.cli.drawing import UNKNOWN, megabytes, pairs, plain_table, print_parts
from stzoo.cli.options import format_option

if TYPE_CHECKING:
    from stzoo.zoo.checking import Findings


@click.command()
@click.pass_context
@click.option("--offline", is_flag=True, default=None, help="Do not ask the Hub.  [default: HF_HUB_OFFLINE decides]")
@format_option
def check(context: click.Context, /, offline: bool | None, format_: str) -> None:
    """Say what there is on this machine, and whether it works.

    Versions, devices, runtimes (each of them predicts the sample), the decoder and its licences, caches and the Hub,
    which is asked once. The exit code is 1 when something will not work; a line on standard error says what to do.
    """
    from stzoo.zoo.checking import check as look

    findings = look(offline=offline)
    if format_ == "json":
        click.echo(json.dumps(findings.to_json(), indent=2, ensure_ascii=False))
    else:
        print_parts(*_parts(findings))
    for remark in findings.remarks:
        click.echo(f"Note: {remark}.", err=True)
    for problem in findings.problems:
        click.echo(f"Error: {problem}.", err=True)
    if findings.problems:
        context.exit(1)


def _parts(findings: Findings) -> list[Any]:
    facts = findings.to_json()
    runtimes = plain_table("runtime", "version", "runs on", "")
    for name, runtime in facts["runtimes"].items():
        if runtime is None:
            runtimes.add_row(name, UNKNOWN, UNKNOWN, "not installed")
            continue
        verdict = "predicts" if runtime["works"] else "does not predict"
        runtimes.add_row(name, runtime.get("version", UNKNOWN), ", ".join(runtime.get("providers", ())), verdict)
    packages = {name: version or UNKNOWN for name, version in facts["packages"].items()}
    caches = plain_table("cache", "size:right", "folder")
    for name, cache in facts["caches"].items():
        caches.add_row(name, megabytes(cache["bytes"]), cache["folder"])
    decoder = facts["decoder"]
    answers = {True: "answers", False: "does not answer", None: "not asked"}[facts["hub"]["answers"]]
    about = {
        "stzoo": facts["stzoo"],
        **{name: str(value) for name, value in facts["machine"].items()},
        "GPUs": ", ".join(facts["devices"]) or "none",
        "decoder": UNKNOWN if decoder is None else _decoder(decoder),
        "Hub": f"{facts['hub']['endpoint']} {answers}",
    }
    return [pairs(about), runtimes, caches, pairs(packages)]


def _decoder(decoder: dict[str, Any]) -> str:
    gpl = f"; {' and '.join(decoder['gpl'])} in it: GPL" if decoder["gpl"] else ""
    return f"PyAV {decoder['av']} with FFmpeg {decoder['ffmpeg']}, {decoder['licence']}{gpl}"
