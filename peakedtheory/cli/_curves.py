"""Options about training logs that `fit` and `forecast` share."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, cast

import typer

from peakedtheory._common.checks import fail
from peakedtheory._common.progress import reporter
from peakedtheory.curves.choices import OriginChoice, WindowChoice
from peakedtheory.curves.curve import LossCurve
from peakedtheory.curves.logs.series import RESTARTS, Restarts
from peakedtheory.curves.readers import read_loss_curves

#: Of more curves the notes are not printed.
_MOST_NOTED = 10
_MOST_NAMED = 6

ScheduleOption = Annotated[
    list[str] | None,
    typer.Option(
        "--schedule",
        help="Learning rates behind the log, for example cosine:peak=3e-4,warmup=2160,steps=72000,final=3e-5;"
        " once for all files or once for each.",
        metavar="TEXT",
    ),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        help="Name of a column in the file: loss=…, step=…, lr=…; may be repeated.",
        metavar="KEY=NAME",
    ),
]
ValidationFlag = Annotated[
    bool, typer.Option("--validation", help="Take the validation loss where both are logged.")
]
BitsFlag = Annotated[
    bool | None,
    typer.Option(
        "--bits/--nats", help="Unit of the losses; by default what the log shows.", show_default=False
    ),
]
RunOption = Annotated[
    list[str] | None,
    typer.Option(
        "--run", help="A run of a log that holds several, by its name there; may be repeated.", metavar="NAME"
    ),
]
RestartsOption = Annotated[
    str,
    typer.Option(
        "--restarts",
        help="Steps that go back: replace the earlier records, shift (the count began anew after a resume),"
        " or apart (runs of their own); auto replaces, and asks where the losses contradict that.",
        metavar="|".join(RESTARTS),
    ),
]
WeighFlag = Annotated[
    bool,
    typer.Option("--weigh", help="Weigh records by the noise around them, which may change along a run."),
]
EveryOption = Annotated[
    float | None,
    typer.Option("--every", help="Steps between records of a log that does not count them.", metavar="N"),
]
BytesOption = Annotated[
    float | None,
    typer.Option("--bytes-per-token", help="Losses are per byte; mean bytes of a token.", metavar="X"),
]
WindowOption = Annotated[
    str | None,
    typer.Option(
        "--window", help="First and last step to fit, 2000:60000; by rule otherwise.", metavar="A:B"
    ),
]
OriginOption = Annotated[
    str,
    typer.Option("--origin", help="Where time starts: auto, fit, or a number.", metavar="auto|fit|NUMBER"),
]


def read_logs(
    files: list[Path],
    *,
    column: list[str] | None,
    schedules: list[str] | None,
    validation: bool,
    bits: bool | None,
    bytes_per_token: float | None,
    run: list[str] | None,
    restarts: str,
    every: float | None,
    weigh: bool,
    one_run: bool = False,
) -> list[LossCurve]:
    """Return the curves in the files, and print what was decided in reading them.

    Where `one_run` is wanted of each file, a file of several asks which.
    """
    with _reading():
        curves = read_loss_curves(
            files,
            columns=_columns(column),
            schedules=schedules,
            split="validation" if validation else "auto",
            bits=bits,
            bytes_per_token=bytes_per_token,
            runs=run or (),
            restarts=cast(Restarts, restarts),
            every=every,
        )
    if len(curves) > len(files):
        _tell_runs(curves, len(files), one_run and not run)
    for curve in curves[:_MOST_NOTED]:
        for note in curve.metadata["notes"]:
            typer.echo(f"note: {curve.name}: {note}", err=True)
    return [curve.with_local_noise() for curve in curves] if weigh else curves


def _tell_runs(curves: list[LossCurve], files: int, ask: bool) -> None:
    """Say which runs the files hold, or ask which of them is meant."""
    more = f" and {len(curves) - _MOST_NAMED} more" if len(curves) > _MOST_NAMED else ""
    names = ", ".join(curve.name for curve in curves[:_MOST_NAMED]) + more
    found = f"{len(curves)} runs in {files} file{'s' if files > 1 else ''}: {names}"
    if ask:
        fail(
            "run", "must name the run to continue, and those to fit with it", found, "choose with --run NAME"
        )
    typer.echo(f"note: {found} (--run NAME takes one)", err=True)


@contextmanager
def _reading() -> Iterator[None]:
    """Show that logs are read, and print warnings as single lines on standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            with reporter(True, "reading"):
                yield
        finally:
            for text in dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, UserWarning)):
                typer.echo(f"warning: {text}", err=True)


def _columns(texts: list[str] | None) -> dict[str, str]:
    """Return the columns that texts of the form KEY=NAME give."""
    return dict(_pair(text) for text in texts or [])


def parse_window(text: str | None) -> WindowChoice:
    """Return the window that `a:b` names; "auto" without one, an open end where a number is missing."""
    if text is None:
        return "auto"
    first, colon, last = text.partition(":")
    try:
        if not colon:
            raise ValueError
        limits = float(first or 0.0), float(last or "inf")
    except ValueError:
        fail("window", "must be `first:last` in steps", repr(text), "write for example 2000:60000")
    if not limits[0] < limits[1]:
        fail("window", "must end after it begins", text, "exchange its limits")
    return limits


def parse_origin(text: str) -> OriginChoice:
    """Return the origin that `text` names."""
    if text in ("auto", "fit"):
        return cast(OriginChoice, text)
    try:
        return float(text)
    except ValueError:
        fail("origin", "must be auto, fit or a number", repr(text), "correct it")


def _pair(text: str) -> tuple[str, str]:
    key, equals, name = text.partition("=")
    if not equals or not name:
        fail("column", "must be KEY=NAME", repr(text), "write for example loss=train/loss")
    return key.strip(), name.strip()
