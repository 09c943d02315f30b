"""What a fit to loss curves gives back: parameters, the parts of their uncertainty, predictions.

Statistical: correlated residuals. Window and origin: what the parameters do when the fit begins elsewhere or
time is counted from elsewhere. The total is the root of the sum of squares (docs/losscurves.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory.curves.choices import warmup_time
from peakedtheory.curves.curve import LossCurve
from peakedtheory.curves.law import Law, Records
from peakedtheory.curves.solver import Problem, Solution
from peakedtheory.curves.uncertainty import Correlation, free_parameters, freedom, profile_interval

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray


@dataclass(frozen=True)
class Uncertainty:
    """How far one parameter may be off, each part as one standard deviation.

    Attributes
    ----------
    statistical : float
        From the correlated scatter of the residuals.
    window, origin : float
        Root mean square change under other windows, and under other origins of time.
    total : float
        Root of the sum of the squares.
    profile : tuple of float
        The 95 % interval of the profile, statistical only; it need not be symmetric.
    """

    statistical: float
    window: float
    origin: float
    total: float
    profile: tuple[float, float]


@dataclass(frozen=True)
class Alternative:
    """The same law under another choice: its part ("window" or "origin"), values and shift of the origin."""

    part: str
    label: str
    parameters: dict[str, float]
    shift: float = 0.0


@dataclass(frozen=True, repr=False, eq=False)
class LossCurveFit:
    """A law fitted to loss curves.

    Attributes
    ----------
    law : Law
    curves : tuple of LossCurve
        As they were given, whole.
    parameters : dict of str to float
        Value of every parameter, held ones included.
    standard_errors : dict of str to float
        Statistical standard error of each fitted parameter, for residuals as correlated as they are.
    window : tuple of float
        First and last step that was fitted.
    origin : float
        Where the law's time starts, in its own unit.
    residuals : ndarray
        ln L - ln L_law at the fitted records, curve after curve.
    correlation_time : float
        How many records say as much as one independent one.
    covariance : ndarray
        Statistical covariance of the fitted parameters in the scale they are searched in.
    samples : dict of str to ndarray, or None
        Bootstrap resamples of the fitted parameters.
    alternatives : tuple of Alternative
        The fits under other windows and origins.
    notes : tuple of str
        What the reader must know: parameters at bounds, lack of convergence.
    parts : tuple of LossCurve
        The records that were fitted.
    options : dict
        window, origin, loss and delta as they were given.
    problem, solution
        The numerical problem and its minimum.
    """

    law: Law
    curves: tuple[LossCurve, ...]
    parameters: dict[str, float]
    standard_errors: dict[str, float]
    window: tuple[float, float]
    origin: float
    residuals: np.ndarray
    correlation_time: float
    covariance: np.ndarray
    samples: dict[str, np.ndarray] | None
    alternatives: tuple[Alternative, ...]
    notes: tuple[str, ...]
    parts: tuple[LossCurve, ...] = field(repr=False)
    options: dict[str, Any] = field(repr=False)
    problem: Problem = field(repr=False)
    solution: Solution = field(repr=False)

    def __repr__(self) -> str:
        names = ", ".join(curve.name or "curve" for curve in self.curves)
        lines = [
            f"LossCurveFit of {self.law.title} ({self.law.name}) to {names}",
            f"  steps {self.window[0]:g} to {self.window[1]:g}, {self.residuals.size} records,"
            f" residuals of {self.scatter:.1e} in ln L, correlated over {self.correlation_time:.1f} records",
        ]
        for name, value in self.parameters.items():
            if name in self.uncertainty:
                u = self.uncertainty[name]
                lines.append(
                    f"  {name:<22}{value:.6g} ± {u.total:.2g}"
                    f"  (statistical {u.statistical:.2g}, window {u.window:.2g}, origin {u.origin:.2g})"
                )
            else:
                lines.append(f"  {name:<22}{value:.6g} (held)")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    @cached_property
    def uncertainty(self) -> dict[str, Uncertainty]:
        """The parts of each fitted parameter's uncertainty; profiles are followed when first asked for."""
        known = Correlation(1, self.correlation_time)
        quantile = student(0.95, freedom(self.problem, known))
        result = {}
        for name, error in self.standard_errors.items():
            window, origin = (self._change(name, part) for part in ("window", "origin"))
            profile = self._profile(name, quantile)
            result[name] = Uncertainty(error, window, origin, math.hypot(error, window, origin), profile)
        return result

    def _profile(self, name: str, quantile: float) -> tuple[float, float]:
        """Return the ends of the profile interval; the bounds where nothing determines the parameter."""
        index = [p.name for p in self.problem.unknowns].index(name)
        parameter, inner = self.problem.unknowns[index], self.solution.u[index]
        spread = math.sqrt(self.covariance[index, index])
        if not free_parameters(self.problem, self.solution.u)[index]:
            spread = self.standard_errors[name] / float(abs(parameter.slope(parameter.outer(inner))))
        if spread == 0.0 or math.isinf(spread):
            return float(parameter.lower), float(parameter.upper)
        ends = profile_interval(self.problem, self.solution, index, spread, quantile)
        low, high = sorted(float(parameter.outer(end)) for end in ends)
        return low, high

    def _change(self, name: str, part: str) -> float:
        """Root mean square change of a parameter over the alternatives of one part."""
        changes = [
            a.parameters[name] - self.parameters[name]
            for a in self.alternatives
            if a.part == part and name in a.parameters
        ]
        return float(np.sqrt(np.mean(np.square(changes)))) if changes else 0.0

    @property
    def scatter(self) -> float:
        """Robust standard deviation of the residuals."""
        return float(1.4826 * np.median(np.abs(self.residuals)))

    def predict(self, steps: Any = None, schedule: Any = None) -> np.ndarray:
        """Return the loss of the fitted law, in nats.

        Parameters
        ----------
        steps : array_like, optional
            Optimizer steps; the records of the (first) curve by default.
        schedule : optional
            Learning rates of the run, as `as_schedule` takes them; those of the (first) curve by default,
            continued at a constant rate if they ended at their peak.

        Returns
        -------
        ndarray, shape (steps,)

        Raises
        ------
        ValueError
            If the steps go beyond a schedule that has been annealed.
        """
        return self.at(target(self.curves[0], steps, schedule))

    def at(self, records: Records, alternative: Alternative | None = None) -> np.ndarray:
        """Return the loss at the given records, under one of the alternatives if asked."""
        values = self.parameters if alternative is None else alternative.parameters
        origin = values.get("origin", self.origin)
        if alternative is not None and alternative.shift:
            curve = LossCurve(records.step, np.ones(records.step.size), records.rates)
            origin += alternative.shift * warmup_time(curve, self.law)
        return self.law.predict(records, values, origin)

    def interval(self, name: str, level: float = 0.95, *, statistical: bool = False) -> tuple[float, float]:
        """Return an interval for one parameter: profile, window and origin, or the profile alone.

        Parameters
        ----------
        name : str
            A fitted parameter.
        level : float
            Coverage, between 0 and 1.
        statistical : bool
            Leave out what window and origin add.

        Returns
        -------
        tuple of float
            Lower and upper end, in the unit of the parameter.

        Raises
        ------
        ValueError
            For a parameter that was not fitted, or a level outside (0, 1).
        """
        if name not in self.uncertainty:
            fail(
                "name", f"must be one of {', '.join(self.uncertainty)}", repr(name), "name a fitted parameter"
            )
        if not 0.0 < level < 1.0:
            fail("level", "must lie between 0 and 1", f"{level:g}", "0.95 is common")
        value, parts = self.parameters[name], self.uncertainty[name]
        quantile = student(level, freedom(self.problem, Correlation(1, self.correlation_time)))
        low, high = parts.profile
        if level != 0.95:
            low, high = self._profile(name, quantile)
        if statistical:
            return low, high
        other = quantile * math.hypot(parts.window, parts.origin)
        return value - math.hypot(value - low, other), value + math.hypot(high - value, other)

    def to_xarray(self) -> xarray.Dataset:
        """Return residuals and fitted loss over the records, and parameters with their uncertainty."""
        import xarray

        step = np.concatenate([part.step for part in self.parts])
        which = np.repeat(np.arange(len(self.parts)), [len(part) for part in self.parts])
        names = list(self.uncertainty)
        fitted = np.concatenate([part.loss for part in self.parts]) * np.exp(-self.residuals)
        return xarray.Dataset(
            {
                "loss": ("record", fitted * np.exp(self.residuals), {"units": "nat"}),
                "fitted_loss": ("record", fitted, {"units": "nat"}),
                "value": ("parameter", [self.parameters[n] for n in names]),
                **{
                    part: ("parameter", [getattr(self.uncertainty[n], part) for n in names])
                    for part in ("statistical", "window", "origin", "total")
                },
            },
            coords={"step": ("record", step), "curve": ("record", which), "parameter": names},
            attrs={"law": self.law.name, "formula": self.law.formula, "window": list(self.window)},
        )

    def plot(self) -> matplotlib.figure.Figure:
        """Draw the curves with the fitted law, and the residuals."""
        from peakedtheory.figures.curves import plot_fit

        return plot_fit(self)


