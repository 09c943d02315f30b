"""`peakedtheory estimate`: Monte Carlo averages with standard errors, beside the exact values."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from peakedtheory._common.checks import fail
from peakedtheory.cli._common import (
    BETAS,
    BetaGrid,
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
from peakedtheory.exact.thermodynamics import QUANTITIES, thermodynamics
from peakedtheory.figures.estimates import draw_estimate
from peakedtheory.sampling.estimates import with_error
from peakedtheory.sampling.montecarlo import estimate
from peakedtheory.sampling.results import MonteCarloResult

_TABLES = (
    {"free_energy": "F", "internal_energy": "U", "entropy": "S (nats)"},
    {"loss": "L(β, β*)", "loss_gradient": "dL/dβ"},
)


def command(
    ctx: typer.Context,
    vocab: Vocabulary,
    beta: BetaGrid = BETAS,
    beta_star: Annotated[
        float | None,
        typer.Option("--beta-star", help="Teacher's inverse temperature: adds the loss and its gradient."),
    ] = None,
    energies: EnergiesOption = "normal",
    samples: Annotated[int | None, typer.Option("--samples", help="Number of samples.")] = None,
    rtol: Annotated[
        float | None, typer.Option("--rtol", help="Relative standard error of ⟨ln Z⟩ to reach.")
    ] = None,
    atol: Annotated[
        float | None, typer.Option("--atol", help="Absolute standard error of ⟨ln Z⟩ to reach.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Seed; drawn and reported if not given.")
    ] = None,
    method: Annotated[
        str, typer.Option("--method", help="auto, plain, order-statistics or qmc.", metavar="NAME")
    ] = "auto",
    precision: Annotated[
        str, typer.Option("--precision", help="single or double, for plain sampling.")
    ] = "single",
    workers: Annotated[
        int, typer.Option("--workers", help="Processes to share the work; 0 for none but this one.")
    ] = 0,
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", help="Resume file: an interrupted run goes on from it.", metavar="FILE"),
    ] = None,
    json: JsonFlag = False,
    plot: PlotFile = None,
    output: OutputFile = None,
) -> None:
    """Estimate free energies and losses by Monte Carlo.

    Every estimate comes with its standard error, beside the exact value where there is one.
    """
    grid = parse_grid("beta", beta)
    with _processes(workers) as executor:
        result = estimate(
            grid,
            vocab,
            energies,
            beta_star=beta_star,
            samples=samples,
            rtol=rtol,
            atol=atol,
            rng=seed,
            method=method,
            precision=precision,
            executor=executor,
            checkpoint=checkpoint,
            progress=True,
        )
    exact = _exact(result)
    if json:
        print_json(_as_json(result, exact))
    else:
        _print(result, exact)
    if result.interrupted:
        typer.echo(
            f"warning: interrupted after {result.samples} samples; the errors are those of what was done",
            err=True,
        )
    for line in result.cautions:
        typer.echo(f"warning: {line}", err=True)
    if output is not None:
        dataset = result.to_xarray()
        for name, values in exact.items():
            dataset[f"{name}_exact"] = (dataset.beta.dims, np.asarray(values))
        save_results(ctx, dataset, output, seed=result.attributes()["seed"])
    save_figure(plot, draw_estimate, result)


@contextlib.contextmanager
def _processes(workers: int) -> Iterator[Any]:
    """Yield an executor of worker processes, or None; Ctrl-C is left to this process."""
    if workers < 0:
        fail("workers", "must be >= 0", str(workers), "0 computes in this process")
    if workers == 0:
        yield None
        return
    executor = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )
    try:
        yield executor
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _exact(result: MonteCarloResult) -> dict[str, Any]:
    """Return the exact values; L = Φ(β) - Φ(β*) - (β - β*)Φ'(β*) from them, far below the standard errors."""
    here = thermodynamics(result.beta, result.n, result.energies)
    exact = {name: getattr(here, name) for name in QUANTITIES}
    if result.beta_star is not None:
        star = thermodynamics(result.beta_star, result.n, result.energies)
        gap = result.beta - result.beta_star
        exact["loss"] = here.log_partition - star.log_partition + gap * star.internal_energy
        exact["loss_gradient"] = star.internal_energy - here.internal_energy
    return exact


def _print(result: MonteCarloResult, exact: dict[str, Any]) -> None:
    made = result.provenance
    title = f"n = {result.n} {result.name} energies: {result.samples} samples, {made.method}"
    title += f", seed {result.seed}"
    _print_columns(result, exact, _TABLES[0], title)
    if result.loss is not None:
        _print_columns(result, exact, _TABLES[1], f"Student at β, teacher at β* = {result.beta_star:g}")
    typer.echo("Δ: (estimate - exact) in standard errors")


def _print_columns(
    result: MonteCarloResult, exact: dict[str, Any], names: dict[str, str], title: str
) -> None:
    header = ["β"]
    for symbol in names.values():
        header += [symbol, "Δ"]
    rows = []
    for i, b in enumerate(np.atleast_1d(result.beta)):
        row = [f"{b:g}"]
        for name in names:
            one = result.estimates()[name]
            mean, error = (float(np.atleast_1d(v)[i]) for v in (one.mean, one.standard_error))
            away = deviation(mean, error, float(exact[name][i]))
            row += [with_error(mean, error), f"{away:+.2f}" if np.isfinite(away) else "–"]
        rows.append(row)
    print_table(title, header, rows)


def deviation(mean: float, error: float, exact: float) -> float:
    """Return (mean - exact)/error, NaN where nothing fluctuates."""
    return (mean - exact) / error if error > 1e-14 * abs(mean) and np.isfinite(error) else float("nan")


def _as_json(result: MonteCarloResult, exact: dict[str, Any]) -> dict[str, Any]:
    estimates = {}
    for name, one in result.estimates().items():
        estimates[name] = {
            "mean": one.mean,
            "standard_error": one.standard_error,
            "bias_bound": one.bias_bound,
            **({"exact": exact[name]} if name in exact else {}),
        }
    attributes = result.attributes() | {"interrupted": result.interrupted, "converged": result.converged}
    return {**attributes, "beta": result.beta, "beta_star": result.beta_star, **estimates}
