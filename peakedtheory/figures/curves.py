"""Figures of loss curves: fitted laws with their residuals, collapses against τ and steps, forecasts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.binning import bin_means
from peakedtheory._common.style import (
    COLORS,
    EXACT,
    GUIDE,
    SHADE,
    current_axes,
    new_figure,
    plain_ticks,
)
from peakedtheory.curves.collapse import Collapse, CollapseComparison
from peakedtheory.curves.comparison import LawComparison
from peakedtheory.curves.curve import LossCurve, Times
from peakedtheory.curves.results import LossCurveFit

if TYPE_CHECKING:
    import matplotlib.axes
    from matplotlib.figure import Figure

#: Residuals of longer curves are drawn as averages over bins.
_LONG = 300
_TIMES = {"tau": "dynamic time τ", "step": "steps"}


def draw_fit(fit: LossCurveFit) -> Figure:
    """Draw the curves with the fitted law, and below them the residuals."""
    return draw_fits([fit])


def draw_comparison(comparison: LawComparison, curves: Sequence[LossCurve] | None = None) -> Figure:
    """Draw every law that could be fitted, and its residuals, on the whole `curves` where they are given."""
    return draw_fits([score.fit for score in comparison.scores if score.fit is not None], curves)


def draw_fits(fits: Sequence[LossCurveFit], curves: Sequence[LossCurve] | None = None) -> Figure:
    """Draw curves with every fitted law, and below them the residuals of each law.

    One law gives each curve its colour, several laws each law. `curves` are the whole curves where the fits
    are to a part of them.
    """
    whole = fits[0].curves if curves is None else curves
    time = fits[0].law.time if all(fit.law.time == fits[0].law.time for fit in fits) else "step"
    figure, panels = new_figure(1, 2, width=8.4, height=3.2)
    top, bottom = panels[:, 0]
    bottom.sharex(top)
    one_law = len(fits) == 1
    for i, curve in enumerate(whole):
        color = COLORS[i % len(COLORS)] if one_law else GUIDE
        _dots(top, _time(curve, time), curve.loss, color, curve.name)
    limit = 1e-6
    for j, fit in enumerate(fits):
        for i, curve in enumerate(whole):
            color = COLORS[(i if one_law else j) % len(COLORS)]
            x, predicted, loss, inside = _law_line(fit, curve, time)
            line = EXACT if one_law else color
            top.plot(x, predicted, color=line, lw=1.0, ls=":")
            label = fit.law.title if i == 0 else None
            width = (
                1.4 if one_law else max(3.0 - 0.6 * j, 1.0)
            )  # laws may coincide: those below stay in sight
            top.plot(x[inside], predicted[inside], color=line, lw=width, label=label)
            residual = 100.0 * np.log(loss / predicted)
            bottom.plot(*_thinned(x, residual), color=color, lw=0.7, ls=":")
            bottom.plot(*_thinned(x[inside], residual[inside]), color=color, lw=0.9)
            at, after = _thinned(x, residual)
            after = after[at >= x[inside].min(initial=np.inf)]
            limit = max(limit, 1.15 * float(np.percentile(np.abs(after), 99.5)) if after.size else 0.0)
    parts = [part for fit in fits for part in fit.parts]
    low, high = min(_time(part, time)[0] for part in parts), max(_time(part, time)[-1] for part in parts)
    for axes in (top, bottom):
        axes.axvspan(low, high, color=SHADE, lw=0, zorder=0)
    _frame(top, whole, time, low)
    top.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
    bottom.axhline(0.0, color=GUIDE, lw=0.8)
    bottom.set(xlabel=_TIMES[time], ylabel="residual, 100 ln(L/law)", ylim=(-limit, limit))
    name = (whole[0].name or "loss curve") if len(whole) == 1 else f"{len(whole)} curves"
    figure.suptitle(f"{name}: fitted in the shaded window, dotted beyond it", fontsize=10)
    return figure


def plot_collapse(collapse: Collapse, axes: matplotlib.axes.Axes | None = None) -> matplotlib.axes.Axes:
    """Draw the factor in x by which each curve is ahead of the mean of all, over the loss."""
    if axes is None:
        axes = current_axes()
    for i, (name, deviation) in enumerate(zip(collapse.names, collapse.deviation, strict=True)):
        axes.plot(collapse.levels, np.exp(deviation), color=COLORS[i % len(COLORS)], lw=1.2, label=name)
    symbol = {"tau": "τ", "step": "steps"}[collapse.against]
    if np.isnan(collapse.deviation).all():
        axes.text(0.5, 0.6, "no loss is reached by all curves", ha="center", transform=axes.transAxes)
    axes.axhline(1.0, color=GUIDE, lw=0.8)
    axes.set(
        xlabel="loss (nats)",
        ylabel=f"{symbol} at equal loss over the mean",
        yscale="log",
    )
    axes.set_title(f"against {symbol}: a factor {collapse.factor:.3f}", fontsize=10)
    axes.set_xscale("log")
    axes.set_xlim(1.03 * collapse.levels.max(), collapse.levels.min() / 1.03)
    for axis in (axes.xaxis, axes.yaxis):
        plain_ticks(axis)
    return axes


def draw_collapse(comparison: CollapseComparison, curves: Sequence[LossCurve]) -> Figure:
    """Draw the curves against τ and against steps, and below each how far they are apart."""
    figure, panels = new_figure(2, 2, width=5.0, height=3.3)
    level = comparison.tau.levels.max()
    for column, (time, collapse) in enumerate((("tau", comparison.tau), ("step", comparison.step))):
        top, bottom = panels[:, column]
        for i, curve in enumerate(curves):
            color = COLORS[i % len(COLORS)]
            x = _time(curve, time)
            top.plot(x[x > 0], curve.loss[x > 0], color=color, lw=1.2, label=curve.name)
        top.set(xscale="log", yscale="log", xlabel=_TIMES[time], ylabel="loss (nats)")
        shown = np.concatenate(
            [_time(c, time)[(c.loss <= 1.1 * level) & (_time(c, time) > 0)] for c in curves]
        )
        top.set_xlim(0.8 * shown.min(), 1.25 * shown.max())
        top.set_ylim(0.95 * min(c.loss.min() for c in curves), 1.15 * level)
        plain_ticks(top.yaxis)
        plot_collapse(collapse, bottom)
    known = np.concatenate([comparison.tau.deviation, comparison.step.deviation])
    reach = max(float(np.abs(known[~np.isnan(known)]).max(initial=0.0)), 1e-3)
    for axes in panels[1]:
        axes.set_ylim(math.exp(-1.1 * reach), math.exp(1.1 * reach))
        plain_ticks(axes.yaxis)
    panels[0, 0].legend(fontsize=8)
    figure.suptitle(comparison.verdict.split(" (")[0], fontsize=10)
    return figure


def _time(curve: LossCurve, time: str) -> np.ndarray:
    return curve.tau if time == "tau" else curve.step


def _law_line(
    fit: LossCurveFit, curve: LossCurve, time: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return times, the law, the losses and which lie in the window, where the law's own time has begun."""
    begun = (fit.law.elapsed(curve) > fit.origin) & (curve.step >= 0.3 * fit.window[0])
    step = curve.step[begun]
    predicted = fit.at(Times(step, curve.clock, curve.name))
    inside = (step >= fit.window[0]) & (step <= fit.window[1])
    return _time(curve, time)[begun], predicted, curve.loss[begun], inside


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average long series in bins of equal width in ln x, so that several can be told apart."""
    if x.size <= _LONG:
        return x, y
    mean_x, mean_y = bin_means(x, np.geomspace(x[0], x[-1], _LONG + 1)[1:-1], x, y)
    return mean_x, mean_y


def _dots(axes: matplotlib.axes.Axes, x: np.ndarray, loss: np.ndarray, color: str, label: str | None) -> None:
    shown = x > 0
    size, alpha = (2.5, 0.9) if x.size < 600 else (1.0, 0.35)
    axes.plot(
        x[shown], loss[shown], ".", ms=size, alpha=alpha, color=color, label=label, rasterized=x.size > 2000
    )


def _frame(axes: matplotlib.axes.Axes, curves: Sequence[LossCurve], time: str, low: float) -> None:
    """Logarithmic axes around the fitted window and what comes shortly before it."""
    inside = [_time(curve, time) >= 0.3 * low for curve in curves]
    losses = np.concatenate([curve.loss[i] for curve, i in zip(curves, inside, strict=True)])
    times = np.concatenate([_time(curve, time)[i] for curve, i in zip(curves, inside, strict=True)])
    axes.set(xscale="log", yscale="log", ylabel="loss (nats)")
    axes.set_xlim(0.9 * times.min(), 1.1 * times.max())
    span = (losses.max() / losses.min()) ** 0.05
    axes.set_ylim(losses.min() / span, losses.max() * span)
    for axis in (axes.xaxis, axes.yaxis):
        plain_ticks(axis)
