"""Figure of the entropy of softmax outputs and its match (Fig. 6a)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from peakedtheory._common.style import COLD, EXACT, GUIDE, WARM, legend_below, new_figure

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


def draw(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw the entropy against β*, the target and the match."""
    figure, ((axes,),) = new_figure(1, width=5.6, height=4.4)
    beta = data["beta"].values
    axes.plot(prediction["beta"], prediction["entropy"], color=COLD, label="exact")
    axes.errorbar(
        beta,
        data["entropy"],
        data["entropy_standard_error"],
        fmt="o",
        ms=3,
        color=WARM,
        label=f"{data.attrs['samples']} samples",
    )
    star, c0 = float(prediction["beta_star"]), float(prediction["c0"])
    axes.axhline(
        data.attrs["target"], color=GUIDE, ls="--", lw=1, label=f"{data.attrs['target']:g} nats of language"
    )
    axes.axvline(star, color=EXACT, lw=1, label=f"β* = {star:.4f}, exact")
    axes.axvline(6.87, color=EXACT, ls=":", lw=1, label="6.87, published")
    axes.axvline(c0, color=GUIDE, ls="-.", lw=1, label=f"c₀ = {c0:.3f}, exact")
    axes.axvline(
        math.sqrt(2 * math.log(data.attrs["classes"])), color=GUIDE, ls=":", lw=1, label="4.55, published c₀"
    )
    axes.set(
        xlabel="inverse temperature β*",
        ylabel="entropy S (nats)",
        title=f"n = {data.attrs['classes']:,} Gaussian logits",
    )
    legend_below(axes, columns=2)
    return figure
