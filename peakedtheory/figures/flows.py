"""Figure of a predicted run: loss, inverse temperature and local exponent against dynamic time."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.style import COLD, EXTRA, GUIDE, SHADE, WARM, current_axes, legend_below, new_figure
from peakedtheory.dynamics.aligned_path import AlignedPath
from peakedtheory.dynamics.gap_law import predict_exponent
from peakedtheory.dynamics.interpolant import interpolant
from peakedtheory.dynamics.regimes import TOLERANCE, stretches
from peakedtheory.dynamics.student import StudentFlow
from peakedtheory.schedules.clock import Clock

if TYPE_CHECKING:
    import matplotlib.axes
    from matplotlib.figure import Figure


def plot_flow(flow: StudentFlow, axes: matplotlib.axes.Axes | None = None) -> matplotlib.axes.Axes:
    """Draw the loss and its two parts against τ, with a guide of slope -α, power law shaded."""
    if axes is None:
        axes = current_axes()
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
        loss[middle] * (tau[show] / tau[middle]) ** -_exponent(flow),
        color=GUIDE,
        lw=0.8,
        label=f"slope -{_written(_exponent(flow))}",
    )
    axes.set_ylim(0.5 * loss[show].min(), 2.0 * loss[show].max())
    _shade(axes, flow)
    axes.set(xlabel="dynamic time τ", ylabel="loss (nats)", title="Loss")
    legend_below(axes)
    return axes


def draw_run(flow: StudentFlow) -> Figure:
    """Return a figure of three panels: loss, β, D and ρ, and the local exponent."""
    figure, ((left, middle, right),) = new_figure(3)
    plot_flow(flow, left)
    for name, symbol in (("beta", "β"), ("alignment", "D"), ("residual", "ρ")):
        value = np.atleast_1d(getattr(flow, name))
        if (value > 0).any():
            middle.loglog(flow.tau, np.where(value > 0, value, np.nan), label=symbol)
    middle.axhline(_onset(flow), color=GUIDE, lw=1, ls=":", label="c₀, onset of low temperature")
    if math.isfinite(flow.beta_star):
        middle.axhline(flow.beta_star, color=GUIDE, lw=1, ls="--", label="β*, the teacher")
    middle.set(ylabel="inverse temperature", title="Logit scale β, alignment D, residual ρ")
    right.semilogx(flow.tau, flow.local_exponent, color=COLD)
    exponent = _exponent(flow)
    right.axhline(exponent, color=GUIDE, lw=1, ls="--", label=_written(exponent))
    right.set(ylabel="-d ln L / d ln τ", title="Local exponent")
    for axes in (middle, right):
        _shade(axes, flow)
        axes.set_xlabel("dynamic time τ")
        legend_below(axes)
    star = "∞" if math.isinf(flow.beta_star) else f"{flow.beta_star:g}"
    figure.suptitle(f"n = {flow.n:.0f}, β* = {star}")
    return figure


def draw_schedule(schedules: dict[str, Clock]) -> Figure:
    """Return a figure of learning rates against the fraction of the run, over four decades."""
    figure, ((axes,),) = new_figure(1, width=5.6, height=4.0)
    styles = itertools.cycle(("-", "--", "-.", (0, (1, 1))))
    for (name, plan), style in zip(schedules.items(), styles, strict=False):
        done = (np.arange(plan.steps) + 0.5) / plan.steps
        axes.semilogy(done, np.where(plan.rates > 0, plan.rates, np.nan), lw=1.6, ls=style, label=name)
    highest = max(float(plan.rates.max()) for plan in schedules.values())
    axes.set(
        xlabel="fraction of the run",
        ylabel="learning rate",
        ylim=(1e-4 * highest, 2.0 * highest),
        title="Each schedule at its best height, best first",
    )
    legend_below(axes)
    return figure


def _exponent(flow: StudentFlow) -> float:
    """Return α of the gap law, 1/3 for Gaussian energies."""
    return predict_exponent(flow.n, flow.energies).exponent


def _onset(flow: StudentFlow) -> float:
    """Return β = c0."""
    return interpolant(flow.n, flow.energies, flow.beta_star).onset


def _written(exponent: float) -> str:
    return "1/3" if abs(exponent - 1 / 3) < 1e-9 else f"{exponent:.3g}"


def _shade(axes: matplotlib.axes.Axes, flow: StudentFlow) -> None:
    """Shade where the local exponent lies within 10 % of α at β beyond c0."""
    tau, beta = np.atleast_1d(flow.tau), np.atleast_1d(flow.beta)
    local, exponent = np.atleast_1d(flow.local_exponent), _exponent(flow)
    label = f"within {100 * TOLERANCE:.0f} % of {_written(exponent)}"
    for first, last in stretches(local, beta, exponent, _onset(flow)):
        if last - first > 1:
            axes.axvspan(tau[first], tau[last - 1], color=SHADE, zorder=0, label=label)
            label = "_nolegend_"


def draw_path(
    path: AlignedPath, beta_star: float, onset: float, exponent: float, moment: float | None = None
) -> Figure:
    """Return a figure of the aligned flow from zero, with its asymptotic exponent, both ends shaded.

    A dynamic time that is asked about is marked.
    """
    figure, ((left, right),) = new_figure(2)
    left.loglog(path.tau, path.loss, color=COLD, label="loss")
    high = float(path.loss.max())
    shown = path.loss > 1e-8 * high
    low = 0.3 * float(path.loss[shown].min())
    left.set(ylabel="loss (nats)", title="Loss of the aligned flow", ylim=(low, 3.0 * high))
    right.semilogx(path.tau, path.exponent, color=COLD)
    if math.isfinite(exponent):
        right.axhline(exponent, color=GUIDE, lw=1, ls="--", label=f"α = {exponent:.3g}")
    top = min(max(1.1 * float(np.nanmax(path.exponent)), 2.0 * exponent), 2.0)
    right.set(ylim=(0.0, top), ylabel="-d ln L / d ln τ", title="Local exponent")
    start = float(path.tau[np.argmin(np.abs(path.beta - onset))])
    end = float(path.tau[np.argmin(np.abs(path.beta - 0.5 * beta_star))])
    for axes in (left, right):
        axes.axvspan(path.tau[0], start, color=WARM, alpha=0.15, lw=0, label="β < c₀: high temperature")
        if math.isfinite(beta_star):
            end = max(start, end)
            axes.axvspan(end, path.tau[-1], color=COLD, alpha=0.15, lw=0, label="β > β*/2: the end")
        axes.set(xlabel="dynamic time τ", xlim=(path.tau[0], path.tau[shown][-1]))
        if moment is not None:
            axes.axvline(moment, color=EXTRA, lw=1.4, label=f"τ = {moment:.4g}")
        legend_below(axes, columns=2)
    return figure
