"""What a fit to loss curves gives back: parameters, the parts of their uncertainty, predictions.

Statistical: correlated residuals. Window and origin: what the parameters do when the fit begins elsewhere or
time is counted from elsewhere. The total is the root of the sum of squares (docs/losscurves.md).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.checks import confidence, fail
from peakedtheory._common.drawing import draw
from peakedtheory._common.types import Reals
from peakedtheory.curves.choices import Choices, warmup_time
from peakedtheory.curves.curve import LossCurve, Times, ahead
from peakedtheory.curves.law import Law
from peakedtheory.curves.profiles import profile_interval
from peakedtheory.curves.solver import Problem, Solution
from peakedtheory.curves.uncertainty import Statistics, free_parameters, freedom, student
from peakedtheory.schedules.reading import ScheduleLike

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
    curves : tuple of LossCurve
        As they were given, whole.
    choices : Choices
        window, origin, loss and delta as they were given.
    window : tuple of float
        First and last step that was fitted.
    parts : tuple of LossCurve
        The records that were fitted.
    problem, solution
        The numerical problem and its minimum.
    statistics : Statistics
        What the scatter of the residuals says of the parameters.
    alternatives : tuple of Alternative
        The fits under other windows and origins.
    """

    curves: tuple[LossCurve, ...]
    choices: Choices
    window: tuple[float, float]
    parts: tuple[LossCurve, ...]
    problem: Problem
    solution: Solution
    statistics: Statistics
    alternatives: tuple[Alternative, ...]

    @property
    def law(self) -> Law:
        """The law that was fitted."""
        return self.problem.law

    @cached_property
    def parameters(self) -> dict[str, float]:
        """Value of every parameter, held ones included."""
        return self.problem.values(self.solution.u)

    @property
    def standard_errors(self) -> dict[str, float]:
        """Statistical standard error of each fitted parameter, for residuals as correlated as they are."""
        return self.statistics.standard_errors

    @property
    def covariance(self) -> np.ndarray:
        """Statistical covariance of the fitted parameters in the scale they are searched in."""
        return self.statistics.covariance

    @property
    def samples(self) -> dict[str, np.ndarray] | None:
        """Bootstrap resamples of the fitted parameters."""
        return self.statistics.samples

    @property
    def correlation_time(self) -> float:
        """How many records say as much as one independent one."""
        return self.statistics.correlation.time

    @property
    def origin(self) -> float:
        """Where the law's time starts, in its own unit."""
        return self.parameters.get("origin", 0.0) + self.choices.start

    @property
    def residuals(self) -> np.ndarray:
        """Ln L - ln L_law at the fitted records, curve after curve."""
        return -self.solution.residual

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What the reader must know: parameters at bounds, lack of convergence."""
        inside = free_parameters(self.problem, self.solution.u)
        notes = [
            f"{p.name} lies at its bound {p.outer(u):.4g}: the window does not determine it"
            for p, u, free in zip(self.problem.unknowns, self.solution.u, inside, strict=True)
            if not free
        ]
        if not self.solution.converged:
            notes.append(f"the fit still improved after {self.solution.steps} steps")
        return tuple(notes)

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
        quantile = self._quantile(0.95)
        result = {}
        for name, error in self.standard_errors.items():
            window, origin = (self._change(name, part) for part in ("window", "origin"))
            profile = self._profile(name, quantile)
            result[name] = Uncertainty(error, window, origin, math.hypot(error, window, origin), profile)
        return result

    def _quantile(self, level: float) -> float:
        """Return how many standard errors an interval of that level reaches."""
        return student(level, freedom(self.problem, self.statistics.correlation))

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

    def predict(self, steps: Reals | None = None, schedule: ScheduleLike | None = None) -> np.ndarray:
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
        return self.at(ahead(self.curves[0], steps, schedule))

    def at(self, times: Times, alternative: Alternative | None = None) -> np.ndarray:
        """Return the loss at the given times, under one of the alternatives if asked."""
        values = self.parameters if alternative is None else alternative.parameters
        origin = values.get("origin", self.origin)
        if alternative is not None and alternative.shift:
            origin += alternative.shift * warmup_time(times, self.law)
        return self.law.predict(times, values, origin)

    def log_slopes(self, times: Times) -> np.ndarray:
        """Return ∂ln L/∂u at the given times, shape (records, unknowns), u the parameters as searched."""
        there = dataclasses.replace(
            self.problem,
            times=(times,),
            origins=(self.origin,),
            log_loss=np.zeros(times.step.size),
            free_origin=False,
        )
        if not self.problem.free_origin:
            return there.log_model(self.solution.u)[1]
        slopes = there.log_model(self.solution.u[:-1])[1]
        loss, _, by_time = self.law.evaluate(times, self.law.vector(self.parameters), self.origin)
        return np.column_stack([slopes, -by_time / loss])

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
        level = confidence(level)
        value, parts = self.parameters[name], self.uncertainty[name]
        quantile = self._quantile(level)
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
        return draw(self)
