"""Options about training logs that `fit` and `forecast` share."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, cast

import typer

from peakedtheory._common.checks import fail
from peakedtheory._common.progress import reporter
from peakedtheory.curves.choices import OriginChoice, WindowChoice

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
BitsFlag = Annotated[bool, typer.Option("--bits", help="Losses are in bits, not nats.")]
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


@contextmanager
def reading() -> Iterator[None]:
    """Show that logs are read, and print warnings as single lines on standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            with reporter(True, "reading"):
                yield
        finally:
            for text in dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, UserWarning)):
                typer.echo(f"warning: {text}", err=True)


def parse_columns(texts: list[str] | None) -> dict[str, str]:
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
