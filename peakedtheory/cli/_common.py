"""Options and output that the commands share."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from peakedtheory._common.checks import fail
from peakedtheory._common.output import atomic_path, check_target, save_dataset

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

Vocabulary = Annotated[
    float,
    typer.Option(
        "--vocab", "-n", help="Number of classes n (vocabulary size).", metavar="N", show_default=False
    ),
]
EnergiesOption = Annotated[
    str,
    typer.Option(
        "--energies",
        help="Distribution of one energy: a scipy.stats name with parameters (laplace, t:df=5, "
        "beta:a=0.3,b=1), atoms:0=0.3,1=0.7, finite-width:m=32, or a .npy/.csv/.txt file of samples.",
        metavar="NAME|FILE",
    ),
]
BetaGrid = Annotated[
    str,
    typer.Option(
        "--beta", help="Inverse temperatures: `1,5,10`, `0:20:41` or `0.1:100:31:log`.", metavar="GRID"
    ),
]
BETAS = "0.1,0.3,1,2,3,5,7,10,20,50,100"
#: Values of a grid.
_MOST = 100_000
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def _figure_file(path: Path | None) -> Path | None:
    return None if path is None else check_target(path, (".png", ".pdf", ".svg"), "plot")


def _results_file(path: Path | None) -> Path | None:
    return None if path is None else check_target(path, (".nc",))


PlotFile = Annotated[
    Path | None,
    typer.Option(
        "--plot", help="Draw a figure into FILE (.png, .pdf or .svg).", metavar="FILE", callback=_figure_file
    ),
]
OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        help="Write the results to FILE.nc (NetCDF).",
        metavar="FILE.nc",
        callback=_results_file,
    ),
]


def parse_grid(argument: str, text: str) -> np.ndarray:
    """Return numbers given as `0.5,1,2` or as `start:stop:count`, with `log` appended for even ratios."""
    try:
        if ":" in text:
            pieces = text.split(":")
            logarithmic = len(pieces) == 4 and pieces[3] == "log"
            if len(pieces) != 3 and not logarithmic:
                raise ValueError
            start, stop, count = float(pieces[0]), float(pieces[1]), int(pieces[2])
            lawful = math.isfinite(start + stop) and (min(start, stop) > 0 or not logarithmic)
            if not (lawful and 1 <= count <= _MOST):
                raise ValueError
            return np.geomspace(start, stop, count) if logarithmic else np.linspace(start, stop, count)
        return np.array([float(piece) for piece in text.split(",")])
    except ValueError:
        fail(
            argument,
            f"must be numbers `0.5,1,2`, a grid `0:20:41` or `0.1:100:31:log`, at most {_MOST} of them",
            repr(text),
            "correct the grid",
        )


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table for people, as wide as its content."""
    from rich.box import SIMPLE  # a quarter of the start of a command that prints none
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE, pad_edge=False)
    for i, name in enumerate(columns):
        table.add_column(name, justify="left" if i == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:  # pipes and files have no edge to wrap at
        console = Console(width=max(console.width, 200))
    console.print(title, style="bold", highlight=False)
    console.print(table)


def print_json(values: dict[str, Any]) -> None:
    """Print one JSON object; infinite numbers and NaN become null."""
    typer.echo(json.dumps(_plain(values), indent=2, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def save_results(ctx: typer.Context, dataset: xarray.Dataset, path: Path, **resolved: Any) -> None:
    """Write a NetCDF file with every option of the command, those `resolved` as they were understood."""
    options = {k: v for k, v in ctx.params.items() if k not in ("json", "plot", "output")} | resolved
    for name, value in options.items():
        if isinstance(value, (list, tuple)):
            options[name] = ",".join(map(str, value))
        elif value is None:
            options[name] = ""
    save_dataset(dataset, path, options)
    typer.echo(f"results written to {path}", err=True)


def save_figure(path: Path | None, draw: Callable[..., Figure], *results: Any) -> None:
    """Draw `results` into the file that `--plot` names, if it was given, in the format of its suffix."""
    if path is None:
        return
    figure = draw(*results)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=160)
    typer.echo(f"figure written to {path}", err=True)


def number(value: float, digits: int = 10) -> str:
    """Return a number with fixed decimals, or in scientific form where those would hide it."""
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "-∞"}.get(value, "–")
    if value != 0.0 and (abs(value) < 10.0 ** (-digits + 3) or abs(value) >= 1e9):
        return f"{value:.{max(digits - 4, 2)}e}"
    return f"{value:.{digits}f}"


def difference(value: float) -> str:
    """Return a difference in short scientific form."""
    return f"{value:+.1e}" if math.isfinite(value) else "–"
