"""Figures of residual students: losses against the step, final exponents against β*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.style import GUIDE, legend_below, new_figure, shades
from peakedtheory.validation.experiments.drawing import curve, guide, keyed, limits
from peakedtheory.validation.experiments.residual.analysis import final_exponent, final_window
from peakedtheory.validation.experiments.selection import levels, select

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


def losses(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw L against t for every β* at the first depth."""
    figure, ((axes,),) = new_figure(1, width=7.2, height=4.4)
    steps = data["step"].values.astype(float)
    stars, depth = levels(data, "beta_star"), int(levels(data, "depth")[0])
    stars = stars[np.unique(np.linspace(0, stars.size - 1, 6).round().astype(int))]  # these can be told apart
    low, _ = final_window(data)
    seen = []
    for color, star in zip(shades(len(stars)), stars, strict=True):
        i = select(data, beta_star=star, depth=depth, teacher=0)[0]
        theory = np.where(steps >= low, prediction["loss"].values[i], np.nan)
        curve(axes, steps, data["loss"].values[i], theory, color, f"β* = {star:.3g}")
        seen.append(data["loss"].values[i])
    limits(axes, seen)
    guide(axes, steps[steps > steps[-1] / 30], (steps[-1], 1.3 * float(seen[-1][-1])), -1 / 3)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="training step t",
        ylabel="test loss L (nats)",
        title=f"Residual student of depth {depth}",
    )
    keyed(figure, lines="aligned flow, c_eff fitted")
    return figure


def exponents(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw the final exponents against β* for every depth."""
    figure, ((axes,),) = new_figure(1, width=5.4)
    depths, stars = levels(data, "depth"), levels(data, "beta_star")
    for color, depth in zip(shades(len(depths)), depths, strict=True):
        fits = [final_exponent(data, float(star), int(depth)) for star in stars]
        axes.errorbar(
            stars,
            [-f.value for f in fits],
            [f.error for f in fits],
            fmt="o",
            ms=4,
            color=color,
            label=f"depth {depth}",
        )
    axes.axhline(1 / 3, color=GUIDE, ls="--", lw=1, label="1/3")
    axes.set(
        xscale="log",
        xlabel="teacher's inverse temperature β*",
        ylabel="final exponent of L",
        title="Final exponents",
    )
    legend_below(axes)
    return figure
