"""Figure of a predicted run: loss, inverse temperature and local exponent against dynamic time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._interpolant import interpolant

if TYPE_CHECKING:
    import matplotlib.axes
    from matplotlib.figure import Figure

    from peakedtheory.dynamics import StudentFlow
    from peakedtheory.regimes import AlignedPath
    from peakedtheory.schedules import Schedule


def plot_flow(flow: StudentFlow, axes: matplotlib.axes.Axes | None = None) -> matplotlib.axes.Axes:
    """Draw the loss and its two parts against τ, with a guide of slope -1/3, power law shaded."""
    if axes is None:
        axes = _figure(1).axes[0]
    tau, loss = np.atleast_1d(flow.tau), np.atleast_1d(flow.loss)
    show = (tau > 0) & (loss > 0)
    axes.loglog(tau[show], loss[show], label="loss")
    tangential = np.atleast_1d(flow.tangential_loss)
    if (tangential[show] > 0).any():
        axes.loglog(tau[show], np.atleast_1d(flow.radial_loss)[show], "--", label="radial")
        axes.loglog(
            tau[show], np.where(tangential[show] > 0, tangential[show], np.nan), ":", label="tangential"
        )
    middle = int(np.flatnonzero(show)[show.sum() // 2])
    axes.loglog(
        tau[show],
        loss[middle] * (tau[show] / tau[middle]) ** (-1 / 3),
        color="0.6",
        lw=0.8,
        label="slope -1/3",
    )
    axes.set_ylim(0.5 * loss[show].min(), 2.0 * loss[show].max())
    _shade(axes, flow)
    axes.set_xlabel("dynamic time τ")
    axes.set_ylabel("loss (nats)")
    axes.legend(frameon=False)
    return axes


def draw_run(flow: StudentFlow) -> Figure:
    """Return a figure of three panels: loss, β, D and ρ, and the local exponent."""
    figure = _figure(3)
    left, middle, right = figure.axes
    plot_flow(flow, left)
    for name, symbol in (("beta", "β"), ("alignment", "D"), ("residual", "ρ")):
        value = np.atleast_1d(getattr(flow, name))
        if (value > 0).any():
            middle.loglog(flow.tau, np.where(value > 0, value, np.nan), label=symbol)
    middle.axhline(interpolant(flow.n).slope, color="0.6", lw=0.8)
    if math.isfinite(flow.beta_star):
        middle.axhline(flow.beta_star, color="0.6", lw=0.8, ls="--")
    middle.set_ylabel("inverse temperature")
    middle.legend(frameon=False)
    right.semilogx(flow.tau, flow.local_exponent)
    right.axhline(1 / 3, color="0.6", lw=0.8)
    right.set_ylabel("local exponent")
    for axes in (middle, right):
        _shade(axes, flow)
        axes.set_xlabel("dynamic time τ")
    return figure


def draw_schedule(schedules: dict[str, Schedule]) -> Figure:
    """Return a figure of learning rates against the fraction of the run."""
    figure = _figure(1)
    axes = figure.axes[0]
    for name, plan in schedules.items():
        axes.semilogy(
            (np.arange(plan.steps) + 0.5) / plan.steps,
            np.where(plan.rates > 0, plan.rates, np.nan),
            label=name,
        )
    axes.set_xlabel("fraction of the run")
    axes.set_ylabel("learning rate")
    axes.legend(frameon=False, fontsize="small")
    return figure


def _figure(columns: int) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * columns, 3.6), layout="constrained")
    figure.subplots(1, columns)
    return figure


def _shade(axes: matplotlib.axes.Axes, flow: StudentFlow) -> None:
    """Shade where the local exponent lies within 10 % of 1/3 at β beyond c0."""
    tau, beta = np.atleast_1d(flow.tau), np.atleast_1d(flow.beta)
    inside = (np.abs(np.atleast_1d(flow.local_exponent) * 3 - 1) <= 0.1) & (beta > interpolant(flow.n).slope)
    changes = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(int), [0]])))
    for first, last in changes.reshape(-1, 2):
        if last - first > 1:
            axes.axvspan(tau[first], tau[last - 1], color="0.9", zorder=0)


def draw_path(path: AlignedPath) -> Figure:
    """Return a figure of the aligned flow from zero: loss and local exponent against τ."""
    figure = _figure(2)
    left, right = figure.axes
    left.loglog(path.tau, path.loss)
    left.set_ylabel("loss (nats)")
    right.semilogx(path.tau, path.exponent)
    right.set_ylim(0.0, 2.0)
    right.axhline(1 / 3, color="0.6", lw=0.8)
    right.set_ylabel("local exponent")
    for axes in figure.axes:
        axes.set_xlabel("dynamic time τ")
    return figure
