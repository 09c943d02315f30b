"""`peakedtheory expand`: exact free energies and their expansions for a vocabulary size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

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
    difference,
    number,
    parse_grid,
    print_json,
    print_table,
    save_figure,
    save_results,
)
from peakedtheory.energies.reading import as_energies
from peakedtheory.exact.expansions import (
    high_temperature_expansion,
    longest_expansion,
    low_temperature_expansion,
)
from peakedtheory.exact.series import (
    Expansion,
    HighTemperatureExpansion,
    LowTemperatureExpansion,
    extreme_value_coefficient,
)
from peakedtheory.exact.thermodynamics import QUANTITIES, Thermodynamics, thermodynamics
from peakedtheory.figures.exact import draw_expansion

_SHOWN = ("free_energy", "internal_energy", "entropy")

if TYPE_CHECKING:
    import xarray


def command(
    ctx: typer.Context,
    vocab: Vocabulary,
    energies: EnergiesOption = "normal",
    order: Annotated[int, typer.Option("--order", help="Highest order of both expansions, 2 to 8.")] = 6,
    beta: BetaGrid = BETAS,
    json: JsonFlag = False,
    plot: PlotFile = None,
    output: OutputFile = None,
) -> None:
    """Expand the free energy at low and high temperature.

    The coefficients of both series for N independent energies, and their sums beside the exact values.
    """
    if not 2 <= order <= 8:
        fail("order", "must be a whole number from 2 to 8", str(order), "six are plenty for most uses")
    distribution = as_energies(energies)
    grid = parse_grid("beta", beta)
    exact = thermodynamics(grid, vocab, distribution)
    low = longest_expansion(low_temperature_expansion, vocab, distribution, order)
    high = longest_expansion(high_temperature_expansion, vocab, distribution, order)
    for series, name in ((low, "low"), (high, "high")):
        if series.order < order:
            typer.echo(
                f"note: {distribution.name} energies: {name}-temperature series to order {series.order}",
                err=True,
            )
    if json:
        print_json(_as_json(exact, low, high))
    else:
        _print(exact, low, high)
    if output is not None:
        save_results(ctx, _as_dataset(exact, low, high), output, energies=distribution.name)
    save_figure(plot, draw_expansion, low, high)


def _print(exact: Thermodynamics, low: LowTemperatureExpansion, high: HighTemperatureExpansion) -> None:
    n = low.n
    lines = [f"n = {n:.0f} {exact.energies.name} energies"]
    lines += [f"c{k} = {_coefficient(c)}" for k, c in enumerate(low.coefficients[:3])]
    if exact.energies.name == "normal":
        crude = math.sqrt(2.0 * math.log(n))
        lines.append(f"√(2 ln n) = {crude:.10f}, {100 * (crude / low.coefficients[0] - 1):+.1f} % from c0")
    typer.echo("\n".join(lines) + "\n")
    a = low.gap_rate
    rows = []
    for k in range(max(low.order, high.order) + 1):
        limit = extreme_value_coefficient(k, a) if k >= 2 and math.isfinite(a) else math.nan
        rows.append(
            [
                str(k),
                *(
                    (_coefficient(low.coefficients[k]), f"{low.error[k]:.0e}")
                    if k <= low.order
                    else ("–", "–")
                ),
                number(limit),
                *(
                    (_coefficient(high.coefficients[k]), f"{high.error[k]:.0e}")
                    if k <= high.order
                    else ("–", "–")
                ),
            ]
        )
    print_table(
        "Coefficients: F = -Σ c_k β^-k (low temperature), ⟨ln Z⟩ = Σ a_k β^k (high temperature)",
        ["k", "c_k", "± ", "c_k, n → ∞ form", "a_k", "± "],
        rows,
    )
    rows = []
    for i, b in enumerate(np.atleast_1d(exact.beta)):
        cold, warm = _free_energy(low, float(b)), _free_energy(high, float(b))
        f, u, s = (float(np.atleast_1d(getattr(exact, name))[i]) for name in _SHOWN)
        rows.append(
            [
                f"{b:g}",
                number(f),
                number(u),
                number(s),
                number(cold),
                difference(cold - f),
                number(warm),
                difference(warm - f),
            ]
        )
    print_table(
        "Exact values and best truncations (differences are expansion minus exact)",
        ["β", "F exact", "U exact", "S exact", "F low-T", "diff", "F high-T", "diff"],
        rows,
    )
    typer.echo("valid to 1 % of the temperature-dependent part: " + _ranges(low, high))


def _ranges(low: LowTemperatureExpansion, high: HighTemperatureExpansion) -> str:
    cold = f"low-T series for β > {low.valid_range[0]:.3g}"
    warm = f"high-T series for β < {high.valid_range[1]:.3g}"
    return ", ".join(text for text in (cold, warm) if "nan" not in text) or "neither series"


def _coefficient(value: float) -> str:
    return "0" if abs(value) < 1e-14 else number(float(value))


def _free_energy(series: Expansion, beta: float) -> float:
    """Return the best truncation, or NaN where it leaves more than one nat open."""
    if beta == 0.0 or series.truncation_error(beta, order=int(series.best_order(beta))) > 1.0:
        return math.nan
    return float(series.free_energy(beta, order=int(series.best_order(beta))))


def _as_json(
    exact: Thermodynamics, low: LowTemperatureExpansion, high: HighTemperatureExpansion
) -> dict[str, Any]:
    return {
        "n": int(low.n),
        "energies": exact.energies.name,
        "sqrt_2_ln_n": math.sqrt(2.0 * math.log(low.n)),
        "low_temperature": {
            "coefficients": low.coefficients,
            "error": low.error,
            "valid_range": low.valid_range,
        },
        "high_temperature": {
            "coefficients": high.coefficients,
            "error": high.error,
            "valid_range": high.valid_range,
        },
        "beta": np.atleast_1d(exact.beta),
        **{name: np.atleast_1d(getattr(exact, name)) for name in QUANTITIES},
        "error": {name: np.atleast_1d(getattr(exact.error, name)) for name in QUANTITIES},
    }


def _as_dataset(
    exact: Thermodynamics, low: LowTemperatureExpansion, high: HighTemperatureExpansion
) -> xarray.Dataset:
    dataset = exact.to_xarray()
    for name, series in (("low_temperature", low), ("high_temperature", high)):
        dataset[f"{name}_coefficients"] = (f"{name}_order", series.coefficients)
        dataset[f"{name}_coefficients_error"] = (f"{name}_order", series.error)
        values = [_free_energy(series, float(b)) for b in np.atleast_1d(exact.beta)]
        dataset[f"{name}_free_energy"] = (dataset.log_partition.dims, values)
    return dataset
