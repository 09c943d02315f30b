"""Figure of the negative controls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.style import COLD, EXTRA, WARM, new_figure
from peakedtheory.validation.experiments.controls.claims import KINDS
from peakedtheory.validation.experiments.drawing import curve, guide, keyed

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


def draw(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw L over its start against t, on two logarithmic axes."""
    figure, ((axes,),) = new_figure(1, width=6.0, height=4.2)
    steps = data["step"].values.astype(float)
    for kind, color in enumerate((COLD, WARM, EXTRA)):
        for i in np.flatnonzero(data["kind"].values == kind):
            loss, theory = data["loss"].values[i], prediction["loss"].values[i]
            first = int(i) == int(np.flatnonzero(data["kind"].values == kind)[0])
            star = float(data["beta_star"].values[i])
            label = f"{KINDS[kind]} (β* = {star:.3g})" if first else ""
            curve(axes, steps, loss / loss[0], theory / theory[0] if first else None, color, label)
            if kind == 0 and first:
                guide(axes, steps[steps > steps[-1] / 30], (steps[-1], 1.4 * loss[-1] / loss[0]), -1 / 3)
    axes.set(
        xscale="log", yscale="log", ylim=(1e-5, 2), xlabel="training step t", ylabel="loss over its start"
    )
    keyed(figure, columns=2)
    return figure
