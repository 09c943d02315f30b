"""Figures of the scans over β* and learning rate (Figs. 1, 4, 7, 8, 10, 11 and 13-18)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.style import EXACT, GUIDE, SHADE, WARM, new_figure, shades
from peakedtheory.validation.experiments.drawing import (
    LABELS,
    columns_for,
    curve,
    exact_c0,
    guide,
    keyed,
    limits,
    rate_bar,
    rate_colours,
)
from peakedtheory.validation.experiments.selection import (
    CLASSES,
    NOMINAL_C0,
    calm_rates,
    closest,
    levels,
    select,
)

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


def _x(data: xarray.Dataset, name: str, case: int) -> np.ndarray:
    return np.asarray(data["step"].values if name == "step" else data["tau"].values[case], dtype=float)


def panels(data: xarray.Dataset, prediction: xarray.Dataset, *, x: str, y: str) -> Figure:
    """Draw one panel per β*, largest first, and one colour per rate."""
    stars = levels(data, "beta_star")[::-1]
    columns = columns_for(len(stars))
    rows = math.ceil(len(stars) / columns)
    figure, axes = new_figure(columns, rows, width=3.2, height=2.9)
    rates = levels(data, "learning_rate")
    colours = rate_colours(rates)
    for place, star in zip(axes.ravel(), stars, strict=False):
        seen = []
        cases = select(data, beta_star=star, teacher=0)
        for i, calm in zip(cases, calm_rates(data, cases), strict=True):
            measured, predicted = data[y].values[i], prediction[y].values[i] if calm else None
            curve(place, _x(data, x, i), measured, predicted, colours[float(data["learning_rate"].values[i])])
            seen.append(measured)
        limits(place, seen)
        if y == "loss":
            top = max(float(np.nanmax(v)) for v in seen)
            floor = max(float(np.nanmin([np.nanmin(v) for v in seen])), 1e-6 * top)
            place.set_ylim(floor / 1.6, top * 1.6)
        else:
            place.axhline(star, color=GUIDE, lw=0.8, ls=":", label="β*")
            if star > exact_c0():
                place.axhline(exact_c0(), color=WARM, lw=0.8, ls="-.", label="c₀, exact")
        place.set(xscale="log", yscale="log", title=f"β* = {star:.3g}")
        if star > 20:
            reach = np.concatenate([_x(data, x, i)[1:] for i in select(data, beta_star=star, teacher=0)])
            reach = reach[reach > reach.max() / 100]
            anchor = _anchor(data, star, x, y)
            guide(place, reach, anchor, 1 / 3 if y == "beta" else -1 / 3)
    for place in axes.ravel()[len(stars) :]:
        place.set_axis_off()
    for place in axes[-1]:
        place.set_xlabel(LABELS[x])
    for place in axes[:, 0]:
        place.set_ylabel(LABELS[y])
    rate_bar(figure, axes, rates)
    keyed(figure, lines="theory, where a step moves β by less than β*/10")
    return figure


def _anchor(data: xarray.Dataset, star: float, x: str, y: str) -> tuple[float, float]:
    """Return a point beside the end of the best curve, through which the guide goes."""
    cases = select(data, beta_star=star, teacher=0)
    final = np.where(np.isfinite(data["loss"].values[cases, -1]), data["loss"].values[cases, -1], np.inf)
    best = cases[int(np.argmin(final))]
    return _x(data, x, best)[-1], float(data[y].values[best, -1]) * (1.5 if y == "beta" else 1 / 1.5)


def temperatures(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw L against t for every β* at one small rate (0.023 in the paper)."""
    figure, ((axes,),) = new_figure(1, width=5.6, height=4.2)
    rate = closest(levels(data, "learning_rate"), 0.023)
    stars = levels(data, "beta_star")
    steps = data["step"].values.astype(float)
    seen = []
    for color, star in zip(shades(len(stars)), stars, strict=True):
        i = select(data, beta_star=star, teacher=0, learning_rate=rate)[0]
        curve(axes, steps, data["loss"].values[i], prediction["loss"].values[i], color, f"β* = {star:.3g}")
        seen.append(data["loss"].values[i])
    top = max(float(v.max()) for v in seen)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel=LABELS["step"],
        ylabel=LABELS["loss"],
        ylim=(1e-5 * top, 2 * top),
        title=f"Adam, η = {rate:.3g}",
    )
    guide(axes, steps[steps > steps.max() / 30], (steps[-1], 0.7 * float(seen[-1][-1])), -1 / 3, "slope -1/3")
    keyed(figure, columns=4)
    return figure


