"""The loss at more steps or under another schedule, with an interval that says what it is made of.

Parts of the interval, each one standard deviation of L: the fit's statistical error, its windows, its
origins, the laws that cannot be told from the chosen one, and the scatter of single records. The truth is
taken to lie anywhere between the chosen fit and its alternatives, so that a choice counts with its root mean
square change over √3. All are widened together by the factor by which the same forecast, made half-way
through the data, missed its second half, or made from all curves but one, missed that one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Unpack

import numpy as np

from peakedtheory._common.checks import confidence, fail
from peakedtheory._common.drawing import draw
from peakedtheory._common.types import Reals
from peakedtheory.curves.choices import Options
from peakedtheory.curves.comparison import LawComparison, LawScore, compare_laws
from peakedtheory.curves.curve import LossCurve, Times, ahead, as_curves
from peakedtheory.curves.fits import fit_loss_curve
from peakedtheory.curves.forecast_errors import spreads, widened_by_other_curves, widened_by_the_past
from peakedtheory.curves.law import Law
from peakedtheory.curves.law_registry import law_name, parse_law
from peakedtheory.curves.results import LossCurveFit
from peakedtheory.curves.uncertainty import student
from peakedtheory.schedules.reading import ScheduleLike, as_schedule

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray

#: Degrees of freedom of the interval: the systematic parts rest on a handful of alternatives.
_FREEDOM = 5.0


@dataclass(frozen=True, repr=False, eq=False)
class Forecast:
    """Predicted losses.

    Attributes
    ----------
    steps : ndarray
        Optimizer steps.
    loss, lower, upper : ndarray
        Prediction and its interval, in nats.
    level : float
        Coverage of the interval.
    law : str
        The law that predicts.
    parts : dict of str to ndarray
        Standard deviation by source: statistical, window, origin, law, scatter.
    widening : float
        Factor by which the parts' root of squares was widened after the tests on the data at hand.
    explanation : str
        What was done, in words.
    fit : LossCurveFit
    others : dict of str to ndarray
        Predictions of the laws that cannot be told from the chosen one.
    comparison : LawComparison or None
        The test on the past.
    """

    steps: np.ndarray
    loss: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    level: float
    law: str
    parts: dict[str, np.ndarray]
    widening: float
    explanation: str
    fit: LossCurveFit = field(repr=False)
    others: dict[str, np.ndarray]
    comparison: LawComparison | None

    def __repr__(self) -> str:
        shown = np.unique(np.linspace(0, self.steps.size - 1, min(self.steps.size, 5)).round().astype(int))
        lines = [f"Forecast by {self.law}, {100 * self.level:g} % interval"]
        lines += [
            f"  step {self.steps[i]:<10g}{self.loss[i]:.4f}  [{self.lower[i]:.4f}, {self.upper[i]:.4f}]"
            for i in shown
        ]
        last = ", ".join(f"{name} {values[-1]:.4f}" for name, values in self.parts.items())
        return "\n".join([*lines, f"  one standard deviation at the end: {last}", f"  {self.explanation}"])

    def to_xarray(self) -> xarray.Dataset:
        """Return prediction, interval and its parts over the steps."""
        import xarray

        fields = {"loss": self.loss, "lower": self.lower, "upper": self.upper, **self.parts}
        return xarray.Dataset(
            {name: ("step", values, {"units": "nat"}) for name, values in fields.items()},
            coords={"step": self.steps},
            attrs={
                "law": self.law,
                "level": self.level,
                "widening": self.widening,
                "explanation": self.explanation,
            },
        )

    def plot(self) -> matplotlib.figure.Figure:
        """Draw the curve, the prediction and its interval."""
        return draw(self)


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
        A fit, or curves to be fitted. The first curve's schedule is continued unless `schedule` is given.
    steps : array_like, optional
        Optimizer steps to predict; by default 200 up to the end of the schedule.
    schedule : optional
        Learning rates of the run to predict, as `as_schedule` takes them.
    law : str or Law
        "auto": the law that best predicts the second half of the curves from the first, and the spread of
        those that cannot be told from it. A fit brings its own law.
    level : float
        Coverage of the interval.
    **options
        window, origin, loss, delta as in `fit_loss_curve`.

    Returns
    -------
    Forecast

    Raises
    ------
    ValueError
        If the steps go beyond the schedule, or no law can be fitted.

    Examples
    --------
    >>> step = np.arange(20.0, 2001.0, 20.0)
    >>> noise = 1e-3 * np.random.default_rng(0).standard_normal(step.size)
    >>> loss = (2.0 + 3.0 * (0.01 * step) ** -0.5) * np.exp(noise)
    >>> curve = LossCurve(step, loss, rates=np.full(2000, 0.01))
    >>> ahead = forecast(curve, steps=[8000])
    >>> bool(ahead.lower[0] < 2.0 + 3.0 * 80**-0.5 < ahead.upper[0])
    True
    """
    level = confidence(level)
    if isinstance(source, LossCurveFit):
        if options or (isinstance(law, Law) or law != "auto"):
            fail(
                "law",
                "comes with the fit",
                repr(law if isinstance(law, str) else law.name),
                "pass the curves instead",
            )
        curves, wanted, options = source.curves, [source.law], source.choices.options
    else:
        curves = as_curves(source)
        wanted = _candidates(curves) if isinstance(law, str) and law == "auto" else [parse_law(law)]
    times = _times(curves[0], steps, schedule)
    comparison = _past(curves, wanted, options)
    if isinstance(source, LossCurveFit):
        fit, rivals = source, list[LossCurveFit]()
    else:
        fit, rivals = _fits(curves, wanted, comparison, options)
    loss = fit.at(times)
    others = {law_name(other.law): other.at(times) for other in rivals}
    parts = spreads(fit, times, others)
    widening = max(widened_by_the_past(comparison), widened_by_other_curves(curves, fit.law, options))
    half = student(level, _FREEDOM) * widening * np.sqrt(sum(part**2 for part in parts.values()))
    return Forecast(
        steps=times.step,
        loss=loss,
        lower=loss - half,
        upper=loss + half,
        level=level,
        law=law_name(fit.law),
        parts=parts,
        widening=widening,
        explanation=_explained(fit, comparison, others, widening),
        fit=fit,
        others=others,
        comparison=comparison,
    )


