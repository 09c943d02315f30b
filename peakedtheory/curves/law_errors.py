"""How far a forecast may be off: the parts of its standard deviation, and tests of them on the data at hand.

A factor widens all parts together: the one by which the same forecast, made half-way through the data, missed
its second half, or made from all curves but one, missed that one.
"""

from __future__ import annotations

import math

import numpy as np

from peakedtheory.curves.choices import Options
from peakedtheory.curves.comparison import LawComparison
from peakedtheory.curves.curve import LossCurve, Times
from peakedtheory.curves.fits import fit_loss_curve
from peakedtheory.curves.law import Law
from peakedtheory.curves.results import LossCurveFit


def spreads(fit: LossCurveFit, times: Times) -> dict[str, np.ndarray]:
    """Return the parts of a forecast's standard deviation at the given times."""
    loss = fit.at(times)
    slopes = fit.log_slopes(times)
    variance = np.einsum("ij,jk,ik->i", slopes, fit.covariance, slopes)
    parts = {"statistical": loss * np.sqrt(np.maximum(variance, 0.0))}
    for part in ("window", "origin"):
        changes = [fit.at(times, a) - loss for a in fit.alternatives if a.part == part]
        parts[part] = _between(changes, loss)
    parts["scatter"] = loss * float(np.std(fit.residuals))
    return parts


def _between(changes: list[np.ndarray], like: np.ndarray) -> np.ndarray:
    kept = [change for change in changes if np.isfinite(change).all()]
    return np.sqrt(np.mean(np.square(kept), axis=0) / 3.0) if kept else np.zeros_like(like)


def widened_by_the_past(comparison: LawComparison | None) -> float:
    """Return how much too narrow the law's interval was on the second half of the curves, at least 1."""
    if comparison is None:
        return 1.0
    best = comparison.scores[0]
    assert best.fit is not None  # a comparison holds at least one fit
    squares = []
    for early, whole in zip(best.fit.curves, comparison.curves, strict=True):
        late = whole.window(np.nextafter(early.step[-1], np.inf))
        squares.append(_misses(best.fit, late))
    return math.sqrt(max(1.0, float(np.concatenate(squares).mean())))


def widened_by_other_curves(curves: tuple[LossCurve, ...], law: Law, options: Options) -> float:
    """Return how much too narrow the law's interval is for each curve from fits to the others, at least 1."""
    squares = []
    for i, curve in enumerate(curves):
        rest = curves[:i] + curves[i + 1 :]
        try:
            fit = fit_loss_curve(rest, law, **options)
        except ValueError:  # the other curves do not determine the law
            continue
        squares.append(_misses(fit, curve.window(max(curve.warmup, fit.window[0]))).mean())
    return math.sqrt(max(1.0, float(np.mean(squares)))) if squares else 1.0


def _misses(fit: LossCurveFit, late: LossCurve) -> np.ndarray:
    """Return the squared misses of a forecast of `late` over the squares of its standard deviation."""
    parts = spreads(fit, late)
    return (fit.at(late) - late.loss) ** 2 / sum(part**2 for part in parts.values())
