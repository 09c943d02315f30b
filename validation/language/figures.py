"""Figures of evaluated checkpoints and of training runs, in the package's style."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.style import COLD, COLORS, EXACT, EXTRA, GUIDE, WARM, legend_below, new_figure

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_evaluation(result: xarray.Dataset, title: str = "") -> Figure:
    """Draw loss and entropy, logit scale and β* of evaluated checkpoints against τ, or the step.

    Parameters
    ----------
    result : xarray.Dataset
        Of `evaluate_revisions`.
    title : str
        Name of the model.
    """
    x, label = _abscissa(result)
    figure, ((left, middle, right),) = new_figure(3)
    _with_errors(left, x, result, "loss", EXACT, "loss L")
    _with_errors(left, x, result, "entropy", COLD, "entropy of the predictions")
    left.set(ylabel="nats per token", title="Loss and entropy")
    _with_errors(middle, x, result, "logit_std", COLD, "standard deviation")
    _with_errors(middle, x, result, "top_margin", WARM, "largest logit above the mean")
    _with_errors(middle, x, result, "top_gap", EXTRA, "gap between the two largest")
    middle.set(yscale="log", ylabel="logits (nats)", title="Scale of the logits")
    _with_errors(right, x, result, "beta_star", COLD, "β*: S(β*) = mean entropy")
    c0 = result.attrs["c0"]
    right.axhline(c0, color=GUIDE, lw=1, ls="-.", label=f"c₀ = {c0:.3g}")
    right.set(ylabel="inverse temperature", title="I.i.d. Gaussian logits of that entropy", ylim=(0, None))
    for axes in (left, middle, right):
        axes.set(xlabel=label)
        if x.size > 1 and (x > 0).all():
            axes.set_xscale("log")
        legend_below(axes, columns=2)
    figure.suptitle(title)
    return figure


def _abscissa(result: xarray.Dataset) -> tuple[np.ndarray, str]:
    if "tau" in result and np.isfinite(result.tau.values).all():
        return result.tau.values, "dynamic time τ = Σ η"
    if np.isfinite(result.step.values).all():
        return result.step.values, "training step"
    return np.arange(1, result.revision.size + 1), "revision, in the order given"


def _with_errors(
    axes: Axes, x: np.ndarray, result: xarray.Dataset, name: str, color: str, label: str
) -> None:
    error = result[f"{name}_standard_error"].values
    bars = np.where(np.isfinite(error), error, 0.0)
    axes.errorbar(x, result[name].values, yerr=bars, color=color, marker="o", ms=3, lw=1.2, label=label)


def draw_scaling(table: xarray.Dataset, summary: xarray.Dataset) -> Figure:
    """Draw loss, logit scale and β* against τ, and the entropies at the end (Liu et al. 2026, Fig. 6).

    Parameters
    ----------
    table : xarray.Dataset
        Curves, as `analysis.combine_runs` returns them.
    summary : xarray.Dataset
        What `analysis.summarise` returns for them.
    """
    figure, ((upper, upper_right), (lower, lower_right)) = new_figure(2, 2, height=4.8)
    for run, color in zip(table.run.values, itertools.cycle(COLORS), strict=False):
        one, found = table.sel(run=run), summary.sel(run=run)
        kept = (one.step.values > 0) & np.isfinite(one.step.values)
        tau = one.tau.values[kept]
        floor = float(found.floor) if float(found.floor) > 2.0 * float(found.floor_error) else 0.0
        alpha = f"{float(found.alpha):.2f} ± {float(found.alpha_error):.2f}, L∞ = {floor:.2f}"
        if not floor:
            alpha = "undetermined"
        style = {"color": color, "marker": "o", "ms": 2.5, "lw": 1.0}
        upper.plot(tau, one.loss.values[kept] - floor, label=f"{run}: α = {alpha}", **style)
        growth = f"{float(found.growth):.2f} ± {float(found.growth_error):.2f}"
        upper_right.plot(tau, one.logit_std.values[kept], label=f"{run}: γ = {growth}", **style)
        lower.plot(tau, one.beta_star.values[kept] / float(summary.c0), **style)
        share = one.final_entropy_histogram.values / one.final_entropy_histogram.values.sum()
        lower_right.plot(table.entropy_bin.values, np.cumsum(share), color=color, lw=1.2)
    _guide(upper, table, "loss", -1.0 / 3.0)
    _guide(upper_right, table, "logit_std", 1.0 / 3.0)
    upper.set(ylabel="L - L∞ of the run's own fit, or L (nats)", title="Loss", yscale="log")
    upper_right.set(ylabel="standard deviation of the logits", title="Logit scale", yscale="log")
    lower.axhline(1.0, color=GUIDE, lw=1, ls="-.", label=f"β* = c₀ = {float(summary.c0):.3g}")
    lower.set(ylabel="β*/c₀", title="I.i.d. Gaussian logits of the same mean entropy", ylim=(0, None))
    for axes in (upper, upper_right, lower):
        axes.set(xlabel="dynamic time τ = Σ η", xscale="log")
        legend_below(axes, columns=1, size=7)
    edge = float(summary.entropy_at_c0)
    lower_right.axvline(edge, color=GUIDE, lw=1, ls="-.", label=f"S(β = c₀) = {edge:.3g}")
    lower_right.set(
        xlabel="entropy of a prediction (nats)", ylabel="share of tokens below", title="End of the runs"
    )
    legend_below(lower_right)
    figure.suptitle(f"{table.sizes['run']} runs, {int(table.attrs['vocabulary'])} token types")
    return figure


def draw_losses(table: xarray.Dataset) -> Figure:
    """Draw the loss of every run against the step and against τ."""
    figure, ((left, right),) = new_figure(2)
    for run, color in zip(table.run.values, itertools.cycle(COLORS), strict=False):
        one = table.sel(run=run)
        kept = (one.step.values > 0) & np.isfinite(one.step.values)
        for axes, x in ((left, one.step.values[kept]), (right, one.tau.values[kept])):
            axes.plot(x, one.loss.values[kept], color=color, lw=1.0, marker="o", ms=2.5, label=str(run))
    left.set(
        xlabel="step", ylabel="loss (nats per token)", xscale="log", yscale="log", title="Against the step"
    )
    right.set(xlabel="dynamic time τ = Σ η", xscale="log", yscale="log", title="Against τ")
    for axes in (left, right):
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
        legend_below(axes)
    return figure


def _guide(axes: Axes, table: xarray.Dataset, name: str, slope: float) -> None:
    """Draw a power law beside the last decade of τ of the first run."""
    one = table.isel(run=0)
    kept = np.isfinite(one.step.values)
    last, value = one.tau.values[kept][-1], one[name].values[kept][-1]
    x = np.geomspace(last / 10.0, last, 2)
    label = f"slope {'-' if slope < 0 else ''}1/3"
    axes.plot(x, 1.15 * value * (x / last) ** slope, color=GUIDE, lw=1, ls="--", label=label)
