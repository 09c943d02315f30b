"""Which law predicts best what it has not seen: the later part of curves, or curves of other schedules.

Laws are told apart by the difference of their errors, record by record, against the scatter of those
differences (which are correlated along a curve) and the statistical error of each prediction. The noise
behind the latter is that of the law with the least of it: what a law leaves because it is wrong is no excuse.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.checks import fail, real_number, shown
from peakedtheory._common.drawing import draw
from peakedtheory.curves.choices import LossFunction, Options, OriginChoice, WindowChoice
from peakedtheory.curves.curve import LossCurve, as_curves
from peakedtheory.curves.fits import fit_loss_curve
from peakedtheory.curves.law import Law
from peakedtheory.curves.law_registry import LAWS, law_name, parse_law
from peakedtheory.curves.results import LossCurveFit
from peakedtheory.curves.uncertainty import correlation

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray

#: Standard errors of the difference beyond which two laws are told apart.
SEPARATION = 2.0


@dataclass(frozen=True)
class LawScore:
    """What one law predicted.

    Attributes
    ----------
    name : str
        The law, with held parameters.
    law : Law
    error : float
        Mean absolute error on the held-out records, in nats; NaN where the law could not be fitted.
    bias : float
        Mean of prediction minus loss there.
    excess, excess_error : float
        Its error minus that of the best law, and the standard error of that difference.
    in_sample : float
        Mean absolute error on the records that were fitted.
    told_apart : bool
        Whether it is worse than the best by more than chance.
    fit : LossCurveFit or None
    note : str
        Why there is no fit.
    """

    name: str
    law: Law
    error: float
    bias: float
    excess: float
    excess_error: float
    in_sample: float
    told_apart: bool
    fit: LossCurveFit | None = field(repr=False)
    note: str = ""


@dataclass(frozen=True, repr=False)
class LawComparison:
    """Laws side by side on what they had not seen.

    Attributes
    ----------
    scores : tuple of LawScore
        The best law first, laws that could not be fitted last.
    held_out : str
        What was predicted.
    records : int
        Number of held-out records.
    curves : tuple of LossCurve
        The curves that were given, whole.
    """

    scores: tuple[LawScore, ...]
    held_out: str
    records: int
    curves: tuple[LossCurve, ...]

    def __repr__(self) -> str:
        width = max(len(score.name) for score in self.scores) + 2
        lines = [
            f"LawComparison on {self.held_out} ({self.records} records)",
            f"  {'law':<{width}}held-out error   minus best           bias       in sample",
        ]
        for s in self.scores:
            if s.fit is None:
                lines.append(f"  {s.name:<{width}}not fitted: {s.note}")
                continue
            lines.append(
                f"  {s.name:<{width}}{s.error:<17.5f}{s.excess:.5f} ± {s.excess_error:.5f}    {s.bias:+.5f}"
                f"   {s.in_sample:.5f}"
            )
        return "\n".join([*lines, f"  {self.verdict}"])

    @property
    def best(self) -> str:
        """Name of the law with the smallest held-out error."""
        return self.scores[0].name

    @property
    def indistinguishable(self) -> tuple[str, ...]:
        """Names of the laws that cannot be told from the best, itself included."""
        return tuple(s.name for s in self.scores if s.fit is not None and not s.told_apart)

    @property
    def verdict(self) -> str:
        """What the comparison says, in one or two sentences."""
        alike = self.indistinguishable
        fitted = [s for s in self.scores if s.fit is not None]
        error = f"held-out error {self.scores[0].error:.4f} nats"
        if len(fitted) == 1:
            return f"Only {self.best} could be fitted: {error}."
        if len(alike) == 1:
            return f"{self.best} predicts best: {error}, the others are worse by more than chance."
        if len(alike) == len(fitted):
            return f"These laws cannot be told apart on this window: {', '.join(alike)}."
        rivals = ", ".join(alike[1:])
        return f"{self.best} predicts best: {error}; it cannot be told apart on this window from {rivals}."

    def to_xarray(self) -> xarray.Dataset:
        """Return the scores over the laws."""
        import xarray

        columns = ("error", "bias", "excess", "excess_error", "in_sample", "told_apart")
        return xarray.Dataset(
            {c: ("law", [getattr(s, c) for s in self.scores]) for c in columns},
            coords={"law": [s.name for s in self.scores]},
            attrs={"held_out": self.held_out, "verdict": self.verdict},
        )

    def plot(self) -> matplotlib.figure.Figure:
        """Draw every law that could be fitted, and its residuals."""
        return draw(self)


def compare_laws(
    curves: LossCurve | Sequence[LossCurve],
    laws: Sequence[str | Law] | None = None,
    *,
    held_out: float | LossCurve | Sequence[LossCurve] = 0.5,
    window: WindowChoice = "auto",
    origin: OriginChoice = "auto",
    loss: LossFunction = "huber",
    delta: float = 1e-3,
) -> LawComparison:
    """Fit several laws and score each on what it has not seen.

    Parameters
    ----------
    curves : LossCurve or sequence of LossCurve
        What is fitted.
    laws : sequence of str or Law, optional
        All of `LAWS` by default.
    held_out : float, LossCurve or sequence of LossCurve
        A fraction: fit each curve's records up to that fraction of its last step, predict the rest. Curves:
        predict their records after the warmup from fits to all of `curves`.
    window, origin, loss, delta : optional
        As in `fit_loss_curve`.

    Returns
    -------
    LawComparison

    Raises
    ------
    ValueError
        If no law can be fitted, or nothing is held out.

    Examples
    --------
    >>> step = np.arange(20.0, 2001.0, 20.0)
    >>> noise = 1e-3 * np.random.default_rng(0).standard_normal(step.size)
    >>> loss = (2.0 + 3.0 * (0.01 * step) ** -0.5) * np.exp(noise)
    >>> curve = LossCurve(step, loss, rates=np.full(2000, 0.01))
    >>> compare_laws(curve, ["power", "power:alpha=0.1"]).best
    'power'
    """
    runs = as_curves(curves)
    if laws is not None and not isinstance(laws, (list, tuple)):
        fail("laws", "must be a list of laws", shown(laws), f"choose from {', '.join(LAWS)}")
    wanted = [parse_law(law) for law in (LAWS if laws is None else laws)]
    if not wanted:
        fail("laws", "must name at least one law", "none", f"choose from {', '.join(LAWS)}")
    fitted, tested, title = _split(runs, held_out)
    options = Options(window=window, origin=origin, loss=loss, delta=delta)
    actual = np.concatenate([c.loss for c in tested])
    rows: list[tuple[Law, LossCurveFit | None, np.ndarray, str]] = []
    for law in wanted:
        try:
            fit = fit_loss_curve(fitted, law, **options)
            predicted = np.concatenate([fit.at(c) for c in tested])
            rows.append((law, fit, predicted - actual, ""))
        except ValueError as error:
            rows.append((law, None, np.full(actual.size, np.nan), str(error)))
    if all(fit is None for _, fit, _, _ in rows):
        fail("laws", "must hold one that can be fitted here", rows[0][3], "give a longer curve or other laws")
    return LawComparison(_scored(rows, tested), title, actual.size, runs)


def _split(
    runs: tuple[LossCurve, ...], held_out: float | LossCurve | Sequence[LossCurve]
) -> tuple[tuple[LossCurve, ...], tuple[LossCurve, ...], str]:
    if isinstance(held_out, (numbers.Real, np.ndarray)):
        held_out = real_number("held_out", held_out)
        if not 0.0 < held_out < 1.0:
            rule = "must be a fraction between 0 and 1, or curves"
            fail("held_out", rule, f"{held_out:g}", "0.5 is common")
        cuts = [held_out * run.step[-1] for run in runs]
        early = tuple(run.window(0.0, cut) for run, cut in zip(runs, cuts, strict=True) if run.step[0] <= cut)
        if len(early) < len(runs):
            fail("held_out", "must leave records to fit", f"{held_out:g}", "choose a larger fraction")
        late = tuple(run.window(np.nextafter(cut, np.inf)) for run, cut in zip(runs, cuts, strict=True))
        return early, late, f"the steps after {100.0 * held_out:.0f} % of each curve"
    others = as_curves(held_out)
    tested = tuple(c.window(max(c.warmup, 1.0)) for c in others)
    return runs, tested, ", ".join(c.name or "another curve" for c in tested)


def _scored(
    rows: list[tuple[Law, LossCurveFit | None, np.ndarray, str]],
    tested: tuple[LossCurve, ...],
) -> tuple[LawScore, ...]:
    order = sorted(range(len(rows)), key=lambda i: (rows[i][1] is None, np.abs(rows[i][2]).mean()))
    _, best_fit, best_miss, _ = rows[order[0]]
    assert best_fit is not None  # at least one law was fitted
    least = min(_slow_noise(fit) for _, fit, _, _ in rows if fit is not None)
    own = _error_of_error(best_fit, tested, best_miss, least)
    sizes = [len(c) for c in tested]
    scores = []
    for place, i in enumerate(order):
        law, fit, miss, note = rows[i]
        excess = float(np.abs(miss).mean() - np.abs(best_miss).mean())
        if place == 0 or fit is None:
            scatter = 0.0 if fit is not None else math.nan
        else:
            difference = np.abs(miss) - np.abs(best_miss)
            known = correlation(difference, sizes, 1)
            paired = difference.std() * math.sqrt(known.time / difference.size)
            # Chance alone can hardly make a right law miss by more than the best one does.
            paired = min(paired, math.sqrt(2.0 * float(np.mean(best_miss**2))))
            scatter = math.hypot(paired, own, _error_of_error(fit, tested, miss, least))
        in_sample = math.nan
        if fit is not None:
            loss = np.concatenate([part.loss for part in fit.parts])
            in_sample = float(np.abs(loss * -np.expm1(-fit.residuals)).mean())
        apart = fit is not None and excess > SEPARATION * scatter and place > 0
        scores.append(
            LawScore(
                name=law_name(law),
                law=law,
                error=float(np.abs(miss).mean()),
                bias=float(miss.mean()),
                excess=excess,
                excess_error=scatter,
                in_sample=in_sample,
                told_apart=apart,
                fit=fit,
                note=note,
            )
        )
    return tuple(scores)


def _slow_noise(fit: LossCurveFit) -> float:
    """Size of the residuals times the root of their correlation time."""
    return float(np.std(fit.residuals)) * math.sqrt(fit.correlation_time)


def _error_of_error(
    fit: LossCurveFit, tested: tuple[LossCurve, ...], miss: np.ndarray, noise: float
) -> float:
    """Return the standard error of the mean absolute error that residuals of slow `noise` bring about."""
    slope = np.concatenate([fit.log_slopes(c) * fit.at(c)[:, None] for c in tested])
    gradient = (np.sign(miss)[:, None] * slope).mean(axis=0)
    scale = noise / max(_slow_noise(fit), 1e-300)
    return scale * math.sqrt(max(float(gradient @ fit.covariance @ gradient), 0.0))