def target(curve: LossCurve, steps: Any, schedule: Any) -> Records:
    """Return the records at `steps` of a run like `curve`, or one under another schedule."""
    from peakedtheory.schedules.reading import as_schedule

    wanted = curve.step if steps is None else np.atleast_1d(np.asarray(steps, dtype=float))
    if (
        wanted.ndim != 1
        or not np.isfinite(wanted).all()
        or (wanted <= 0).any()
        or (np.diff(wanted) <= 0).any()
    ):
        fail("steps", "must be positive and increase", repr(steps)[:50], "list optimizer steps in order")
    rates = curve.rates
    if schedule is not None:
        plan = as_schedule(schedule)
        rates = plan.rates
        if steps is None:
            wanted = curve.step[curve.step <= plan.steps]
            wanted = np.append(wanted, plan.steps) if not wanted.size or wanted[-1] < plan.steps else wanted
    if rates is not None and wanted[-1] > rates.size:
        last = rates[-1]
        if last < (1.0 - 1e-6) * rates.max() or schedule is not None:
            fail(
                "steps",
                f"must not go beyond the schedule's {rates.size} steps",
                f"{wanted[-1]:g}",
                "give the schedule of the longer run",
            )
        rates = np.concatenate([rates, np.full(int(np.ceil(wanted[-1])) - rates.size, last)])
    return Records.of(LossCurve(wanted, np.ones(wanted.size), rates))


def student(level: float, freedom: float) -> float:
    """Return how many standard errors reach to both sides at `level` (Student's t)."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + 0.5 * level))
