"""Figures of students that start at other scales (Figs. 5ab, 19-22)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.style import GUIDE, new_figure, shades
from peakedtheory.validation.experiments.drawing import (
    LABELS,
    columns_for,
    curve,
    guide,
    keyed,
    limits,
    rate_bar,
    rate_colours,
)
from peakedtheory.validation.experiments.selection import levels, select
from peakedtheory.validation.experiments.starts.analysis import shown_rate

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _by_ratio(axes: Axes, data: xarray.Dataset, prediction: xarray.Dataset, rate: float, y: str) -> None:
    all_ratios = levels(data, "start_ratio")
    seen = []
    for color, ratio in zip(shades(len(all_ratios)), all_ratios, strict=True):
        i = select(data, start_ratio=ratio, learning_rate=rate)[0]
        tau = data["tau"].values[i]
        curve(axes, tau, data[y].values[i], prediction[y].values[i], color, f"β₀/β* = {ratio:.2f}")
        seen.append(data[y].values[i][1:])
    tau = data["tau"].values[i]
    limits(axes, seen)
    end = float(np.median([v[-1] for v in seen])) / 1.15
    guide(axes, tau[tau > tau[-1] / 50], (tau[-1], end), -1 / 3 if y == "loss" else 1 / 3)
    if y == "beta":
        axes.axhline(float(data["beta_star"].values[0]), color=GUIDE, ls=":", lw=1, label="β*")
    axes.set(
        xscale="log", yscale="log", xlabel=LABELS["tau"], ylabel=LABELS[y], title=f"Adam, η = {rate:.3g}"
    )


def ratios(data: xarray.Dataset, prediction: xarray.Dataset, *, y: str) -> Figure:
    """Draw every ratio at the one rate of the run."""
    figure, ((axes,),) = new_figure(1, width=5.6, height=4.2)
    _by_ratio(axes, data, prediction, float(levels(data, "learning_rate")[-1]), y)
    keyed(figure, columns=4)
    return figure


def both(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw loss and β for every ratio at the rate of Fig. 5."""
    figure, ((left, right),) = new_figure(2)
    rate = shown_rate(data)
    _by_ratio(left, data, prediction, rate, "loss")
    _by_ratio(right, data, prediction, rate, "beta")
    keyed(figure)
    return figure


def panels(data: xarray.Dataset, prediction: xarray.Dataset, *, y: str) -> Figure:
    """Draw one panel per ratio, one colour per rate."""
    all_ratios = levels(data, "start_ratio")
    columns = columns_for(len(all_ratios))
    figure, axes = new_figure(columns, math.ceil(len(all_ratios) / columns), width=3.2, height=2.9)
    rates = levels(data, "learning_rate")
    colours = rate_colours(rates)
    for place, ratio in zip(axes.ravel(), all_ratios, strict=False):
        seen, reach = [], 0.0
        for rate in rates:
            i = select(data, start_ratio=ratio, learning_rate=rate)[0]
            tau = data["tau"].values[i]
            curve(place, tau, data[y].values[i], prediction[y].values[i], colours[float(rate)])
            seen.append(data[y].values[i][1:])
            reach = max(reach, float(tau[-1]))
        limits(place, seen)
        end = float(np.nanmedian([v[-1] for v in seen])) / 1.3
        guide(place, np.array([reach / 50, reach]), (reach, end), -1 / 3 if y == "loss" else 1 / 3)
        place.set(xscale="log", yscale="log", title=f"β₀/β* = {ratio:.2f}")
    for place in axes.ravel()[len(all_ratios) :]:
        place.set_axis_off()
    for place in axes[-1]:
        place.set_xlabel(LABELS["tau"])
    for place in axes[:, 0]:
        place.set_ylabel(LABELS[y])
    rate_bar(figure, axes, rates)
    keyed(figure)
    return figure
