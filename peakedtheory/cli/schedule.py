"""`peakedtheory schedule`: the learning rates that the theory would choose."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import typer

from peakedtheory._common.results import to_dataset
from peakedtheory.cli._common import (
    JsonFlag,
    OutputFile,
    PlotFile,
    Vocabulary,
    print_json,
    print_table,
    save_figure,
    save_results,
)
from peakedtheory.cli._students import TUNED, BetaStar, EntropyOption, Labels, named_optimizer, teacher
from peakedtheory.dynamics.tuning import optimal_schedule
from peakedtheory.figures.flows import draw_schedule


def command(
    ctx: typer.Context,
    vocab: Vocabulary,
    steps: Annotated[float, typer.Option("--steps", help="Length of the run.", metavar="T")] = 1000,
    batch: Annotated[float, typer.Option("--batch", help="Examples per step.", metavar="B")] = 1024,
    width: Annotated[float, typer.Option("--width", help="Input width m.", metavar="M")] = 32,
    optimizer: Annotated[
        str, typer.Option("--optimizer", help="sgd, adam or signgd.", metavar="NAME")
    ] = "sgd",
    beta_star: BetaStar = None,
    entropy: EntropyOption = None,
    refine: Annotated[bool, typer.Option(help="Free the shape beyond the families.")] = False,
    labels: Labels = "soft",
    json: JsonFlag = False,
    plot: PlotFile = None,
    output: OutputFile = None,
) -> None:
    """Compare learning-rate schedules by predicted loss.

    Each family at its best height, beside the schedule that minimises the final loss.
    """
    star = teacher(beta_star, entropy, vocab)
    length: Any = steps  # checked there
    rule = named_optimizer(optimizer, TUNED, batch=batch, width=width)
    best = optimal_schedule(length, star, vocab, optimizer=rule, labels=labels, refine=refine, progress=True)
    free = best.schedule is not best.families[0].schedule
    if json:
        families = [
            {
                "name": f.name,
                "peak": f.peak,
                "loss": f.loss,
                "tangential_fraction": f.tangential_fraction,
                "exponent": f.exponent,
            }
            for f in best.families
        ]
        print_json(
            {
                "n": int(vocab),
                "beta_star": star,
                "steps": int(steps),
                "batch": batch,
                "width": width,
                "optimizer": optimizer,
                "labels": best.flow.labels,
                "loss": best.loss,
                "peak": best.schedule.rates.max(),
                "tangential_fraction": best.tangential_fraction,
                "exponent": best.exponent,
                "families": families,
            }
        )
    else:
        rows = [
            [
                f.name,
                f"{f.peak:.4g}",
                f"{f.loss:.5g}",
                f"{f.tangential_fraction:.3f}",
                "–" if f.exponent is None else f"{f.exponent:.3f}",
            ]
            for f in best.families
        ]
        if free:
            rows.insert(
                0,
                [
                    "free",
                    f"{best.schedule.rates.max():.4g}",
                    f"{best.loss:.5g}",
                    f"{best.tangential_fraction:.3f}",
                    "–" if best.exponent is None else f"{best.exponent:.3f}",
                ],
            )
        title = (
            f"Schedules of {steps:.0f} steps for n = {vocab:.0f}, m = {width:g}, B = {batch:g} "
            f"({optimizer}, {best.flow.labels} labels)"
        )
        print_table(title, ["family", "best peak", "final loss", "L_t/L", "predicted α"], rows)
    if output is not None:
        dataset = to_dataset(
            {"learning_rate": best.schedule.rates}, {"step": np.arange(1, best.schedule.steps + 1)}, {}, {}
        )
        save_results(ctx, dataset, output, beta_star=star)
    plans = {"free": best.schedule} if free else {}
    save_figure(plot, draw_schedule, plans | {f.name: f.schedule for f in best.families})