def _candidates(curves: tuple[LossCurve, ...]) -> list[Law]:
    """Laws that a forecast chooses from: of τ alone at a constant rate, of the schedule otherwise."""
    if any(curve.rates is None for curve in curves):
        return [parse_law("power-steps")]
    if any(curve.is_annealed for curve in curves):
        return [parse_law(name) for name in ("multi-power-held", "s1-s2", "multi-power", "power")]
    return [parse_law(name) for name in ("power", "finite-beta-star")]


def first_step(curve: LossCurve, schedule: ScheduleLike | None) -> float:
    """Return where a forecast begins: after the warmup of a new run, or where the curve ends."""
    return float(curve.step[-1]) if schedule is None else max(curve.warmup, float(curve.step[0]), 1.0)


def _times(curve: LossCurve, steps: Reals | None, schedule: ScheduleLike | None) -> Times:
    """Return the times that were asked for, by default 200 up to the end of the schedule."""
    if steps is None:
        clock = curve.clock if schedule is None else as_schedule(schedule)
        end = 0 if clock is None else clock.steps
        if schedule is None and end <= curve.step[-1]:
            rule = "must be given where the schedule ends with the curve"
            fail("steps", rule, "None", "say how far to predict")
        steps = np.unique(np.linspace(first_step(curve, schedule), end, 200).round())
    return ahead(curve, steps, schedule)


def _past(curves: tuple[LossCurve, ...], wanted: list[Law], options: Options) -> LawComparison | None:
    """Compare the laws on the second half of the curves; None where the first half holds none of them."""
    try:
        return compare_laws(curves, wanted, held_out=0.5, **options)
    except ValueError:
        return None


def _fits(
    curves: tuple[LossCurve, ...],
    wanted: list[Law],
    comparison: LawComparison | None,
    options: Options,
) -> tuple[LossCurveFit, list[LossCurveFit]]:
    """Return the fit of the best law to all records, and those of the laws that are as good."""
    laws = wanted
    if comparison is not None:
        laws = [score.law for score in comparison.scores if score.fit is not None and not score.told_apart]
    fits, failures = list[LossCurveFit](), list[ValueError]()
    for law in laws:
        try:
            fits.append(fit_loss_curve(curves, law, **options))
        except ValueError as error:
            failures.append(error)
    if not fits:
        raise failures[0]
    return fits[0], fits[1:]


def _explained(
    fit: LossCurveFit, comparison: LawComparison | None, others: dict[str, np.ndarray], widening: float
) -> str:
    text = f"{fit.law.title} fitted to steps {fit.window[0]:g} to {fit.window[1]:g}."
    if comparison is None:
        text += (
            " The first half of the data holds no law, so that this forecast could not be tested on the past."
        )
    else:
        best: LawScore = comparison.scores[0]
        text += f" From the first half of the data it predicted the second to {best.error:.4f} nats."
    if others:
        text += f" Laws that cannot be told from it: {', '.join(others)}."
    if widening > 1.0:
        text += f" The interval is widened by {widening:.2f}, as tests on the data at hand demand."
    return text
