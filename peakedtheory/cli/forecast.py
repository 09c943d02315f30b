"""`peakedtheory forecast`: the loss at more steps or under another schedule, with its interval."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from peakedtheory._common.checks import fail, positive_number
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
from peakedtheory.curves.forecast_results import Forecast
from peakedtheory.curves.forecasts import first_step, forecast
from peakedtheory.curves.law_registry import LAWS
from peakedtheory.curves.plans import decays
from peakedtheory.figures.forecasts import draw_forecasts

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
        list[str] | None,
        typer.Option(
            "--schedule",
            help="Learning rates of the run to predict, as in cosine:peak=3e-4,warmup=2160,steps=72000, or"
            " from now on, as in now:hold=10000,decay=2000; several are ranked.",
            metavar="TEXT",
        ),
    ] = None,
    left: Annotated[
        int | None,
        typer.Option(
            "--left",
            help="Steps that are left: ranks a decay to zero over the last 5 to 100 % of them.",
            metavar="N",
        ),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(
            "--target", help="A loss in nats: when is it reached, with what probability?", metavar="LOSS"
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
            "--law",
            help="auto: the annealed power law, with what public runs taught; or a law as for `fit`, from"
            " these logs alone.",
            metavar="NAME|auto",
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

    Predicts the loss at more steps or under another schedule, by what the log says and what public runs
    taught.
    """
    if steps is None and schedule is None and left is None:
        fail("steps, schedule", "one at least must be given", "neither", "say how far or along which rates")
    if target is not None:
        positive_number("target", target)
    schedule = [*(schedule or []), *(decays(left) if left is not None else [])]
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
    choices = (
        Options(window=parse_window(window), origin=parse_origin(origin)) if law != "auto" else Options()
    )
    plans: list[str | None] = [*schedule] or [None]
    with reporter(True, "forecasting"):
        found = [
            forecast(curves, _steps(steps, plan, curves[0]), plan, law, level, **choices) for plan in plans
        ]
        others = _others(curves, steps, plans[0], level, law) if compare else []
    if json:
        print_json(_answer(found, others, plans, target))
    else:
        _print_all(found, others, plans, target)
    if output is not None:
        save_results(ctx, found[0].to_xarray(), output, law=found[0].law)
    save_figure(plot, draw_forecasts, [*found, *others], _names(found, others, plans), target)


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
    return np.unique(np.append(np.linspace(first, steps[0], 100).round()[:-1], steps[0]))


def _others(
    curves: list[LossCurve], steps: str | None, schedule: str | None, level: float, law: str
) -> list[Forecast]:
    """Return the forecasts of the other laws, without those that cannot be fitted."""
    found, failures = [], []
    for name in ("auto", *LAWS):
        if name == law:
            continue
        try:
            found.append(forecast(curves, _steps(steps, schedule, curves[0]), schedule, name, level))
        except ValueError as error:
            failures.append((name, str(error)))
    for line in left_out(failures):
        typer.echo(f"warning: left out: {line}", err=True)
    return found


def _names(found: list[Forecast], others: list[Forecast], plans: list[str | None]) -> list[str]:
    """Return what figures call the forecasts: their schedules where there are several, else their laws."""
    if len(plans) > 1:
        return [str(plan) for plan in plans] + [one.title for one in others]
    return [one.title for one in (*found, *others)]


def _print_all(
    found: list[Forecast], others: list[Forecast], plans: list[str | None], target: float | None
) -> None:
    best = _ranked(found)[0]
    end = found[best]
    plan = "" if len(found) == 1 else f" under {plans[best]}, the best,"
    typer.echo(
        f"The loss at step {end.steps[-1]:.0f}{plan} will be {end.loss[-1]:.4f}, with"
        f" {100.0 * end.level:g} % probability between {end.lower[-1]:.4f} and {end.upper[-1]:.4f}."
    )
    if target is not None:
        for one, name in zip(found, plans, strict=True):
            under = "" if len(found) == 1 else f"{name}: "
            typer.echo(f"{under}{one.reached(target)}")
    if len(found) > 1:
        _print_ranking(found, plans)
    else:
        _print(end)
    if others:
        _print_laws([end, *others])
    typer.echo(end.explanation)


def _ranked(found: list[Forecast]) -> list[int]:
    return sorted(range(len(found)), key=lambda i: found[i].loss[-1])


def _print_ranking(found: list[Forecast], plans: list[str | None]) -> None:
    """Print the schedules from the best one on, with the probability that each ends below the best."""
    order = _ranked(found)
    rows = [
        [
            str(plans[i]),
            f"{found[i].steps[-1]:.0f}",
            f"{found[i].loss[-1]:.4f}",
            f"{found[i].lower[-1]:.4f} to {found[i].upper[-1]:.4f}",
            "–" if i == order[0] else f"{found[i].chance_before(found[order[0]]):.2f}",
        ]
        for i in order
    ]
    interval = f"{100.0 * found[0].level:g} % interval"
    columns = ["schedule", "last step", "loss (nats)", interval, "better than the first"]
    print_table("Schedules by their last loss; the last column is a probability", columns, rows)


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
    title = f"Forecast by {best.law}; parts are standard errors in nats"
    print_table(title, ["step", "loss (nats)", f"{100.0 * best.level:g} % interval", *names], rows)


def _print_laws(forecasts: list[Forecast]) -> None:
    rows = [
        [one.law, f"{one.loss[-1]:.4f}", f"{one.lower[-1]:.4f} to {one.upper[-1]:.4f}"] for one in forecasts
    ]
    columns = ["law", "loss at the end", "interval"]
    print_table(f"All laws at step {forecasts[0].steps[-1]:.0f}", columns, rows)


def _answer(
    found: list[Forecast], others: list[Forecast], plans: list[str | None], target: float | None
) -> dict[str, Any]:
    """Return the first forecast as a dictionary, with the other schedules and laws as lists in it."""
    answer = _as_dictionary(found[0], target)
    if len(found) > 1:
        rows = [_as_dictionary(one, target) for one in found]
        answer["schedules"] = [{"schedule": plan, **row} for plan, row in zip(plans, rows, strict=True)]
    if others:
        answer["others"] = [_as_dictionary(other, target) for other in others]
    return answer


def _as_dictionary(one: Forecast, target: float | None) -> dict[str, Any]:
    answer = {
        "law": one.law,
        "level": one.level,
        "steps": one.steps,
        "loss": one.loss,
        "lower": one.lower,
        "upper": one.upper,
        "parts": one.parts,
        "parameters": one.parameters,
        "explanation": one.explanation,
    }
    if target is not None:
        answer["target"] = vars(one.reached(target))
    return answer
