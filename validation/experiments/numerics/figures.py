"""Figures of the theory alone: loss, gradient and energy of aligned students (Figs. 3, 9)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.style import COLD, EXACT, GUIDE, WARM, legend_below, new_figure, shades
from peakedtheory.validation.experiments.drawing import exact_c0, keyed
from peakedtheory.validation.experiments.selection import NOMINAL_C0

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


def loss_and_gradient(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw loss and gradient against β for every β*."""
    figure, ((left, right),) = new_figure(2)
    stars = data["beta_star"].values
    for color, (i, star) in zip(shades(len(stars)), enumerate(stars), strict=True):
        beta = data["beta"][i].values
        for axes, name in ((left, "loss"), (right, "drive")):
            mean = data[name][i].mean("teacher").values
            error = data[name][i].std("teacher", ddof=1).values / math.sqrt(data.sizes["teacher"])
            show = (beta > 0) & (mean > 0) & (np.arange(beta.size) % 3 == 1) & (beta < star)
            axes.errorbar(
                beta[show], mean[show], error[show], fmt="o", ms=3, color=color, elinewidth=1.2, capsize=2
            )
            exact = prediction[name][i].values
            inside = (beta > 0) & (beta < star) & (exact > 0)
            axes.plot(beta[inside], exact[inside], color=color, lw=1, label=f"β* = {star:g}")
    for axes, label in ((left, "loss L (nats)"), (right, "-dL/dβ (nats)")):
        axes.axvline(NOMINAL_C0, color=GUIDE, ls="--", lw=1, label="√(2 ln n)")
        axes.axvline(exact_c0(), color=EXACT, ls=":", lw=1, label="c₀, exact")
        axes.set(xscale="log", yscale="log", xlabel="inverse temperature β", ylabel=label)
    left.set_ylim(bottom=1e-4)
    right.set_ylim(bottom=1e-5)
    left.set_title("Loss")
    right.set_title("Gradient")
    keyed(figure, points="sampled, with errors", lines="exact", columns=6)
    return figure


def energy(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw U against β with its high-temperature line."""
    figure, ((axes,),) = new_figure(1, width=5.2)
    beta = data["energy_beta"].values
    axes.plot(beta, prediction["energy"].values, color=COLD, label="exact")
    mean = data["energy"].mean("teacher").values
    error = data["energy"].std("teacher", ddof=1).values / math.sqrt(data.sizes["teacher"])
    axes.errorbar(
        beta[::4],
        mean[::4],
        error[::4],
        fmt="o",
        ms=2,
        color=WARM,
        label="sampled",
        elinewidth=1.5,
        capsize=3,
    )
    axes.plot(beta, -beta, color=GUIDE, ls="--", label="U = -β")
    axes.set(
        xlim=(0, beta[-1]),
        ylim=(1.25 * float(prediction["energy"].min()), 0.1),
        xlabel="inverse temperature β",
        ylabel="internal energy U",
        title="Internal energy",
    )
    legend_below(axes)
    return figure
