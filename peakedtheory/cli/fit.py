"""`peakedtheory fit`: laws fitted to training logs, their uncertainty, and which of them the data prefer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from peakedtheory._common.checks import fail
from peakedtheory._common.progress import reporter
from peakedtheory.cli._common import JsonFlag, OutputFile, PlotFile, print_json, save_figure, save_results
from peakedtheory.cli._curves import (
    BitsFlag,
    BytesOption,
    ColumnOption,
    EveryOption,
    OriginOption,
    RestartsOption,
    RunOption,
    ScheduleOption,
    ValidationFlag,
    WeighFlag,
    WindowOption,
    parse_origin,
    parse_window,
    read_logs,
)
from peakedtheory.cli._fit_report import (
    as_dictionary,
    print_comparison,
    print_fit,
    print_single,
    sentences,
)
from peakedtheory.cli._students import TUNED, named_optimizer
from peakedtheory.curves.choices import Options
from peakedtheory.curves.collapse import CollapseComparison, compare_collapse
from peakedtheory.curves.comparison import LawComparison, compare_laws
from peakedtheory.curves.curve import LossCurve
from peakedtheory.curves.fits import fit_loss_curve
from peakedtheory.curves.law import Law
from peakedtheory.curves.results import LossCurveFit
from peakedtheory.curves.standing import CurveRegime, curve_regime
from peakedtheory.figures.curves import draw_collapse, draw_comparison, draw_fit


def command(
    ctx: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Training logs (CSV, JSON, trainer_state.json, event files, text logs).", metavar="FILE…"
        ),
    ],
    law: Annotated[
        str,
        typer.Option(
            "--law",
            help="power, power-steps, finite-beta-star, two-channel, s1-s2, multi-power, multi-power-held,"
            " with held parameters as in power:alpha=1/3, student:n=…,beta_star=…, or all.",
            metavar="NAME|all",
        ),
    ] = "all",
    schedule: ScheduleOption = None,
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
    held_out: Annotated[
        float,
        typer.Option(
            "--held-out",
            help="With --law all: fraction of each curve that is fitted; the rest is predicted.",
            metavar="F",
        ),
    ] = 0.5,
    bootstrap: Annotated[
        int, typer.Option("--bootstrap", help="Resamples of the block bootstrap.", metavar="N", min=0)
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the resamples.", metavar="S", min=0)] = 0,
    vocab: Annotated[
        float | None,
        typer.Option("--vocab", "-n", help="Vocabulary size: say which regime the run is in.", metavar="N"),
    ] = None,
    entropy: Annotated[
        float | None,
        typer.Option(
            "--entropy",
            "-H",
            help="Entropy of the labels in nats, 0 for hard ones; L∞ of the fit otherwise.",
            metavar="H",
        ),
    ] = None,
    optimizer: Annotated[
        str, typer.Option("--optimizer", help="For the regime: sgd, adam or signgd.", metavar="NAME")
    ] = "adam",
    collapse: Annotated[
        bool | None,
        typer.Option(
            "--collapse/--no-collapse",
            help="Measure how the files collapse against τ and against steps, and draw that. Measured anyway"
            " for several files with known rates.",
            show_default=False,
        ),
    ] = None,
    json: JsonFlag = False,
    plot: PlotFile = None,
    output: OutputFile = None,
) -> None:
    """Fit laws to training logs and say which is best.

    Prints each parameter with every part of its uncertainty, what each law predicts of records not seen,
    how several runs collapse, and with --vocab the regime that the theory sees.
    """
    curves = read_logs(
        files,
        column=column,
        schedules=schedule,
        validation=validation,
        bits=bits,
        bytes_per_token=bytes_per_token,
        run=run,
        restarts=restarts,
        every=every,
        weigh=weigh,
    )
    choices = Options(window=parse_window(window), origin=parse_origin(origin))
    comparison = _comparison(curves, held_out, choices) if law == "all" else None
    timed = all(curve.clock is not None for curve in curves)
    chosen: str | Law = law
    if law == "all":
        chosen = comparison.scores[0].law if comparison else "power" if timed else "power-steps"
    fit = fit_loss_curve(curves, chosen, bootstrap=bootstrap, rng=seed, progress=True, **choices)
    single = _one_by_one(curves, fit, choices) if len(curves) > 1 else []
    apart = _collapse(curves, collapse, timed, seed)
    stands = [] if vocab is None else [_regime(c, fit, vocab, entropy, optimizer) for c in curves]
    if json:
        print_json(as_dictionary(fit, single, comparison, apart, stands))
    else:
        print_fit(fit)
        if len(curves) > 1:
            print_single(fit, single)
        if comparison is not None:
            print_comparison(comparison)
        for line in sentences(fit, comparison, apart, stands, entropy):
            typer.echo(line)
    if output is not None:
        save_results(ctx, fit.to_xarray(), output, law=fit.law.name)
    if collapse and apart is not None:
        save_figure(plot, draw_collapse, apart, curves)
    elif comparison is not None:
        save_figure(plot, draw_comparison, comparison, curves)
    else:
        save_figure(plot, draw_fit, fit)


def _comparison(curves: list[LossCurve], held_out: float, choices: Options) -> LawComparison | None:
    """Return all laws side by side; None, with a warning, where the fitted part holds none of them."""
    if not 0.0 < held_out < 1.0:
        fail("held_out", "must be a fraction between 0 and 1", f"{held_out:g}", "0.5 is common")
    try:
        with reporter(True, "comparing laws"):
            return compare_laws(curves, held_out=held_out, **choices)
    except ValueError as error:
        typer.echo(f"warning: laws were not compared: {error}", err=True)
        return None


def _collapse(
    curves: list[LossCurve], wanted: bool | None, timed: bool, seed: int
) -> CollapseComparison | None:
    """Return the collapse where it is wanted; unasked, curves that share no loss get a warning only."""
    if wanted is False or (wanted is None and (len(curves) < 2 or not timed)):
        return None
    try:
        return compare_collapse(curves, rng=seed)
    except ValueError as error:
        if wanted:
            raise
        typer.echo(f"warning: no collapse: {error}", err=True)
        return None


def _one_by_one(curves: list[LossCurve], fit: LossCurveFit, choices: Options) -> list[LossCurveFit | None]:
    """Return the same law fitted to each curve, None where a curve alone cannot hold it."""
    found: list[LossCurveFit | None] = []
    for curve in curves:
        try:
            found.append(fit_loss_curve(curve, fit.law, **choices))
        except ValueError as error:
            typer.echo(f"warning: {curve.name} alone: {error}", err=True)
            found.append(None)
    return found


def _regime(
    curve: LossCurve, fit: LossCurveFit, vocab: float, entropy: float | None, optimizer: str
) -> CurveRegime:
    """Return the regime of the fitted stretch; labels have the entropy L∞ unless told otherwise."""
    if entropy is None and 0.0 < fit.parameters.get("loss_floor", 0.0) < math.log(max(vocab, 1.0)):
        entropy = fit.parameters["loss_floor"]
    chosen = named_optimizer(optimizer, TUNED)
    return curve_regime(curve.window(*fit.window), vocab, entropy=entropy, optimizer=chosen)
