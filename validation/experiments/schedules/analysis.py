"""Numbers from schedules: tuned losses against budgets, and the exponents of every family."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory.dynamics.late_time import decay_exponent
from peakedtheory.dynamics.tuning import FAMILIES
from peakedtheory.validation.experiments.comparison import (
    FittedExponent,
    fit_exponent,
    mean_and_error,
    tuned_minimum,
)
from peakedtheory.validation.experiments.selection import levels, select

if TYPE_CHECKING:
    import xarray

#: Families that are trained: some of `tuning.FAMILIES`, and the computed optimum.
TRAINED = ("constant", "linear", "square", "cosine", "wsd", "optimal")

#: Nats. A teacher that is reached this closely leaves rounding, and no exponent.
REACHED = 1e-6
#: The flow's loss one height away from the best over that at the best, from which on β meets β* between
#: heights: the loss has a dip there, whose depth in a scan says how close a height came to it, and no more.
DIP = 10.0
#: Budgets that an exponent needs at least.
_FEWEST = 3
#: Least d ln β/d ln(height) by which a height can be told from β.
_TOLD = 0.1


def asymptotic(family: str) -> float:
    """Return α of a family under SGD on hard labels, late and wide (docs/schedules.md, Eqs. 9, 12)."""
    return 1.0 if family == "optimal" else decay_exponent(FAMILIES[family][1])


@dataclass(frozen=True)
class TunedLosses:
    """Losses of one family at its best heights, NaN at budgets at which the teacher is reached.

    The height is tuned on the mean over teachers, for training and for the flow each; each teacher's loss is
    read at that height.

    Attributes
    ----------
    budgets : ndarray, shape (budgets,)
    trained : ndarray, shape (teachers, budgets)
    flow : ndarray, shape (budgets,)
    inside : bool
        Whether every best height lies inside the scan.
    """

    budgets: np.ndarray
    trained: np.ndarray
    flow: np.ndarray
    inside: bool


def tuned(
    data: xarray.Dataset, prediction: xarray.Dataset, optimizer: str, star: float, family: str
) -> TunedLosses:
    """Return the tuned losses of training and of the flow at the same heights."""
    budgets = levels(data, "budget")
    trained = np.full((levels(data, "teacher").size, budgets.size), np.nan)
    flow = np.full(budgets.size, np.nan)
    inside = True
    for k, budget in enumerate(budgets):
        heights, cases = _scan(data, optimizer, star, family, budget)
        if not heights.size:
            continue
        theory = prediction["loss"].values[cases]
        if _is_reached(theory[:, 0]):
            continue
        trained[:, k], good = _at_best(heights, data["loss"].values[cases])
        expected, fine = _at_best(heights, theory)
        flow[k] = expected[0]
        inside &= good and fine
    return TunedLosses(budgets, trained, flow, inside)


def _scan(
    data: xarray.Dataset, optimizer: str, star: float, family: str, budget: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the heights, ascending, and the cases (heights, teachers) trained with them."""
    cases = _cases(data, optimizer, star, family, budget)
    heights = levels(data, "height", cases)
    return heights, np.array([cases[np.isclose(data["height"].values[cases], h)] for h in heights])


def _is_reached(flow: np.ndarray) -> bool:
    best = int(np.nanargmin(flow))
    beside = flow[[k for k in (best - 1, best + 1) if 0 <= k < flow.size]]
    return bool(flow[best] < REACHED or beside.min(initial=math.inf) > DIP * flow[best])


