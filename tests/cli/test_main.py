"""The command as a whole: its table, its errors and how fast it answers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
import rich_click as click
from click.testing import CliRunner, Result

import stzoo
from stzoo import cli
from stzoo.errors import RecipeError, UsageError, VideoError
from tests.conftest import MakeVideo


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module of commands that end in every way a command can end."""
    module = types.ModuleType("fake_commands")

    def ending(error: BaseException | None) -> click.Command:
        @click.command()
        @click.option("--model")
        def run(model: str | None) -> None:
            if error is not None:
                raise error
            click.echo(f"model {model}")

        return run

    endings = {
        "fine": None,
        "video": VideoError("x.mp4 is empty"),
        "usage": UsageError("say which"),
        "recipe": RecipeError("two problems:\n  a\n  b"),
        "stopped": KeyboardInterrupt(),
        "full": OSError(28, "No space left on device", "out.json"),
        "fuller": OSError(28, "No space left on device"),
        "bug": ZeroDivisionError("a bug"),
        "code": click.exceptions.Exit(3),
    }
    for name, error in endings.items():
        setattr(module, name, ending(error))
    monkeypatch.setitem(sys.modules, "fake_commands", module)
    table = {name: cli.Entry(f"fake_commands:{name}", f"Line of {name}.") for name in endings}
    monkeypatch.setattr(cli, "COMMANDS", table)
    monkeypatch.delenv("STZOO_DEBUG", raising=False)
    return module


def run(*args: str) -> Result:
    return CliRunner().invoke(cli.main, args, prog_name="stzoo")


def stzoo_process(*args: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stzoo", *args],
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
        **options,  # type: ignore[call-overload]
    )


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_of_the_table_loads_and_has_help(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0, result.output
    assert f"stzoo {name}" in result.output


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_breaks_no_option_and_no_choice_at_80_columns(name: str) -> None:
    command = cli.COMMANDS[name].load()
    below = command.commands if isinstance(command, click.Group) else {"": command}
    for inner, one in below.items():
        words = {option for parameter in one.params for option in parameter.opts if option.startswith("--")}
        for parameter in one.params:
            words |= {*map(str, parameter.type.choices)} if isinstance(parameter.type, click.Choice) else set()
        text = run(name, *filter(None, [inner]), "--help").output
        assert not [word for word in words if not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)]


@pytest.mark.parametrize(
    ("option", "hint"), [("--budget", ""), ("--modle", "Did you mean '--model'?"), ("--clip", "--clips"), ("--zzz", "")]
)
def test_only_near_options_are_offered(option: str, hint: str) -> None:
    for command in ("train", "finetune") if option == "--budget" else ("predict",):
        result = run(command, option, "1")
        assert result.exit_code == 2
        assert hint in result.stderr
        assert ("mean" in result.stderr) == bool(hint)


HOSTILE = "x\x1b]0;title\x07\x9b2J\u202egpj"


@pytest.mark.parametrize(
    "args",
    [
        ("predict", HOSTILE),
        ("list", HOSTILE),
        ("list", "--dataset", HOSTILE),
        ("show", HOSTILE),
        ("diff", HOSTILE, "sthv1-opt"),
        ("evaluate", HOSTILE, "--data", "."),
        ("measure", HOSTILE),
        ("train", HOSTILE),
        ("data", "check", HOSTILE),
        (HOSTILE,),
    ],
)
def test_no_name_steers_the_terminal(args: tuple[str, ...]) -> None:
    result = run(*args)
    assert result.exit_code != 0
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(result.output)


def test_names_are_exact_for_programs_and_clean_for_people(
    tiny_bundle: Path, make_video: MakeVideo, tmp_path: Path
) -> None:
    video = make_video("a.mp4", 4).rename(tmp_path / f"{HOSTILE}\nError: forged.mp4")
    command = ("predict", str(video), "--model", str(tiny_bundle))
    text = run(*command)
    assert text.exit_code == 0, text.output
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text.output)
    assert not any(line.startswith("Error") for line in text.output.splitlines())
    assert HOSTILE in run(*command, "--format", "csv").stdout
    assert json.loads(run(*command, "--format", "json").stdout)[0]["path"] == str(video)


