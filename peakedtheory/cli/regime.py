"""`peakedtheory regime`: which exponent to expect, where, and why."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from peakedtheory._common.progress import reporter
from peakedtheory._common.results import to_dataset
from peakedtheory.cli._common import (
    EnergiesOption,
    JsonFlag,
    OutputFile,
    PlotFile,
    Vocabulary,
    number,
    print_json,
    print_table,
    save_figure,
    save_results,
)
from peakedtheory.cli._students import BetaStar, EntropyOption
from peakedtheory.dynamics.aligned_path import aligned_path
from peakedtheory.dynamics.gap_law import predict_exponent
from peakedtheory.dynamics.interpolant import interpolant
from peakedtheory.dynamics.regimes import regime
from peakedtheory.energies.reading import as_energies
from peakedtheory.figures.flows import draw_path


def command(
    ctx: typer.Context,
    vocab: Vocabulary,
    beta_star: BetaStar = None,
    entropy: EntropyOption = None,
    energies: EnergiesOption = "normal",
    beta: Annotated[float | None, typer.Option("--beta", help="One moment: β reached.", metavar="B")] = None,
    tau: Annotated[
        float | None, typer.Option("--tau", help="One moment: τ spent from zero.", metavar="T")
    ] = None,
    json: JsonFlag = False,
    plot: PlotFile = None,
    output: OutputFile = None,
) -> None:
    """Say which exponent the loss follows, where and why.

    For N classes: the exponent of the gap law, the window over which it holds, or why there is none.
    """
    if beta_star is None and entropy is None:
        beta_star = math.inf
    distribution = as_energies(energies)
    with reporter(True, "following the flow"):
        prediction = predict_exponent(vocab, distribution)
        answer = regime(beta_star, vocab, distribution, entropy=entropy, beta=beta, tau=tau)
    window = answer.window
    if json:
        print_json(
            {
                "n": int(vocab),
                "energies": distribution.name,
                "beta_star": answer.beta_star,
                "regime": answer.name,
                "exponent": answer.exponent,
                "asymptotic_exponent": prediction.exponent,
                "gap_exponent": prediction.gap_exponent,
                "coefficient": prediction.coefficient,
                "onset": answer.onset,
                "window": None
                if window is None
                else {"beta": window.beta, "tau": window.tau, "decades": window.decades},
                "explanation": [prediction.explanation, answer.explanation],
            }
        )
    else:
        rows = [
            ["regime", answer.name],
            ["local exponent", number(answer.exponent, 4)],
            ["asymptotic exponent α", number(prediction.exponent, 4)],
            ["gap exponent κ", number(prediction.gap_exponent, 4)],
            ["coefficient", "–" if prediction.coefficient is None else f"{prediction.coefficient:.8g}"],
            ["onset, β ≈ c0", number(answer.onset, 4)],
            ["end, β ≈ β*", number(answer.beta_star, 4)],
        ]
        if window is not None:
            rows += [
                ["window in β", f"{window.beta[0]:.4g} to {window.beta[1]:.4g}"],
                ["window in τ", f"{window.tau[0]:.4g} to {window.tau[1]:.4g} ({window.decades:.2f} decades)"],
            ]
        print_table(f"Regime of n = {vocab:.0f} {distribution.name} energies", ["quantity", "value"], rows)
        typer.echo(prediction.explanation)
        typer.echo(answer.explanation)
    if plot is None and output is None:
        return
    path = aligned_path(interpolant(vocab, distribution, answer.beta_star), answer.beta_star)
    if output is not None:
        columns = {"tau": path.tau, "loss": path.loss, "local_exponent": path.exponent}
        dataset = to_dataset(columns, {"beta": path.beta}, {}, {})
        save_results(ctx, dataset, output, energies=distribution.name, beta_star=answer.beta_star)
    save_figure(plot, draw_path, path, answer.beta_star, answer.onset, prediction.exponent, tau)
