"""Figures of Pythia's published points (Figs. 6b, 6c, 25-27) and of laws fitted to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.style import COLORS, GUIDE, legend_below, new_figure
from peakedtheory.validation.experiments.drawing import guide
from peakedtheory.validation.experiments.pythia.analysis import window_of

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

_MARKERS = ("o", "s", "^", "D")


def _styles(data: xarray.Dataset) -> list[tuple[str, dict[str, object]]]:
    return [
        (str(run), {"color": color, "marker": marker, "ms": 4})
        for run, color, marker in zip(data["run"].values, COLORS, _MARKERS, strict=False)
    ]


def scaling(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw L - L∞ with the authors' fits, and the logits' standard deviation, against τ."""
    figure, ((left, right),) = new_figure(2, height=4.2)
    for run, style in _styles(data):
        one, fit = data.sel(run=run), prediction.sel(run=run)
        tau, step = fit["tau"].values, one["step"].values
        first, last = window_of(run)
        used = (step >= first) & (step <= last)
        excess = one["loss"].values - float(fit["floor"])
        label = f"{run}: α = {float(fit['alpha']):.3f} ± {float(fit['noise']):.3f}"
        left.plot(tau[used], excess[used], ls="", label=label, **style)
        alpha = float(fit["alpha"])
        scale = np.exp(np.mean(np.log(excess[used]) + alpha * np.log(tau[used])))
        left.plot(tau[used], scale * tau[used] ** -alpha, color=style["color"], lw=1)
        seen = np.isfinite(one["logit_std"].values)
        right.plot(tau[seen], one["logit_std"].values[seen], lw=0.8, label=run, **style)
    left.plot([], [], color=GUIDE, lw=1, label="lines: c τ^-α of each fit")
    first_tau, std = prediction["tau"].values[-1][:4], data["logit_std"].values[-1]
    guide(right, first_tau, (first_tau[0], 1.25 * float(std[0])), 1 / 3)
    left.set(ylabel="L - L∞, L∞ of each model's fit (nats)", title="Loss")
    right.set(ylabel="standard deviation of the logits", title="Logit scale")
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="dynamic time τ = Σ η")
        legend_below(axes, columns=2)
    return figure


def against_both(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw loss, loss less its floor, and logit scale against steps (above) and τ (below)."""
    figure, panels = new_figure(3, 2, width=3.9, height=3.1)
    for run, style in _styles(data):
        one, fit = data.sel(run=run), prediction.sel(run=run)
        excess = one["loss"].values - float(fit["floor"])
        first, last = window_of(run)
        excess[(one["step"].values < first) | (one["step"].values > last)] = np.nan
        for row, x in zip(panels, (one["step"].values, fit["tau"].values), strict=True):
            for axes, y in zip(row, (one["loss"].values, excess, one["logit_std"].values), strict=True):
                seen = np.isfinite(y)
                axes.plot(x[seen], y[seen], lw=0.8, label=run, **style)
    names = ("loss (nats per token)", "L - L∞ (nats)", "standard deviation of the logits")
    for row, title in zip(panels, ("training step", "dynamic time τ = Σ η"), strict=True):
        for axes, name in zip(row, names, strict=True):
            axes.set(xscale="log", yscale="log", xlabel=title, ylabel=name)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9)
    return figure


def laws(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw the held-out error of every law, model by model."""
    figure, ((axes,),) = new_figure(1, width=7.0, height=3.8)
    names = [str(name) for name in prediction["law"].values]
    places = np.arange(len(names))
    for shift, (run, style) in zip((-0.18, -0.06, 0.06, 0.18), _styles(data), strict=False):
        one = prediction.sel(run=run)
        error, apart = one["held_out_error"].values, one["told_apart"].values > 0
        axes.plot(places + shift, error, ls="", label=run, **style)
        axes.plot(places[apart] + shift, error[apart], ls="", **{**style, "mfc": "white"})
    axes.set(yscale="log", ylabel="held-out error (nats)", xlabel="law")
    axes.set_xticks(places, names, fontsize=8)
    legend_below(axes, columns=4)
    return figure
