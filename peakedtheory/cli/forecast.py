"""`peakedtheory forecast`: the loss at more steps or under another schedule, with its interval."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from peakedtheory._common.checks import fail
from peakedtheory._common.progress import reporter
from peakedtheory.cli._common import (
    JsonFlag,
    OutputFile,
    PlotFile,
    parse_grid,
    print_json,
    print_table,
    save_figure,
    save_results,
)
from peakedtheory.cli._curves import (
    BitsFlag,
    BytesOption,
    ColumnOption,
    EveryOption,
    OriginOption,
    RestartsOption,
    RunOption,
    ValidationFlag,
    WeighFlag,
    WindowOption,
    parse_origin,
    parse_window,
    read_logs,
)
from peakedtheory.cli._fit_report import left_out
from peakedtheory.curves.choices import Options
from peakedtheory.curves.curve import LossCurve
from peakedtheory.curves.forecasts import Forecast, first_step, forecast
from peakedtheory.curves.law_registry import LAWS
from peakedtheory.figures.curves import draw_forecasts

_ROWS = 8


def command(
    ctx: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Training logs; the first one's run is continued, all are fitted.", metavar="FILE…"
        ),
    ],
    steps: Annotated[
        str | None,
        typer.Option(
            "--steps", help="Steps to predict: `200000`, `1e5,2e5` or `start:stop:count[:log]`.", metavar="N"
        ),
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            "--schedule",
            help="Learning rates of the run to predict, as in cosine:peak=3e-4,warmup=2160,steps=72000.",
            metavar="TEXT",
        ),
    ] = None,
    log_schedule: Annotated[
        list[str] | None,
        typer.Option(
            "--log-schedule",
            help="Learning rates behind the log, where it has none; once for all files or once for each.",
            metavar="TEXT",
        ),
    ] = None,
    law: Annotated[
        str,
        typer.Option(
            "--law", help="A law as for `fit`, or auto: the one that predicts best.", metavar="NAME|auto"
        ),
    ] = "auto",
    level: Annotated[float, typer.Option("--level", help="Coverage of the interval.", metavar="P")] = 0.95,
    compare: Annotated[
        bool, typer.Option("--compare", help="Predict by every law that can be fitted.")
    ] = False,
    column: ColumnOption = None,
    validation: ValidationFlag = False,
    bits: BitsFlag = None,
    bytes_per_token: BytesOption = None,
    run: RunOption = None,
    restarts: RestartsOption = "auto",
    every: EveryOption = None,
    weigh: WeighFlag = False,
    window: WindowOption = None,
    origin: OriginOption = "auto",
    json: JsonFlag = False,
    plot: PlotFile = None,
    output: OutputFile = None,
) -> None:
    """Forecast the loss of a run, with an interval.

    Predicts the loss at more steps or under another schedule; the interval is tested on the run's own past.
    """
    if steps is None and schedule is None:
        fail("steps, schedule", "one at least must be given", "neither", "say how far or along which rates")
    curves = read_logs(
        files,
        column=column,
        schedules=log_schedule,
        validation=validation,
        bits=bits,
        bytes_per_token=bytes_per_token,
        run=run,
        restarts=restarts,
        every=every,
        weigh=weigh,
        one_run=True,
    )
    choices = Options(window=parse_window(window), origin=parse_origin(origin))
    wanted = _steps(steps, schedule, curves[0])
    with reporter(True, "forecasting"):
        best = forecast(curves, wanted, schedule, law, level, **choices)
        others = _others(curves, wanted, schedule, level, best, choices) if compare else []
    if json:
        answer = _as_dictionary(best)
        if compare:
            answer["others"] = [_as_dictionary(other) for other in others]
        print_json(answer)
    else:
        _print(best)
        if others:
            _print_laws([best, *others])
        typer.echo(best.explanation)
    if output is not None:
        save_results(ctx, best.to_xarray(), output, law=best.law)
    save_figure(plot, draw_forecasts, [best, *others])


def _steps(text: str | None, schedule: str | None, curve: LossCurve) -> np.ndarray | None:
    """Return the steps to predict; one number stands for the way there, which tables and figures show."""
    if text is None:
        return None
    steps = parse_grid("steps", text)
    if steps.size > 1:
        return steps
    first = first_step(curve, schedule)
    if steps[0] <= first:
        return steps
    return np.unique(np.append(np.geomspace(first, steps[0], 100).round()[:-1], steps[0]))


def _others(
    curves: list[LossCurve],
    steps: np.ndarray | None,
    schedule: str | None,
    level: float,
    best: Forecast,
    choices: Options,
) -> list[Forecast]:
    """Return the forecasts of the other laws, without those that cannot be fitted."""
    found, failures = [], []
    for name in LAWS:
        if name == best.law:
            continue
        try:
            found.append(forecast(curves, steps, schedule, name, level, **choices))
        except ValueError as error:
            failures.append((name, str(error)))
    for line in left_out(failures):
        typer.echo(f"warning: left out: {line}", err=True)
    return found


def _print(best: Forecast) -> None:
    shown = np.unique(np.linspace(0, best.steps.size - 1, min(best.steps.size, _ROWS)).round().astype(int))
    names = list(best.parts)
    rows = [
        [
            f"{best.steps[i]:.0f}",
            f"{best.loss[i]:.4f}",
            f"{best.lower[i]:.4f} to {best.upper[i]:.4f}",
            *(f"{best.parts[name][i]:.4f}" for name in names),
        ]
        for i in shown
    ]
    title = f"Forecast by {best.law}; parts are standard deviations in nats"
    print_table(title, ["step", "loss (nats)", f"{100.0 * best.level:g} % interval", *names], rows)


def _print_laws(forecasts: list[Forecast]) -> None:
    rows = []
    for one in forecasts:
        tested = "–" if one.comparison is None else f"{one.comparison.scores[0].error:.4f}"
        interval = f"{one.lower[-1]:.4f} to {one.upper[-1]:.4f}"
        rows.append([one.law, f"{one.loss[-1]:.4f}", interval, tested, f"{one.widening:.2f}"])
    columns = ["law", "loss at the end", "interval", "error on the past", "widened by"]
    print_table(f"All laws at step {forecasts[0].steps[-1]:.0f}", columns, rows)


def _as_dictionary(one: Forecast) -> dict[str, Any]:
    return {
        "law": one.law,
        "level": one.level,
        "steps": one.steps,
        "loss": one.loss,
        "lower": one.lower,
        "upper": one.upper,
        "parts": one.parts,
        "widening": one.widening,
        "error_on_the_past": None if one.comparison is None else one.comparison.scores[0].error,
        "explanation": one.explanation,
    }
