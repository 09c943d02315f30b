"""Figures of exact results; curves between a result's own points are evaluated here to be drawn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.style import COLD, EXACT, EXTRA, GUIDE, WARM, current_axes, legend_below, new_figure
from peakedtheory._common.types import Values
from peakedtheory.energies.normal import STANDARD_NORMAL
from peakedtheory.exact.entropy import EntropyMatch
from peakedtheory.exact.series import Expansion, HighTemperatureExpansion, LowTemperatureExpansion
from peakedtheory.exact.thermodynamics import Thermodynamics, thermodynamics

if TYPE_CHECKING:
    import matplotlib.axes
    from matplotlib.figure import Figure


#: Matches of an entropy that are named beside their points; more would lie on each other.
_MOST_NAMED = 6


def plot_thermodynamics(
    result: Thermodynamics, axes: matplotlib.axes.Axes | None = None
) -> matplotlib.axes.Axes:
    """Draw F, U and S of `result` against β.

    Parameters
    ----------
    result : Thermodynamics
        Of one n and a one-dimensional `beta`.
    axes : matplotlib.axes.Axes, optional
        Where to draw; pyplot's current axes by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        Unless `result` has one n and a one-dimensional `beta`.
    """
    if np.ndim(result.beta) != 1 or np.ndim(result.n) != 0:
        raise ValueError(
            f"result: plot needs one n and a one-dimensional beta, got shapes {np.shape(result.n)} and"
            f" {np.shape(result.beta)}; select one n"
        )
    if axes is None:
        axes = current_axes()
    axes.plot(result.beta, result.free_energy, color=COLD, label="free energy F")
    axes.plot(result.beta, result.internal_energy, color=WARM, label="internal energy U")
    axes.plot(result.beta, result.entropy, color=EXTRA, label="entropy S (nats)")
    axes.set(
        xlabel="inverse temperature β",
        ylabel="energy, entropy",
        title=f"n = {result.n:.0f}, {result.energies.name}",
    )
    legend_below(axes)
    return axes


def draw_expansion(low: LowTemperatureExpansion, high: HighTemperatureExpansion) -> Figure:
    """Draw exact F, U and S with both expansions, and the relative error of the free energy by order.

    Parameters
    ----------
    low, high : LowTemperatureExpansion, HighTemperatureExpansion
        Of the same n and energies.

    Returns
    -------
    matplotlib.figure.Figure
    """
    centre = low.crossover if math.isfinite(low.crossover) else 1.0 / low.energies.scale
    beta = _both_ends(centre, high, 160 if low.energies.core is STANDARD_NORMAL else 50)
    exact = thermodynamics(beta, low.n, low.energies)
    figure, ((left, middle, right),) = new_figure(3, height=4.2)
    for axes in (left, middle, right):
        axes.axvline(centre, color=GUIDE, lw=1, ls="-.", label="crossover")
    left.plot(beta, exact.internal_energy, color=EXACT, lw=2, label="U exact")
    left.plot(beta, exact.free_energy, color=EXACT, lw=2, ls="--", label="F exact")
    _band(left, beta, exact.internal_energy, exact.error.internal_energy)
    _band(left, beta, exact.free_energy, exact.error.free_energy)
    energy, entropy = np.asarray(exact.internal_energy), np.asarray(exact.entropy)
    left.set_ylim(energy.min() - 1.2 * np.ptp(energy), energy.max() + 0.15 * np.ptp(energy))
    for series, color, name in ((low, COLD, "low-T"), (high, WARM, "high-T")):
        b = beta[_usable(series, beta)]
        if b.size:
            left.plot(
                b, series.internal_energy(b), color=color, lw=1.2, label=f"U {name}, order {series.order}"
            )
            left.plot(b, series.free_energy(b), color=color, lw=1.2, ls="--")
            middle.plot(b, series.entropy(b), color=color, lw=1.2, label=f"{name}, order {series.order}")
    left.axhline(-low.coefficients[0], color=GUIDE, lw=1, ls=":", label="-c₀ = -⟨max(-ε)⟩")
    left.set(xscale="log", xlabel="inverse temperature β", ylabel="energy", title="Free and internal energy")
    legend_below(left, columns=2)
    middle.plot(beta, exact.entropy, color=EXACT, lw=2, label="exact", zorder=0)
    _band(middle, beta, exact.entropy, exact.error.entropy)
    middle.axhline(math.log(low.n), color=GUIDE, lw=1, ls=":", label="ln n")
    middle.set(
        xscale="log", yscale="log", xlabel="inverse temperature β", ylabel="entropy S (nats)", title="Entropy"
    )
    middle.set_ylim(0.5 * entropy[entropy > 0].min(), 3.0 * math.log(low.n))
    legend_below(middle, columns=2)
    for series, color, name in ((low, COLD, "low-T"), (high, WARM, "high-T")):
        orders = [
            k
            for k in range(2, series.order + 1)
            if abs(series.coefficients[k]) > 1e-13 * max(abs(series.coefficients))
        ]
        for shade, k in zip(np.linspace(0.35, 1.0, len(orders)), orders, strict=True):
            error = np.abs(np.asarray(series.free_energy(beta, order=k)) / exact.free_energy - 1.0)
            right.plot(
                beta, np.maximum(error, 1e-16), color=color, alpha=shade, lw=1.2, label=f"{name}, order {k}"
            )
    known = np.asarray(exact.error.free_energy) / np.abs(exact.free_energy)
    right.plot(beta, np.maximum(known, 1e-16), color=GUIDE, lw=1, ls=":", label="error of F exact")
    right.set(
        xscale="log",
        yscale="log",
        ylim=(1e-16, 10),
        xlabel="inverse temperature β",
        ylabel="|F expansion / F exact - 1|",
        title="Error of the expansions",
    )
    legend_below(right, columns=3)
    figure.suptitle(f"n = {low.n:.0f} i.i.d. {low.energies.name} energies")
    return figure


def _both_ends(centre: float, high: HighTemperatureExpansion, count: int) -> np.ndarray:
    """Return β from where the high-temperature series still holds to far beyond the crossover.

    Behind a small gap, or at a sharp edge, many decades lie between them.
    """
    warm = high.valid_range[1]
    start = min(centre, 10.0 * warm) if math.isfinite(warm) and warm > 0.0 else centre
    return np.geomspace(0.03 * start, 30.0 * centre, count)


def _band(axes: matplotlib.axes.Axes, beta: np.ndarray, value: Values, error: Values) -> None:
    """Shade a value within its error, where that can be seen."""
    low, high = np.asarray(value) - error, np.asarray(value) + error
    axes.fill_between(beta, low, high, color=EXACT, alpha=0.25, lw=0)


def _usable(series: Expansion, beta: np.ndarray) -> np.ndarray:
    """Where a series is drawn: its valid range and somewhat beyond, to show how it fails."""
    lower, upper = series.valid_range
    return (
        (beta > 0.6 * lower) & (beta < 1.6 * upper)
        if math.isfinite(lower)
        else np.zeros(beta.size, dtype=bool)
    )


def draw_entropy(match: EntropyMatch, crossover: float) -> Figure:
    """Draw S(β) with the matched entropies and the crossover to the low-temperature regime.

    Parameters
    ----------
    match : EntropyMatch
        Of one n.
    crossover : float
        Inverse temperature that is marked; NaN marks none.

    Returns
    -------
    matplotlib.figure.Figure
    """
    n = float(np.asarray(match.n).flat[0])
    targets, stars = np.atleast_1d(match.entropy), np.atleast_1d(match.beta_star)
    top = 1.35 * np.nanmax([stars.max(), crossover])
    beta = np.linspace(0.0, top, 120 if match.energies.core is STANDARD_NORMAL else 40)
    exact = thermodynamics(beta, n, match.energies)
    figure, ((axes,),) = new_figure(1, width=5.4)
    axes.plot(beta, exact.entropy, color=EXACT, lw=2, label=f"S(β), n = {n:.0f} {match.energies.name}")
    for i, (h, b) in enumerate(zip(targets, stars, strict=True)):
        axes.plot([0, b, b], [h, h, 0], color=COLD, lw=1, ls="--")
        axes.plot(b, h, "o", color=COLD, label="S(β*) = H" if i == 0 else None)
        if targets.size <= _MOST_NAMED:
            axes.annotate(f" β* = {b:.4g} at H = {h:g}", (b, h), fontsize=9, va="bottom", color=COLD)
    if math.isfinite(crossover):
        axes.axvline(crossover, color=GUIDE, lw=1, ls="-.", label=f"crossover β = {crossover:.4g}")
    axes.set(
        xlabel="inverse temperature β",
        ylabel="entropy (nats)",
        xlim=(0, top),
        ylim=(0, None),
        title="Entropy matching",
    )
    legend_below(axes)
    return figure
