"""The loss at more steps or under another schedule, with an interval that held on public runs.

"auto" predicts by the annealed power law under the prior that public runs taught (`curves.foresight`). Any
other law is fitted to the curves at hand alone (`curves.law_forecasts`), and never states a narrower interval
than "auto".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np

from peakedtheory._common.checks import confidence, fail
from peakedtheory._common.types import Reals
from peakedtheory.curves.choices import Options
from peakedtheory.curves.curve import LossCurve, Times, ahead, as_curves
from peakedtheory.curves.fits import fit_loss_curve
from peakedtheory.curves.forecast_results import Forecast
from peakedtheory.curves.foresight import Foresight, foresee
from peakedtheory.curves.law import Law
from peakedtheory.curves.law_forecasts import by_law
from peakedtheory.curves.law_registry import parse_law
from peakedtheory.curves.learned import learned
from peakedtheory.curves.plans import planned
from peakedtheory.curves.results import LossCurveFit
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.reading import ScheduleLike

#: The law that runs of their own are also predicted by, where several curves tell it.
_SECOND = "multi-power-held"
#: Rates that differ from the log's by less than this part of the peak are the same.
_SAME = 0.02


def forecast(
    source: LossCurveFit | LossCurve | Sequence[LossCurve],
    steps: Reals | None = None,
    schedule: ScheduleLike | None = None,
    law: str | Law = "auto",
    level: float = 0.95,
    **options: Unpack[Options],
) -> Forecast:
    """Predict the loss at other steps or under another schedule.

    Parameters
    ----------
    source : LossCurveFit, LossCurve or sequence of LossCurve
        Curves, or a fit to some. The first curve's run is continued, under its own plan or under `schedule`
        if that agrees with the rates so far; under any other schedule the forecast is of a run of its own,
        from its first step.
    steps : array_like, optional
        Optimizer steps to predict; by default 200 up to the end of the schedule.
    schedule : optional
        Learning rates of the run to predict, as `as_schedule` takes them, or what follows the log from now
        on, as in "now:hold=10000,decay=2000,final=0".
    law : str or Law
        "auto": the annealed power law under the prior of public runs (docs/forecasts.md). A name in `LAWS`:
        that law from the curves at hand alone. A fit brings its own law.
    level : float
        Coverage of the interval.
    **options
        window, origin, loss, delta as in `fit_loss_curve`, for a named law.

    Returns
    -------
    Forecast

    Raises
    ------
    ValueError
        If the steps go beyond the schedule, fewer than five records lie behind the warmup, or a named law
        cannot be fitted or leaves the loss open by more than 30 %.

    Examples
    --------
    >>> step = np.arange(20.0, 2001.0, 20.0)
    >>> noise = 1e-3 * np.random.default_rng(0).standard_normal(step.size)
    >>> loss = (2.0 + 3.0 * (0.01 * step) ** -0.5) * np.exp(noise)
    >>> curve = LossCurve(step, loss, rates=np.full(2000, 0.01))
    >>> ahead = forecast(curve, steps=[4000])
    >>> bool(ahead.lower[0] < 2.0 + 3.0 * 40**-0.5 < ahead.upper[0])
    True
    """
    level = confidence(level)
    curves = source.curves if isinstance(source, LossCurveFit) else as_curves(source)
    times, continued = _target(curves[0], steps, schedule)
    if isinstance(source, LossCurveFit):
        if options or isinstance(law, Law) or law != "auto":
            named = repr(law if isinstance(law, str) else law.name)
            fail("law", "comes with the fit", named, "pass the curves instead")
        return by_law(source, times, level, source.choices.options, _calibrated(curves, times, continued))
    if isinstance(law, str) and law == "auto":
        return _by_experience(curves, times, continued, level, options)
    fit = fit_loss_curve(curves, parse_law(law), **options)
    return by_law(fit, times, level, options, _calibrated(curves, times, continued))


def first_step(curve: LossCurve, schedule: ScheduleLike | None) -> float:
    """Return where a forecast begins: after the warmup of a new run, or where the curve ends."""
    if schedule is None or _agrees(curve, planned(curve, schedule)):
        return float(curve.step[-1])
    return max(curve.warmup, float(curve.step[0]), 1.0)


def _agrees(curve: LossCurve, clock: Clock) -> bool:
    """Return whether a clock has the curve's rates up to its last record, or they are unknown."""
    if curve.clock is None:
        return True
    seen = int(curve.step[-1])
    rates = clock.rates[:seen]
    if rates.size < seen:
        return False
    apart = np.abs(rates - curve.clock.rates[:seen]) > _SAME * curve.clock.rates[:seen].max()
    return float(apart.mean()) <= _SAME


