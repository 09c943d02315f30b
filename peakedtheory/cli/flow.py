"""`peakedtheory flow`: the predicted training run of a student."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import typer

from peakedtheory._common.checks import fail
from peakedtheory.cli._common import (
    EnergiesOption,
    JsonFlag,
    OutputFile,
    PlotFile,
    Vocabulary,
    parse_grid,
    print_json,
    print_table,
    save_figure,
    save_results,
)
from peakedtheory.cli._students import (
    PREDICTED,
    AverageOption,
    BetaStar,
    EntropyOption,
    Labels,
    named_average,
    named_optimizer,
    teacher,
)
from peakedtheory.dynamics.student import FIELDS, student_flow
from peakedtheory.energies.base import Energies
from peakedtheory.energies.normal import STANDARD_NORMAL
from peakedtheory.energies.reading import as_energies
from peakedtheory.figures.flows import draw_run

COLUMNS = ("tau", "beta", "alignment", "residual", "loss", "tangential_loss", "local_exponent")


def command(
    ctx: typer.Context,
    vocab: Vocabulary,
    beta_star: BetaStar = None,
    entropy: EntropyOption = None,
    energies: EnergiesOption = "normal",
    optimizer: Annotated[
        str, typer.Option("--optimizer", help="gradient-flow, sgd, adam or signgd.", metavar="NAME")
    ] = "gradient-flow",
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--lr",
            help="Constant learning rate, 1 by default; gradient flow has none.",
            metavar="RATE",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[float, typer.Option("--batch", help="Examples per step.", metavar="B")] = 1024,
    width: Annotated[
        float | None,
        typer.Option(
            "--width",
            help="Input width m; by default 32, and its limit of infinity for gradient flow.",
            metavar="M",
            show_default=False,
        ),
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            "--schedule", help="Learning rates, for example cosine:peak=3,steps=1000.", metavar="TEXT"
        ),
    ] = None,
    tau: Annotated[
        str | None,
        typer.Option(
            "--tau",
            help="Times `start:stop:count:log`; 1:1e6:200:log, or 200 of the schedule.",
            metavar="GRID",
        ),
    ] = None,
    alignment0: Annotated[float, typer.Option("--alignment0", help="D at the start.", metavar="D")] = 0.0,
    residual0: Annotated[float, typer.Option("--residual0", help="ρ at the start.", metavar="R")] = 0.0,
    weight_decay: Annotated[
        float, typer.Option("--weight-decay", help="Decoupled decay ω.", metavar="W")
    ] = 0.0,
    labels: Labels = "soft",
    average: AverageOption = None,
    json: JsonFlag = False,
    plot: PlotFile = None,
    output: OutputFile = None,
) -> None:
    """Predict a training run: loss, β and local exponent.

    Nothing is fitted: classes, teacher, optimizer, batch, width and learning rates decide. Energies that are
    not standard normal have an aligned gradient flow only.
    """
    if learning_rate is not None and schedule is not None:
        fail("lr", "must be left out where a schedule has the rates", f"{learning_rate:g}", "drop one")
    times = None if tau is None and schedule else parse_grid("tau", tau or "1:1e6:200:log")
    distribution = as_energies(energies)
    star = teacher(beta_star, entropy, vocab, distribution)
    rule = named_optimizer(optimizer, PREDICTED, learning_rate=learning_rate, batch=batch, width=width)
    flow = student_flow(
        times,
        star,
        vocab,
        optimizer=rule,
        alignment0=alignment0,
        residual0=residual0,
        weight_decay=weight_decay,
        schedule=schedule,
        labels=labels,
        average=named_average(average),
        energies=distribution,
    )
    if json:
        values = {name: np.atleast_1d(getattr(flow, name)) for name in ("tau", *FIELDS)}
        values |= {"cross_entropy": np.atleast_1d(flow.cross_entropy)}
        if flow.examples is not None:
            values |= {name: np.atleast_1d(getattr(flow, name)) for name in ("examples", "efficiency")}
        asked = {
            "n": int(vocab),
            "beta_star": star,
            "energies": distribution.name,
            "optimizer": str(flow.optimizer),
            "labels": flow.labels,
        }
        print_json({**asked, "label_entropy": flow.label_entropy, **values})
    else:
        count = np.size(flow.tau)
        shown = np.unique(np.linspace(0, count - 1, 16).astype(int))
        rows = [[f"{np.atleast_1d(getattr(flow, name))[i]:.5g}" for name in COLUMNS] for i in shown]
        heads = ["τ", "β", "D", "ρ", "loss", "tangential", "local exponent"]
        if flow.labels == "sampled" and flow.examples is not None:
            heads.append("N-efficiency")
            for row, i in zip(rows, shown, strict=True):
                row.append(f"{np.atleast_1d(flow.efficiency)[i]:.4g}")
        title = f"Run of n = {vocab:.0f} classes{_law(distribution)} towards β* = {star:.6g}"
        title += f" ({flow.labels} labels) by {rule}"
        print_table(title, heads, rows)
        if flow.label_entropy > 0.0:
            typer.echo(
                f"loss: the excess of the cross-entropy over the labels' {flow.label_entropy:.5g} nats"
            )
    if output is not None:
        save_results(
            ctx,
            flow.to_xarray(),
            output,
            beta_star=star,
            optimizer=flow.optimizer,
            energies=distribution.name,
        )
    save_figure(plot, draw_run, flow)


def _law(energies: Energies) -> str:
    return "" if energies is STANDARD_NORMAL else f" of {energies.name} energies"
