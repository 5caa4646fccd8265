"""The command `stzoo`. Its subcommands are imported when they run, so `stzoo --help` answers at once.

A module a command:
    predict      `stzoo predict`
    embed        `stzoo embed`
    calibrate    `stzoo calibrate`
    evaluate     `stzoo evaluate`
    list_models  `stzoo list`
    show         `stzoo show`
    diff         `stzoo diff`
    export       `stzoo export`
    page         `stzoo page`
    verify       `stzoo verify`
    benchmark    `stzoo benchmark`
    check        `stzoo check`
    serve        `stzoo serve`
    publish      `stzoo publish`
    measure      `stzoo measure`
    train        `stzoo train`
    finetune     `stzoo finetune`
    select       `stzoo select`
    effects      `stzoo effects`
    compare      `stzoo compare`
    data         `stzoo data make`
    data_check   `stzoo data check`
    data_shrink  `stzoo data shrink`

What they share:
    options         options of several commands, and the model that they ask for
    inputs          files, folders, patterns and lists that a command line means
    strategy_names  strategies that a command line means
    writers         predictions and timelines as text, JSON, JSON lines, CSV or subtitles
    timeline        `--timeline`, `--render` and `--figure` of `stzoo predict`
    live            `--timeline` on a camera, an address or a pipe
    rendering       what these draw: a video with labels on it, the figure of a timeline
    train_recipe    a recipe trained, and the table of what it reaches
    own_data        a run on a user's own videos
    dry_run         `--dry-run` of `stzoo train` and `stzoo finetune`
    torchvision     the nets of torchvision in lists
    drawing         tables and bars in the terminal
    interrupts      how an interrupted command ends
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NoReturn

import rich_click as click

import stzoo
from stzoo.cli.interrupts import remembering_interrupts
from stzoo.errors import StzooError, UsageError, debugging, did_you_mean, translated
from stzoo.terminal.cleaning import clean, cleaned

EXIT_INTERRUPTED = 130
_NEAR = 0.7  # of an option that is offered for one that does not exist
EXIT_BROKEN_PIPE = 1  # click's own choice when the pipe breaks inside a command


@dataclass(frozen=True)
class Entry:
    """Where a command lives, as `module:attribute`, and its line in `stzoo --help`."""

    target: str
    help: str

    def load(self) -> click.Command:
        """Imports the command."""
        module, _, attribute = self.target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.target} is not a click command")
        return command


COMMANDS = {
    "predict": Entry("stzoo.cli.predict:predict", "Say what happens in one or more video files."),
    "embed": Entry("stzoo.cli.embed:embed", "Write what a model makes of videos as vectors, to search among them."),
    "calibrate": Entry("stzoo.cli.calibrate:calibrate", "Fit how far a model's scores are to be believed."),
    "evaluate": Entry("stzoo.cli.evaluate:evaluate", "Measure a model on labelled videos."),
    "list": Entry("stzoo.cli.list_models:list_models_command", "List the models of the zoo."),
    "show": Entry("stzoo.cli.show:show", "Show one model: its strategy, marginals and numbers."),
    "diff": Entry("stzoo.cli.diff:diff", "Show where two strategies differ."),
    "export": Entry("stzoo.cli.export:export", "Write a model as ONNX, checked against torch."),
    "page": Entry("stzoo.cli.page:page", "Write a page that runs a model in the browser."),
    "verify": Entry("stzoo.cli.verify:verify", "Check that a model answers here as it did where it was made."),
    "benchmark": Entry("stzoo.cli.benchmark:benchmark", "Measure how fast a model is on this machine."),
    "check": Entry("stzoo.cli.check:check", "Say what there is on this machine, and whether it works."),
    "serve": Entry("stzoo.cli.serve:serve", "Serve a model over HTTP."),
    "publish": Entry("stzoo.cli.publish:publish", "Put a bundle into a Hub repository, in one commit."),
    "measure": Entry("stzoo.cli.measure:measure", "Count a network's parameters, multiply-adds and activations."),
    "train": Entry("stzoo.cli.train:train", "Run a recipe from warm-up to bundle, or go on with it."),
    "finetune": Entry("stzoo.cli.finetune:finetune", "Train a model further on your own videos and classes."),
    "select": Entry("stzoo.cli.select:select", "Draw strategies from a trained posterior and keep the best."),
    "effects": Entry("stzoo.cli.effects:effects", "Say what each branch of a template is worth, and what it costs."),
    "compare": Entry("stzoo.cli.compare:compare", "Compare the posteriors and effects of several runs."),
    "data": Entry("stzoo.cli.data:data", "Make datasets, and check or shrink any."),
}


class LazyGroup(click.RichGroup):
    """A group whose commands come out of `COMMANDS`, and the one place where errors become sentences and exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of the table: the main job first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A stand-in that knows its name and its line of help; `resolve_command` imports the real one."""
        entry = COMMANDS.get(cmd_name)
        return click.RichCommand(name=cmd_name, help=entry.help) if entry else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names. Raises `UsageError` for an unknown one, and for empty words."""
        name, *rest = args
        if "" in rest and not ctx.resilient_parsing:
            raise UsageError(f"an empty word was given to stzoo {name}, perhaps out of a variable that is not set")
        if ctx.resilient_parsing and name not in COMMANDS:
            return None, None, rest
        if name not in COMMANDS:
            raise UsageError(f'stzoo has no command "{name}".{did_you_mean(name, COMMANDS)} See "stzoo --help".')
        return name, COMMANDS[name].load(), rest

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs the command and exits: 0, or the error's own code with one sentence on stderr.

        STZOO_DEBUG=1 in the environment lets the traceback through.
        """
        if not standalone_mode or debugging():
            return super().main(args, prog_name, complete_var, standalone_mode, **extra)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # bars and dashes where the terminal's encoding has none
        os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # of a damaged picture, a sentence of ours is enough
        words = sys.argv[1:] if args is None else args
        is_help = list(words) in ([], ["data"]) or not {"-h", "--help"}.isdisjoint(
            words
        )  # it has colours, and names of ours alone
        with nullcontext() if is_help else cleaned(), _sentences(), remembering_interrupts() as interrupted:
            try:
                result = super().main(args, prog_name, complete_var, False, **extra)
                sys.stdout.flush()
                if interrupted.is_set():  # a library swallowed it; a loop in a shell must end all the same
                    sys.exit(EXIT_INTERRUPTED)
            except StzooError as error:
                if interrupted.is_set():
                    sys.exit(EXIT_INTERRUPTED)
                _fail(f"Error: {error}", error.exit_code)
            except click.NoSuchOption as error:
                if error.possibilities:
                    near = [name for name in error.possibilities if _is_near(error.option_name, name)]
                    error.possibilities[:] = near
                _fail(f"Error: {error.format_message()}{_see_help(error)}", error.exit_code)
            except click.ClickException as error:
                _fail(f"Error: {error.format_message()}{_see_help(error)}", error.exit_code)
            except (click.Abort, KeyboardInterrupt):
                sys.exit(EXIT_INTERRUPTED)
            except BrokenPipeError:
                _discard_output()
                sys.exit(EXIT_BROKEN_PIPE)
            except OSError as error:
                if error.filename is None and error.errno != errno.ENOSPC:
                    raise
                where = f": {error.filename}" if error.filename is not None else ""
                _fail(f"Error: {error.strerror}{where}", StzooError.exit_code)
            except Exception as error:
                if isinstance(error, ModuleNotFoundError) and (missing := translated(error)) is not None:
                    _fail(f"Error: {missing}", missing.exit_code)
                if interrupted.is_set():
                    sys.exit(EXIT_INTERRUPTED)
                raise
        # Without standalone mode click returns the code of `ctx.exit(code)`; commands themselves return nothing.
        sys.exit(result if isinstance(result, int) else 0)


@contextmanager
def _sentences() -> Iterator[None]:
    """Warnings of stzoo's own kinds are sentences on standard error, without the line of code that they come from."""
    with warnings.catch_warnings():
        otherwise = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if category.__module__.startswith("stzoo."):
                click.echo(f"Warning: {message}", err=True)
            else:
                otherwise(message, category, *place, **more)

        warnings.showwarning = show
        yield


def _fail(sentence: str, exit_code: int) -> NoReturn:
    click.echo(clean(sentence), err=True)
    sys.exit(exit_code)


def _is_near(word: str, option: str) -> bool:
    """Whether an option may have been meant; what all of them begin with makes none like another."""
    return bool(did_you_mean(word.lstrip("-"), [option.lstrip("-")], cutoff=_NEAR))


def _see_help(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f' See "{context.command_path} --help".' if context is not None else ""


def _discard_output() -> None:
    """Points stdout at nothing, so that the interpreter's last flush does not complain about the closed pipe."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(stzoo.__version__, "-V", "--version", prog_name="stzoo", message="%(prog)s %(version)s")
def main() -> None:
    """3D convolutional networks for video whose spatiotemporal fusion is learnt.

    Predict with a model of the zoo, or train one: a recipe says everything, a run can be stopped and goes on.
    """