def _target(curve: LossCurve, steps: Reals | None, schedule: ScheduleLike | None) -> tuple[Times, bool]:
    """Return the times that were asked for, and whether they continue the curve's run."""
    clock = curve.clock if schedule is None else planned(curve, schedule)
    if steps is None:
        end = 0 if clock is None else clock.steps
        if schedule is None and end <= curve.step[-1]:
            rule = "must be given where the schedule ends with the curve"
            fail("steps", rule, "None", "say how far to predict")
        steps = np.unique(np.linspace(min(first_step(curve, clock), end), end, 200).round())
    times = ahead(curve, steps, None if schedule is None else clock)
    return times, clock is None or _agrees(curve, clock)


def _calibrated(curves: tuple[LossCurve, ...], times: Times, continued: bool) -> np.ndarray:
    """Return the standard error of ln L that public runs demand."""
    return foresee(curves, times, continued).error


def _by_experience(
    curves: tuple[LossCurve, ...], times: Times, continued: bool, level: float, options: Options
) -> Forecast:
    """Predict by the annealed power law."""
    seen = foresee(curves, times, continued)
    log_loss, parts, others = seen.log_loss, dict(seen.parts), {}
    second = None if continued or len(curves) < 2 else _second(curves, times, options)
    if second is not None:
        others = {"annealed": np.exp(log_loss), _SECOND: np.exp(second)}
        parts["law"] = 0.5 * np.abs(log_loss - second)
        log_loss = 0.5 * (log_loss + second)
    error = learned().bounded(np.sqrt(sum(part**2 for part in parts.values())))
    loss = np.exp(log_loss)
    half = learned().quantile(level) * error
    return Forecast(
        steps=times.step,
        loss=loss,
        lower=loss * np.exp(-half),
        upper=loss * np.exp(half),
        level=level,
        law="annealed",
        title="annealed power law",
        error=error,
        parts={name: loss * part for name, part in parts.items()},
        parameters=seen.parameters,
        explanation=_explained(seen, curves, times, continued, second is not None),
        curves=curves,
        clock=times.clock,
        others=others,
    )


def _second(curves: tuple[LossCurve, ...], times: Times, options: Options) -> np.ndarray | None:
    """Return ln L by the second law, or None where the curves do not tell it."""
    if times.clock is None or not any(curve.is_annealed for curve in curves):
        return None
    try:
        loss = fit_loss_curve(curves, _SECOND, **options).at(times)
    except ValueError:
        return None
    return np.log(loss) if (loss > 0).all() else None


def _explained(
    seen: Foresight, curves: tuple[LossCurve, ...], times: Times, continued: bool, second: bool
) -> str:
    text = "The annealed power law, with what some 200 public runs taught of it"
    text += ", and the multi-power law, in the mean." if second else "."
    if not continued:
        text += " The schedule is not the log's: this is a run of its own, from its first step."
    if seen.tested:
        miss = f"{100.0 * seen.past_miss:.2g} %"
        text += f" From what was known before, it predicted the end of the data to {miss}."
    else:
        text += " It could not be tested on the past, and its interval is widened for that."
    if times.clock is None:
        text += " The learning rates are not known and are taken as constant: with them it would be better."
    if seen.differences is not None:
        text += f" The {len(curves)} runs share the law up to {100.0 * seen.differences:.2g} % in level."
    return text
