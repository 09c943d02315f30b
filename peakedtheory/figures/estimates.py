"""Figures of Monte Carlo results: estimates on the exact curve, and residuals in standard errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory._common.style import COLD, EXACT, EXTRA, GUIDE, WARM, current_axes, new_figure
from peakedtheory.exact.thermodynamics import thermodynamics
from peakedtheory.sampling.results import MonteCarloResult

if TYPE_CHECKING:
    import matplotlib.axes
    from matplotlib.figure import Figure

_COLORS = {"free_energy": COLD, "internal_energy": WARM, "entropy": EXTRA}
_LABELS = {"free_energy": "F", "internal_energy": "U", "entropy": "S (nats)"}


def plot_free_energy(
    result: MonteCarloResult, axes: matplotlib.axes.Axes | None = None
) -> matplotlib.axes.Axes:
    """Draw F and U with their standard errors over the exact curves.

    Raises
    ------
    ValueError
        Unless `beta` is one-dimensional and has a positive entry.
    """
    beta = _positive(result)
    if axes is None:
        axes = current_axes()
    fine = np.geomspace(beta.min(), beta.max(), 200) if beta.size > 1 else beta
    exact = None if result.energies is None else thermodynamics(fine, result.n, result.energies)
    for name in ("free_energy", "internal_energy"):
        if exact is not None:
            axes.plot(
                fine,
                getattr(exact, name),
                color=EXACT,
                lw=1,
                label="exact" if name == "free_energy" else None,
            )
        one = result.estimates()[name]
        inside = np.asarray(result.beta) > 0
        axes.errorbar(
            beta,
            np.asarray(one.mean)[inside],
            np.asarray(one.standard_error)[inside],
            fmt="o",
            ms=3,
            capsize=2,
            color=_COLORS[name],
            label=f"{_LABELS[name]}, Monte Carlo",
        )
    internal = np.asarray(result.internal_energy.mean)
    reach = np.ptp(internal) + 1e-9 * abs(internal[-1])
    axes.set_ylim(internal.min() - 2.0 * reach, internal.max() + 0.3 * reach)
    axes.set(xscale="log", xlabel="inverse temperature β", ylabel="energy")
    axes.set_title(f"n = {result.n} {result.name} energies, {result.samples} samples")
    axes.legend()
    return axes


def draw_estimate(result: MonteCarloResult) -> Figure:
    """Draw the estimates against the exact curves, and below them the residuals in standard errors."""
    figure, panels = new_figure(1, 2, width=6.0, height=3.2)
    top, bottom = panels[:, 0]
    plot_free_energy(result, top)
    beta = _positive(result)
    inside = np.asarray(result.beta) > 0
    if result.energies is not None:
        exact = thermodynamics(beta, result.n, result.energies)
        for name, color in _COLORS.items():
            one = result.estimates()[name]
            error = np.asarray(one.standard_error)[inside]
            off = np.asarray(one.mean)[inside] - getattr(exact, name)
            seen = error > 0
            bottom.plot(
                beta[seen], off[seen] / error[seen], "o-", ms=3, lw=0.8, color=color, label=_LABELS[name]
            )
    for level in (-2, 0, 2):
        bottom.axhline(level, color=GUIDE, lw=1, ls="-" if level == 0 else ":")
    bottom.set(xscale="log", xlabel="inverse temperature β", ylabel="(estimate - exact) / standard error")
    bottom.legend(ncols=3)
    return figure


def _positive(result: MonteCarloResult) -> np.ndarray:
    beta = np.asarray(result.beta, dtype=float)
    if beta.ndim != 1 or not (beta > 0).any():
        fail(
            "result",
            "plot needs a one-dimensional beta with positive values",
            f"shape {beta.shape}",
            "estimate on a grid",
        )
    return beta[beta > 0]
