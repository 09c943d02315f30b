"""Forecasts: what was seen, what is predicted with its interval, and the rates below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.style import COLORS, EXACT, FAINT, GUIDE, new_figure
from peakedtheory.curves.curve import Times
from peakedtheory.curves.forecast_results import Forecast

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: The losses that are drawn begin at this part of the steps; rates are drawn at this many points.
_BEGIN, _POINTS = 0.02, 800


def draw_forecast(forecast: Forecast) -> Figure:
    """Draw the curve, the prediction and its interval over the rates."""
    return draw_forecasts([forecast])


def draw_forecasts(
    forecasts: Sequence[Forecast], names: Sequence[str] | None = None, target: float | None = None
) -> Figure:
    """Draw the curves with one or several forecasts and their intervals, over the rates behind them.

    Parameters
    ----------
    forecasts : sequence of Forecast
    names : sequence of str, optional
        What the legend calls them; their laws by default.
    target : float, optional
        A loss to mark, in nats.
    """
    figure, ((losses,), (rates,)) = new_figure(1, 2, width=7.4, height=2.6)
    losses.get_gridspec().set_height_ratios([3.0, 1.0])
    last = max(float(one.steps[-1]) for one in forecasts)
    lowest, highest = _draw_seen(losses, forecasts[0], _BEGIN * last)
    for i, one in enumerate(forecasts):
        label = f"{names[i] if names else one.title}, {100.0 * one.level:g} % interval"
        _draw_ahead(losses, one, COLORS[i % len(COLORS)], label)
        lowest = min(lowest, one.lower[-1], one.loss.min())
        highest = max(highest, one.upper[-1])
        _draw_rates(rates, one, COLORS[i % len(COLORS)])
    if target is not None:
        losses.axhline(target, color=EXACT, lw=1.0, ls="--", label=f"target {target:g}")
        lowest = min(lowest, target)
    margin = 0.04 * (highest - lowest)
    losses.set(ylabel="loss (nats)", ylim=(lowest - margin, highest + margin))
    losses.tick_params(labelbottom=False)
    rates.set(xlabel="step", ylabel="rate / peak", ylim=(0.0, 1.08))
    for axes in (losses, rates):
        axes.axvline(forecasts[0].curves[0].step[-1], color=GUIDE, lw=0.8, ls=":")
        axes.set_xlim(0.0, 1.02 * last)
    figure.legend(*losses.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    losses.set_title("Seen up to the dotted line, forecast beyond it", fontsize=10)
    return figure


def _draw_seen(axes: Axes, forecast: Forecast, begin: float) -> tuple[float, float]:
    """Draw the records of all curves; return the range of the first one's after its first third."""
    for i, curve in enumerate(forecast.curves):
        shown = curve.step >= min(begin, 0.5 * curve.step[-1])
        color = GUIDE if i == 0 else FAINT
        name = curve.name or ("log" if i == 0 else f"log {i + 1}")
        size = 3.0 if np.count_nonzero(shown) < 400 else 1.0
        axes.plot(curve.step[shown], curve.loss[shown], ".", ms=size, color=color, label=name)
    own = forecast.curves[0]
    late = own.loss[own.step >= 0.2 * own.step[-1]]
    return float(late.min()), float(np.quantile(late, 0.99))


def _draw_ahead(axes: Axes, one: Forecast, color: str, label: str) -> None:
    if one.steps.size == 1:
        miss = [one.loss - one.lower, one.upper - one.loss]
        axes.errorbar(one.steps, one.loss, miss, fmt="o", ms=4, capsize=3, color=color, label=label)
        return
    axes.fill_between(one.steps, one.lower, one.upper, color=color, alpha=0.16, lw=0)
    axes.plot(one.steps, one.loss, color=color, lw=1.6, label=label)


def _draw_rates(axes: Axes, one: Forecast, color: str) -> None:
    if one.clock is None:
        axes.text(0.5, 0.5, "rates not known", ha="center", va="center", transform=axes.transAxes)
        return
    steps = np.unique(np.linspace(1.0, one.clock.steps, _POINTS).round())
    axes.plot(steps, Times(steps, one.clock, "").learning_rate / one.clock.peak, color=color, lw=1.2)
