"""`peakedtheory schedule`: the learning rates that the theory would choose."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import typer

from peakedtheory.cli._common import (
    JsonFlag,
    OutputFile,
    PlotFile,
    Vocabulary,
    print_json,
    print_table,
    save_figure,
)
from peakedtheory.cli.regime import BetaStar, EntropyOption, teacher

NAME = "schedule"


def command(
    vocab: Vocabulary,
    steps: Annotated[int, typer.Option("--steps", help="Length of the run.", metavar="T")] = 1000,
    batch: Annotated[float, typer.Option("--batch", help="Examples per step.", metavar="B")] = 64,
    width: Annotated[float, typer.Option("--width", help="Input width m.", metavar="M")] = 32,
    optimizer: Annotated[
        str, typer.Option("--optimizer", help="sgd, adam or signgd.", metavar="NAME")
    ] = "sgd",
    beta_star: BetaStar = None,
    entropy: EntropyOption = None,
    refine: Annotated[bool, typer.Option(help="Free the shape beyond the families.")] = False,
    json: JsonFlag = False,
    plot: PlotFile = None,
    output: OutputFile = None,
) -> None:
    """Compare learning-rate schedules by predicted loss.

    Each family at its best height, beside the schedule that minimises the final loss.
    """
    from peakedtheory.optimal_control import optimal_schedule

    star = teacher(beta_star, entropy, vocab)
    best = optimal_schedule(steps, batch, width, vocab, optimizer, beta_star=star, refine=refine)
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
                "n": vocab,
                "beta_star": star,
                "steps": steps,
                "batch": batch,
                "width": width,
                "optimizer": optimizer,
                "loss": best.loss,
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
            loss, tangential = (float(np.asarray(v)[-1]) for v in (best.flow.loss, best.flow.tangential_loss))
            rows.insert(
                0,
                [
                    "free",
                    f"{best.schedule.rates.max():.4g}",
                    f"{best.loss:.5g}",
                    f"{tangential / loss if loss > 0.0 else 0.0:.3f}",
                    "–" if best.exponent is None else f"{best.exponent:.3f}",
                ],
            )
        title = f"Schedules of {steps} steps for n = {vocab:.0f}, m = {width:g}, B = {batch:g} ({optimizer})"
        print_table(title, ["family", "best peak", "final loss", "L_t/L", "predicted α"], rows)
    if output is not None:
        from peakedtheory._output import save_dataset
        from peakedtheory._results import to_dataset

        dataset = to_dataset(
            {"learning_rate": best.schedule.rates}, {"step": np.arange(1, steps + 1)}, {}, {}
        )
        settings = {
            "vocab": vocab,
            "beta_star": star,
            "batch": batch,
            "width": width,
            "optimizer": optimizer,
            "steps": steps,
            "refine": refine,
        }
        save_dataset(dataset, output, settings)
        typer.echo(f"results written to {output}", err=True)
    if plot is not None:
        from peakedtheory._training.flow_plots import draw_schedule

        plans = {"free": best.schedule} if free else {}
        save_figure(draw_schedule(plans | {f.name: f.schedule for f in best.families}), plot)
