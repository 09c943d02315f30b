"""Command line of peakedtheory, one module per command group."""

from __future__ import annotations

import sys

import typer

from peakedtheory.cli import (
    entropy,
    estimate,
    evaluate,
    expand,
    fit,
    flow,
    forecast,
    regime,
    reproduce,
    schedule,
    train,
    verify,
)

app = typer.Typer(
    name="peakedtheory",
    help="Numerical theory of learning peaked distributions: softmax, cross-entropy and the one-third law.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
for module in (
    expand,
    entropy,
    estimate,
    regime,
    flow,
    schedule,
    fit,
    forecast,
    train,
    reproduce,
    evaluate,
    verify,
):
    app.command(module.NAME)(module.command)


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version and leave.")) -> None:
    if version:
        from importlib import metadata

        typer.echo(metadata.version("peakedtheory"))
        raise typer.Exit


#: Options that are unknown, missing or of the wrong type.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def main() -> None:
    """Run the command line; bad input ends with one line and exit status 2, an interrupt with 130."""
    try:
        sys.exit(app(standalone_mode=False) if sys.argv[1:] else app())
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
