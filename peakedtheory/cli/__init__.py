"""Command line of peakedtheory: a table of commands, each the function `command` of the module so named."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib import metadata

import typer

#: In the order of the help. A command is the module of its name; it is imported only when it is wanted.
COMMANDS = (
    "expand",
    "entropy",
    "estimate",
    "regime",
    "flow",
    "schedule",
    "fit",
    "forecast",
    "train",
    "reproduce",
    "evaluate",
    "verify",
)
_HELP = "Numerical theory of learning peaked distributions: softmax, cross-entropy and the one-third law."


def application(commands: Sequence[str] = COMMANDS) -> typer.Typer:
    """Return the command line with the `commands` that are named, whose modules it imports."""
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
    for name in commands:
        app.command(name)(importlib.import_module(f"{__name__}.{name}").command)
    return app


def _version(version: bool = typer.Option(False, "--version", help="Print the version and leave.")) -> None:
    if version:
        typer.echo(metadata.version("peakedtheory"))
        raise typer.Exit


def _wanted(arguments: Sequence[str]) -> Sequence[str]:
    """Return the commands that these arguments need: one if it is called, all for help and mistakes."""
    if arguments[:1] == ["--version"]:
        return ()
    return arguments[:1] if arguments and arguments[0] in COMMANDS else COMMANDS


#: Options that are unknown, missing or of the wrong type.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def main() -> None:
    """Run the command line; bad input ends with one line and exit status 2, an interrupt with 130."""
    arguments = sys.argv[1:]
    try:
        app = application(_wanted(arguments))
        sys.exit(app(standalone_mode=False) if arguments else app())
    except _UsageError as error:
        command = error.ctx.command_path if error.ctx else "peakedtheory"  # type: ignore[attr-defined]
        message = error.format_message().rstrip(".")  # type: ignore[attr-defined]
        typer.echo(f"error: {message}; see {command} -h", err=True)
        sys.exit(2)
    except (ValueError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except typer.Abort:
        typer.echo("interrupted", err=True)
        sys.exit(130)
