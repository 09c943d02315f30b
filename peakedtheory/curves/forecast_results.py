"""What a forecast gives back: predictions, their interval and parts, and when a loss will be reached."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory._common.drawing import draw
from peakedtheory.curves.curve import LossCurve
from peakedtheory.curves.learned import learned
from peakedtheory.schedules.clock import Clock

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray


@dataclass(frozen=True)
class Reached:
    """When a run reaches a loss.

    Attributes
    ----------
    target : float
        The loss in nats.
    step : float
        First predicted step at which it is more likely reached than not; infinite if there is none.
    earliest, latest : float
        The same for the lower and the upper end of the interval.
    chance : float
        Probability that it is reached at the last predicted step.
    """

    target: float
    step: float
    earliest: float
    latest: float
    chance: float

    def __str__(self) -> str:
        if math.isinf(self.step):
            first = f"A loss of {self.target:g} is not reached"
        else:
            first = f"A loss of {self.target:g} is reached at step {self.step:.0f}"
        span = f"between {_named(self.earliest)} and {_named(self.latest)}"
        return f"{first} ({span}); by the last step with probability {self.chance:.2f}."


def _named(step: float) -> str:
    return "never" if math.isinf(step) else f"{step:.0f}"


@dataclass(frozen=True, repr=False, eq=False)
class Forecast:
    """Predicted losses.

    Attributes
    ----------
    steps : ndarray
        Optimizer steps.
    loss, lower, upper : ndarray
        Prediction (median) and its interval, in nats.
    level : float
        Coverage of the interval.
    law, title : str
        The law that predicts, as `parse_law` reads it or "annealed", and what tables call it.
    error : ndarray
        Standard error of ln L, all parts together.
    parts : dict of str to ndarray
        Standard error by source, in nats.
    parameters : dict of str to float
        Parameters of the law.
    explanation : str
        What was done, in words.
    curves : tuple of LossCurve
        What was seen.
    clock : Clock or None
        Learning rates of the predicted run.
    others : dict of str to ndarray
        Predictions of the laws that the forecast is the mean of.
    """

    steps: np.ndarray
    loss: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    level: float
    law: str
    title: str
    error: np.ndarray
    parts: dict[str, np.ndarray]
    parameters: dict[str, float]
    explanation: str
    curves: tuple[LossCurve, ...] = field(repr=False)
    clock: Clock | None = field(repr=False)
    others: dict[str, np.ndarray]

    def __repr__(self) -> str:
        shown = np.unique(np.linspace(0, self.steps.size - 1, min(self.steps.size, 5)).round().astype(int))
        lines = [f"Forecast by {self.law}, {100 * self.level:g} % interval"]
        lines += [
            f"  step {self.steps[i]:<10g}{self.loss[i]:.4f}  [{self.lower[i]:.4f}, {self.upper[i]:.4f}]"
            for i in shown
        ]
        last = ", ".join(f"{name} {values[-1]:.4f}" for name, values in self.parts.items())
        return "\n".join([*lines, f"  one standard error at the end: {last}", f"  {self.explanation}"])

    def chance_below(self, target: float) -> np.ndarray:
        """Return the probability that the loss at each step is at most `target` nats.

        Raises
        ------
        ValueError
            If the target is not positive and finite.
        """
        if not 0.0 < target < math.inf:
            fail("target", "must be positive and finite", f"{target:g}", "give a loss in nats")
        return learned().chance_below(np.log(target / self.loss) / self.error)

    def chance_before(self, other: Forecast) -> float:
        """Return the probability that this run ends at a lower loss than another one.

        The two errors are taken as independent. They rest on the same data, so that the order is more certain
        than that.
        """
        apart = math.log(other.loss[-1] / self.loss[-1]) / math.hypot(self.error[-1], other.error[-1])
        return float(learned().chance_below(np.array(apart)))

    def reached(self, target: float) -> Reached:
        """Return when, and with what probability, a loss of `target` nats is reached.

        Raises
        ------
        ValueError
            If the target is not positive and finite.
        """
        chance = self.chance_below(target)
        step, earliest, latest = (self._first(a <= target) for a in (self.loss, self.lower, self.upper))
        return Reached(float(target), step, earliest, latest, float(chance[-1]))

    def _first(self, below: np.ndarray) -> float:
        return float(self.steps[np.argmax(below)]) if below.any() else math.inf

    def to_xarray(self) -> xarray.Dataset:
        """Return prediction, interval and its parts over the steps."""
        import xarray

        fields = {"loss": self.loss, "lower": self.lower, "upper": self.upper, **self.parts}
        return xarray.Dataset(
            {name: ("step", values, {"units": "nat"}) for name, values in fields.items()},
            coords={"step": self.steps},
            attrs={"law": self.law, "level": self.level, "explanation": self.explanation},
        )

    def plot(self) -> matplotlib.figure.Figure:
        """Draw the curve, the prediction and its interval."""
        return draw(self)
