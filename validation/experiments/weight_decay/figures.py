"""Figure of students under weight decay (Fig. 5cd)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.style import EXACT, GUIDE, new_figure, shades
from peakedtheory.validation.experiments.drawing import LABELS, curve, exact_c0, guide, keyed
from peakedtheory.validation.experiments.selection import select
from peakedtheory.validation.experiments.weight_decay.analysis import (
    best_decay_rate,
    decay_window,
    shown_decay_rates,
)

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


def draw(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw loss and β against t for four rates and the best one."""
    figure, ((left, right),) = new_figure(2)
    shown, best = shown_decay_rates(data), best_decay_rate(data)
    drawn = np.union1d(shown, best)
    steps = data["step"].values.astype(float)
    for color, rate in zip(shades(len(drawn)), drawn, strict=True):
        i = select(data, learning_rate=rate)[0]
        label = f"η = {rate:.2g}" + (" (best)" if rate == best else "")
        curve(left, steps, data["loss"].values[i], prediction["loss"].values[i], color, label)
        curve(right, steps, data["beta"].values[i], prediction["beta"].values[i], color, label)
    low, high = decay_window(data)
    i = select(data, learning_rate=best_decay_rate(data, shown))[0]
    start = float(np.exp(np.interp(np.log(low), np.log(steps), np.log(data["loss"].values[i]))))
    guide(left, np.array([low, high]), (low, start * 0.8), -1 / 3)
    right.axhline(exact_c0(), color=EXACT, ls=":", lw=1, label="c₀")
    right.axhline(float(data["beta_star"].values[0]), color=GUIDE, ls=":", lw=1, label="β*")
    for axes, y in ((left, "loss"), (right, "beta")):
        axes.set(xscale="log", yscale="log", xlabel=LABELS["step"], ylabel=LABELS[y])
    keyed(figure)
    figure.suptitle(f"AdamW, ω = {float(data['weight_decay'].values[0]):g}")
    return figure