def rates(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw L(t), β(t) and L(τ) at the largest β* for four rates (Fig. 4)."""
    figure, ((left, middle, right),) = new_figure(3)
    all_rates = levels(data, "learning_rate")
    wanted = sorted({closest(all_rates, rate) for rate in (0.001, 0.0066, 0.081, 0.53)})
    star = float(data["beta_star"].max())
    steps = data["step"].values.astype(float)
    for color, rate in zip(shades(len(wanted)), wanted, strict=True):
        i = select(data, beta_star=star, teacher=0, learning_rate=rate)[0]
        label = f"η = {rate:.2g}"
        loss, predicted = data["loss"].values[i], prediction["loss"].values[i]
        curve(left, steps, loss, predicted, color, label)
        curve(middle, steps, data["beta"].values[i], prediction["beta"].values[i], color, label)
        curve(right, data["tau"].values[i], loss, predicted, color, label)
    best = _anchor(data, star, "step", "loss")
    late = steps[steps > steps.max() / 30]
    guide(left, late, best, -1 / 3)
    best_beta = _anchor(data, star, "step", "beta")
    guide(middle, late, best_beta, 0.38)
    end = _anchor(data, star, "tau", "loss")
    guide(right, np.array([end[0] / 30, end[0]]), end, -1 / 3)
    middle.axhline(exact_c0(), color=EXACT, ls=":", lw=1, label="c₀")
    left.set(ylabel=LABELS["loss"], xlabel=LABELS["step"], title=f"Loss, β* = {star:.0f}")
    middle.set(ylabel=LABELS["beta"], xlabel=LABELS["step"], title="Inverse temperature")
    right.set(ylabel=LABELS["loss"], xlabel=LABELS["tau"], title="Collapse in τ")
    for axes in (left, middle, right):
        axes.set(xscale="log", yscale="log")
    keyed(figure)
    return figure


def _flat(data: xarray.Dataset) -> np.ndarray:
    """Return the values of β* below √(2 ln n)."""
    stars = levels(data, "beta_star")
    return stars[stars < NOMINAL_C0]


def _calm(data: xarray.Dataset, star: float) -> np.ndarray:
    """Return the first teacher's cases at this β* that take ten steps or more to get there."""
    cases = select(data, beta_star=star, teacher=0)
    return cases[calm_rates(data, cases)]


def _calm_rates(data: xarray.Dataset, stars: np.ndarray) -> np.ndarray:
    """Return the rates that are drawn of these β*."""
    return levels(data, "learning_rate", np.concatenate([_calm(data, star) for star in stars]))


def relaxations(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw (β* - β)/β* against τ/n for the two smallest β*."""
    stars = _flat(data)
    figure, axes = new_figure(max(len(stars), 1))
    all_rates = _calm_rates(data, stars)
    colours = rate_colours(all_rates)
    sgd = str(data["optimizer"].values[0]) == "sgd"
    for place, star in zip(axes[0], stars, strict=False):
        reach = 0.0
        for i in _calm(data, star):
            time = data["tau"].values[i] / CLASSES
            left = (star - data["beta"].values[i]) / star
            above = np.flatnonzero(left > 0.02)
            if above.size and left[-1] < 0.5:
                reach = max(reach, float(time[above[-1]]))
            color = colours[float(data["learning_rate"].values[i])]
            place.plot(time, left, "o", ms=2.2, color=color, mew=0)
            theory = (star - prediction["beta"].values[i]) / star
            kept = np.minimum.accumulate(theory) == theory  # to where it first overshoots
            place.plot(time[kept], theory[kept], "-", lw=1, color=color)
        reach = reach or float(data["tau"].values.max()) / CLASSES
        if sgd:
            grid = np.linspace(0, 5, 50)
            place.plot(grid, np.exp(-grid), color=GUIDE, ls="--", label="exp(-τ/n)")
        place.set(
            yscale="log",
            ylim=(0.01, 1.3),
            xlim=(0, min(reach * 1.2, 5.0) if sgd else reach * 1.2),
            xlabel="τ/n",
            ylabel="(β* - β)/β*",
            title=f"β* = {star:.3g}",
        )
    rate_bar(figure, axes, all_rates)
    keyed(figure)
    return figure


def parabola(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw L against β* - β for the two smallest β*."""
    stars = _flat(data)
    figure, axes = new_figure(max(len(stars), 1))
    all_rates = _calm_rates(data, stars)
    colours = rate_colours(all_rates)
    for place, star in zip(axes[0], stars, strict=False):
        for i in _calm(data, star):
            left = star - data["beta"].values[i]
            color = colours[float(data["learning_rate"].values[i])]
            curve(
                place,
                left,
                data["loss"].values[i],
                None,
                color,
            )
            gap = star - prediction["beta"].values[i]
            good = (gap > 1e-2 * star) & (prediction["loss"].values[i] > 0)
            good &= np.minimum.accumulate(gap) == gap  # to where it first overshoots
            place.plot(gap[good], prediction["loss"].values[i][good], "-", lw=1, color=color)
        grid = np.geomspace(1e-2 * star, star, 50)
        place.plot(grid, grid**2 / 2, color=GUIDE, ls="--", label="(β* - β)²/2")
        place.axvspan(0.3 * star, star, color=SHADE, zorder=0, label="judged")
        place.set(
            xscale="log",
            yscale="log",
            xlim=(1e-2 * star, 1.2 * star),
            ylim=(2e-5 * star**2, star**2),
            xlabel="β* - β",
            ylabel=LABELS["loss"],
            title=f"β* = {star:.3g}",
        )
    rate_bar(figure, axes, all_rates)
    keyed(figure)
    return figure