def _at_best(heights: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return every teacher's loss at the height that is best in the mean, and whether it lies inside."""
    mean = np.where(np.isfinite(table).all(axis=1), table.mean(axis=1), np.nan)
    best, lowest, inside = tuned_minimum(heights, mean)
    good = np.isfinite(mean)
    x, at = np.log(heights[good]), math.log(best)
    losses = np.exp([np.interp(at, x, np.log(column)) for column in table[good].T])
    # Between heights ln L is a parabola, not a chord: shift all teachers by the mean's difference.
    return losses * lowest / math.exp(np.interp(at, x, np.log(mean[good]))), inside


def _cases(data: xarray.Dataset, optimizer: str, star: float, family: str, budget: float) -> np.ndarray:
    wanted = select(data, optimizer=optimizer, family=family, budget=int(budget))
    column = data["beta_star"].values[wanted]
    same = np.isinf(column) if math.isinf(star) else np.isclose(column, star)
    return wanted[same]


@dataclass(frozen=True)
class Exponents:
    """Exponents of one family over budgets (first, last): of training, and of the flow on the same ones."""

    trained: FittedExponent
    predicted: FittedExponent
    span: tuple[int, int]
    inside: bool


def exponents(
    data: xarray.Dataset, prediction: xarray.Dataset, optimizer: str, star: float, family: str
) -> Exponents | None:
    """Return the exponents of one family, or None where too few budgets leave a loss to speak of."""
    found = tuned(data, prediction, optimizer, star, family)
    use = np.isfinite(found.trained).all(axis=0) & np.isfinite(found.flow)
    if use.sum() < _FEWEST:
        return None
    x = found.budgets[use]
    window = (float(x[0]), float(x[-1]))
    trained, predicted = (fit_exponent(x, v[..., use], window) for v in (found.trained, found.flow[None]))
    return Exponents(trained, predicted, (int(window[0]), int(window[1])), found.inside)


@dataclass(frozen=True)
class MatchedHeight:
    """Height of training over that at which the flow ends with the same β, at the flow's best height.

    Attributes
    ----------
    family, budget : str, int
    log_ratios : ndarray, shape (teachers,)
    sensitivity : float
        d ln β/d ln(height) of the flow.
    reached : bool
        Whether the teacher is reached there.
    """

    family: str
    budget: int
    log_ratios: np.ndarray
    sensitivity: float
    reached: bool


def ratio(log_ratios: np.ndarray) -> tuple[float, float]:
    """Return the geometric mean of ratios over teachers, and its standard error."""
    mean = math.exp(log_ratios.mean())
    return mean, mean * mean_and_error(log_ratios)[1]


def matched_heights(
    data: xarray.Dataset, prediction: xarray.Dataset, optimizer: str, star: float
) -> list[MatchedHeight]:
    """Return how far apart the heights of training and flow lie that end with one β, for soft teachers.

    Where a teacher is reached the tuned loss is the depth of a dip about the height at which β meets β*; what
    can be compared is that height. Left out are heights that β hardly depends on.
    """
    out = []
    for family in families_of(data, optimizer, star):
        for budget in levels(data, "budget"):
            heights, cases = _scan(data, optimizer, star, family, budget)
            if not heights.size:
                continue
            flow = prediction["loss"].values[cases[:, 0]]
            at = cases[int(np.nanargmin(flow))]
            sensitivity = float(prediction["beta_sensitivity"].values[at[0]])
            if sensitivity > _TOLD:
                ratios = np.log(prediction["beta"].values[at] / data["beta"].values[at]) / sensitivity
                out.append(MatchedHeight(family, int(budget), ratios, sensitivity, _is_reached(flow)))
    return out


def groups(data: xarray.Dataset) -> list[tuple[str, float]]:
    """Return the pairs of optimizer and β* of a run, hard labels first."""
    pairs = {
        (str(o), float(s)) for o, s in zip(data["optimizer"].values, data["beta_star"].values, strict=True)
    }
    return sorted(pairs, key=lambda pair: (pair[0] != "sgd", -pair[1]))


def families_of(data: xarray.Dataset, optimizer: str, star: float) -> list[str]:
    """Return the families that a group was trained with."""
    present = set(data["family"].values[select(data, optimizer=optimizer)])
    return [f for f in TRAINED if f in present and _any(data, optimizer, star, f)]


def _any(data: xarray.Dataset, optimizer: str, star: float, family: str) -> bool:
    return any(_cases(data, optimizer, star, family, b).size for b in levels(data, "budget"))