@pytest.mark.parametrize("form", ["csv", "jsonl", "json"])
def test_what_is_for_programs_is_utf_8_whatever_the_console(form: str, make_video: MakeVideo, tmp_path: Path) -> None:
    video = make_video("a.mp4", 4).rename(tmp_path / "日本 é.mp4")
    done = subprocess.run(
        [sys.executable, "-m", "stzoo", "predict", str(video), "--topk", "1", "--format", form],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
        timeout=300,
        check=True,
    )
    text = done.stdout.decode("utf-8")
    assert "日本 é.mp4" in (text if form == "csv" else json.dumps(json.loads(text), ensure_ascii=False))


def test_a_terminal_without_bars_gets_an_answer_all_the_same() -> None:
    done = stzoo_process("show", "published:k400", env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert "B1.L1" in done.stdout


def test_the_table_lists_the_commands_of_the_readme() -> None:
    looking = ["predict", "embed", "calibrate", "evaluate", "list", "show", "diff", "export", "page", "verify"]
    running = ["measure", "train", "finetune", "select", "effects", "compare", "data"]
    assert list(cli.COMMANDS) == [*looking, "benchmark", "check", "serve", "publish", *running]


def test_help_shows_every_command_without_importing_it(fake: types.ModuleType) -> None:
    del sys.modules["fake_commands"]
    result = run("--help")
    assert result.exit_code == 0
    assert "Line of fine." in result.output
    assert "Line of bug." in result.output


def test_a_command_runs(fake: types.ModuleType) -> None:
    result = run("fine", "--model", "m")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "model m\n", "")


@pytest.mark.parametrize(
    ("name", "code", "sentence"),
    [
        ("video", 1, "Error: x.mp4 is empty\n"),
        ("usage", 2, "Error: say which\n"),
        ("recipe", 1, "Error: two problems:\n  a\n  b\n"),
        ("full", 1, "Error: No space left on device: out.json\n"),
        ("fuller", 1, "Error: No space left on device\n"),
        ("code", 3, ""),
    ],
)
def test_an_error_is_a_sentence_and_a_code(fake: types.ModuleType, name: str, code: int, sentence: str) -> None:
    result = run(name)
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", sentence)


def test_an_interrupt_is_quiet(fake: types.ModuleType) -> None:
    result = run("stopped")
    assert result.exit_code == 130
    assert result.stdout == ""
    assert result.stderr.strip() == ""


@pytest.mark.parametrize("ending", ["raise AttributeError(\"module 'numpy' has no attribute 'matrix'\")", "pass"])
def test_an_interrupt_that_a_library_swallowed_is_quiet_too(ending: str) -> None:
    program = """
import contextlib, signal, sys, types
import rich_click as click
from stzoo import cli

@click.command()
def half_imported():
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    ENDING

sys.modules["library"] = module = types.ModuleType("library")
module.half_imported = half_imported
cli.COMMANDS["half"] = cli.Entry("library:half_imported", "")
signal.signal(signal.SIGINT, signal.default_int_handler)
cli.main(["half"])
"""
    program = program.replace("ENDING", ending)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_bug_keeps_its_traceback(fake: types.ModuleType) -> None:
    assert isinstance(run("bug").exception, ZeroDivisionError)


def test_debug_lets_the_traceback_through(fake: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STZOO_DEBUG", "1")
    assert isinstance(run("video").exception, VideoError)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["predct"], 'Error: stzoo has no command "predct". Did you mean "predict"? See "stzoo --help".\n'),
        (["--verson"], "No such option"),
        (["xyzzy"], 'Error: stzoo has no command "xyzzy". See "stzoo --help".\n'),
    ],
)
def test_a_call_that_cannot_be_meant_exits_with_2(args: list[str], sentence: str) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_a_wrong_option_points_to_the_commands_help(fake: types.ModuleType) -> None:
    result = run("fine", "--modle", "x")
    assert result.exit_code == 2
    assert "--model" in result.stderr
    assert result.stderr.endswith('See "stzoo fine --help".\n')


def test_version_is_the_packages() -> None:
    assert stzoo_process("--version").stdout == f"stzoo {stzoo.__version__}\n"


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from stzoo.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'av', 'cv2', 'matplotlib', 'onnxruntime'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.name == "nt", reason="pipes break differently on Windows")
def test_a_closed_pipe_ends_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "stzoo", "--help"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
        check=False,
    )
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == cli.EXIT_BROKEN_PIPE
