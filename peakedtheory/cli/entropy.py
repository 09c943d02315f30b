"""`peakedtheory entropy`: the inverse temperature that matches an entropy, and entropy curves."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import typer

from peakedtheory._common.results import to_dataset
from peakedtheory.cli._common import (
    EnergiesOption,
    JsonFlag,
    OutputFile,
    PlotFile,
    Vocabulary,
    number,
    parse_grid,
    print_json,
    print_table,
    save_figure,
    save_results,
)
from peakedtheory.exact.entropy import match_entropy
from peakedtheory.exact.expansions import longest_expansion, low_temperature_expansion
from peakedtheory.figures.exact import draw_entropy


def command(
    ctx: typer.Context,
    vocab: Vocabulary,
    entropy: Annotated[
        str,
        typer.Option(
            "--entropy", "-H", help="Entropies to match, in nats: `1.69` or `1,1.69,3`.", metavar="GRID"
        ),
    ] = "1.69",
    energies: EnergiesOption = "normal",
    json: JsonFlag = False,
    plot: PlotFile = None,
    output: OutputFile = None,
) -> None:
    """Find the β* at which energies have a given entropy.

    The inverse temperature at which the softmax of N independent energies has the mean entropy asked for.
    """
    targets = parse_grid("entropy", entropy)
    match = match_entropy(targets, vocab, energies)
    series = longest_expansion(low_temperature_expansion, vocab, match.energies, 2)
    if json:
        print_json(
            {
                "n": int(vocab),
                "energies": match.energies.name,
                "entropy": targets,
                "beta_star": match.beta_star,
                "beta_star_error": match.error,
                "c0": series.coefficients[0],
                "crossover": series.crossover,
            }
        )
    else:
        rows = [
            [
                f"{h:g}",
                number(b),
                f"{e:.0e}",
                "low temperature" if b > series.crossover else "high temperature",
            ]
            for h, b, e in zip(targets, *map(np.atleast_1d, (match.beta_star, match.error)), strict=True)
        ]
        print_table(
            f"Inverse temperature of n = {vocab:.0f} {match.energies.name} energies with entropy H",
            ["H (nats)", "β*", "±", "regime"],
            rows,
        )
        typer.echo(
            f"c0 = {series.coefficients[0]:.10f}; low temperatures begin at β = {series.crossover:.6g}"
        )
    if output is not None:
        dataset = to_dataset(
            {"beta_star": match.beta_star, "beta_star_error": match.error},
            {"entropy": targets, "n": np.asarray(vocab)},
            {"entropy": "nat"},
            {"energies": match.energies.name, "c0": series.coefficients[0], "crossover": series.crossover},
        )
        save_results(ctx, dataset, output, energies=match.energies.name)
    save_figure(plot, draw_entropy, match, series.crossover)
