"""Command line of peakedtheory: a table of commands, each the function `command` of the module so named."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Collection
from importlib import metadata

import typer

from peakedtheory._common.checks import one_line

#: Commands and their lines in the help. A command is the module of its name.
COMMANDS = {
    "expand": "Expand the free energy at low and high temperature.",
    "entropy": "Find the β* at which energies have a given entropy.",
    "estimate": "Estimate free energies and losses by Monte Carlo.",
    "regime": "Say which exponent the loss follows, where and why.",
    "flow": "Predict a training run: loss, β and local exponent.",
    "schedule": "Compare learning-rate schedules by predicted loss.",
    "fit": "Fit laws to training logs and say which is best.",
    "forecast": "Forecast the loss of a run, with an interval.",
    "train": "Train students towards teachers, beside the theory.",
    "reproduce": "Train, predict, compare and draw: one report with figures and a verdict on every claim.",
    "evaluate": "Evaluate checkpoints of MODEL: loss, entropy, logit scale, margins and β* of predictions.",
    "verify": "Check the identities of the theory on random cases.",
}
_LONG = 900  # characters of a message, whose parts are shortened already
_HELP = "Numerical theory of learning peaked distributions: softmax, cross-entropy and the one-third law."


def application(called: Collection[str] = tuple(COMMANDS)) -> typer.Typer:
    """Return the command line; only the modules of commands that are `called` are imported."""
    app = typer.Typer(
        name="peakedtheory",
        help=_HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    app.callback(invoke_without_command=True)(_version)
    for name, line in COMMANDS.items():
        command = importlib.import_module(f"{__name__}.{name}").command if name in called else _named
        app.command(name, short_help=line)(command)
    return app


def _named() -> None:
    """Stand in the help for a command that is not called."""


def _version(version: bool = typer.Option(False, "--version", help="Print the version and leave.")) -> None:
    if version:
        typer.echo(metadata.version("peakedtheory"))
        raise typer.Exit


def _readable(message: str) -> str:
    """Return a message as it is if it can be read, else on one line and without its middle."""
    return message if len(message) < _LONG and message.isprintable() else one_line(message)


def _show(message: Warning | str, *_: object) -> None:
    """Show a warning as commands say things: one line."""
    typer.echo(f"warning: {one_line(str(message))}", err=True)


#: Options that are unknown, missing or of the wrong type.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def main() -> None:
    """Run the command line; bad input ends with one line and exit status 2, an interrupt with 130."""
    arguments = sys.argv[1:]
    warnings.showwarning = _show
    try:
        app = application(arguments)
        sys.exit(app(standalone_mode=False) if arguments else app())
    except _UsageError as error:
        command = error.ctx.command_path if error.ctx else "peakedtheory"  # type: ignore[attr-defined]
        message = _readable(error.format_message().rstrip("."))  # type: ignore[attr-defined]
        typer.echo(f"error: {message}; see {command} -h", err=True)
        sys.exit(2)
    except (ValueError, OSError) as error:
        typer.echo(f"error: {_readable(str(error))}", err=True)
        sys.exit(2)
    except typer.Abort:
        typer.echo("interrupted", err=True)
        sys.exit(130)
