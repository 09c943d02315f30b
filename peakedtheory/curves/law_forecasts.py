"""Forecasts by a law that is fitted to the curves at hand alone.

Parts of the interval, each one standard deviation of L: the fit's statistical error, its windows, its
origins, and the scatter of single records. The truth is taken to lie anywhere between the chosen fit and its
alternatives, so that a choice counts with its root mean square change over √3. All are widened together by
the factor by which the same forecast, made half-way through the data, missed its second half, or made from
all curves but one, missed that one; and they are never smaller than what public runs demand.
"""

from __future__ import annotations

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory.curves.choices import Options
from peakedtheory.curves.comparison import LawComparison, compare_laws
from peakedtheory.curves.curve import LossCurve, Times
from peakedtheory.curves.forecast_results import Forecast
from peakedtheory.curves.law import Law
from peakedtheory.curves.law_errors import spreads, widened_by_other_curves, widened_by_the_past
from peakedtheory.curves.law_registry import law_name
from peakedtheory.curves.learned import learned
from peakedtheory.curves.results import LossCurveFit
from peakedtheory.curves.uncertainty import student

#: Degrees of freedom of the interval: the systematic parts rest on a handful of alternatives.
_FREEDOM = 5.0
#: Half width over the loss from which a forecast says nothing.
_NOTHING = 0.3
#: Part of the peak below which a rate at the end has fallen.
_FALLEN = 0.9


def by_law(fit: LossCurveFit, times: Times, level: float, options: Options, demanded: np.ndarray) -> Forecast:
    """Predict by a fitted law; `demanded` is the least standard error of ln L.

    Raises
    ------
    ValueError
        If the law is not positive there, or leaves the loss open by more than 30 %.
    """
    comparison = _past(fit.curves, fit.law, options)
    loss = fit.at(times)
    parts = spreads(fit, times)
    widening = max(widened_by_the_past(comparison), widened_by_other_curves(fit.curves, fit.law, options))
    own = student(level, _FREEDOM) * widening * np.sqrt(sum(part**2 for part in parts.values()))
    if not (np.isfinite(own).all() and np.isfinite(loss).all() and (loss > 0).all()):
        rule = f"{fit.law.name} gives no positive loss with a finite error at the steps asked for"
        fail("law", rule, f"{loss[-1]:.4g} ± {own[-1]:.4g}", "leave it out: auto answers")
    half = np.maximum(own / loss, learned().quantile(level) * demanded)
    if half[-1] > _NOTHING:
        found = f"{loss[-1]:.4g} ± {100.0 * half[-1]:.0f} % at step {times.step[-1]:g}"
        fail(
            "law", f"{fit.law.name} cannot tell the loss to within 30 %", found, "leave it out: auto answers"
        )
    return Forecast(
        steps=times.step,
        loss=loss,
        lower=loss * np.exp(-half),
        upper=loss * np.exp(half),
        level=level,
        law=law_name(fit.law),
        title=fit.law.title,
        error=half / learned().quantile(level),
        parts={**parts, "public runs": loss * demanded},
        parameters=fit.parameters,
        explanation=_explained(fit, comparison, widening, times),
        curves=fit.curves,
        clock=times.clock,
        others={},
    )


def _past(curves: tuple[LossCurve, ...], law: Law, options: Options) -> LawComparison | None:
    """Test the law on the second half of the curves; None where the first half does not hold it."""
    try:
        return compare_laws(curves, [law], held_out=0.5, **options)
    except ValueError:
        return None


def _explained(fit: LossCurveFit, comparison: LawComparison | None, widening: float, times: Times) -> str:
    text = f"{fit.law.title} fitted to steps {fit.window[0]:g} to {fit.window[1]:g}."
    if comparison is None:
        text += " The first half of the data does not hold this law: the forecast was not tested on the past."
    else:
        missed = comparison.scores[0].error
        text += f" From the first half of the data it predicted the second to {missed:.4f} nats."
    if widening > 1.0:
        text += f" The interval is widened by {widening:.2f}, as tests on the data at hand demand."
    falls = times.clock is not None and times.clock.rates[-1] < _FALLEN * times.clock.peak
    if falls and not fit.law.needs_annealing:
        text += " This law knows nothing of what falling rates bring: auto does."
    return text
