"""Numbers from schedules: tuned losses against budgets, and the exponents of every family."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory.validation.comparison import FittedExponent, fit_exponent, tuned_minimum
from peakedtheory.validation.selection import levels, select

if TYPE_CHECKING:
    import xarray

#: Power with which each family ends; the computed optimum has α = 1 in the limit of large width.
POWERS = {"constant": 0.0, "linear": 1.0, "square": 2.0, "cosine": 2.0, "wsd": 1.0, "optimal": math.inf}

#: Nats. A teacher that is reached this closely leaves rounding, and no exponent.
REACHED = 1e-6
#: Budgets that an exponent needs at least.
_FEWEST = 3


def asymptotic(family: str) -> float:
    """Return α of a family under SGD on hard labels, late and wide (docs/schedules.md, Eqs. 9, 12)."""
    from peakedtheory.late_time import decay_exponent

    return 1.0 if math.isinf(POWERS[family]) else decay_exponent(POWERS[family])


def tuned(
    data: xarray.Dataset, values: np.ndarray, optimizer: str, star: float, family: str
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return budgets, tuned losses (teachers, budgets), and whether every best height lies inside the scan.

    The height is tuned on the mean over teachers; each teacher's loss is read at that height. It is NaN at
    budgets at which the teacher is reached.
    """
    budgets = levels(data, "budget")
    teachers = levels(data, "teacher")
    out = np.full((teachers.size, budgets.size), np.nan)
    inside = True
    for k, budget in enumerate(budgets):
        cases = _cases(data, optimizer, star, family, budget)
        if not cases.size:
            continue
        heights = levels(data, "height", cases)
        table = np.array([values[cases[np.isclose(data["height"].values[cases], h)]] for h in heights])
        mean = np.where(np.isfinite(table).all(axis=1), table.mean(axis=1), np.nan)
        if np.nanmin(mean) < REACHED:
            continue
        best, _, ok = tuned_minimum(heights, mean)
        inside &= ok
        good = np.isfinite(mean)
        for j in range(teachers.size):
            out[j, k] = math.exp(np.interp(math.log(best), np.log(heights[good]), np.log(table[good, j])))
        # Between heights ln L is a parabola, not a chord: shift all teachers by the mean's difference.
        out[:, k] *= tuned_minimum(heights, mean)[1] / float(
            np.exp(np.interp(math.log(best), np.log(heights[good]), np.log(mean[good])))
        )
    return budgets, out, inside


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
    budgets, losses, inside = tuned(data, data["loss"].values, optimizer, star, family)
    _, theory, _ = tuned(data, prediction["loss"].values, optimizer, star, family)
    use = np.isfinite(losses).all(axis=0) & np.isfinite(theory[0])
    if use.sum() < _FEWEST:
        return None
    window = (float(budgets[use][0]), float(budgets[use][-1]))
    trained, predicted = (fit_exponent(budgets[use], v[:, use], window) for v in (losses, theory[:1]))
    return Exponents(trained, predicted, (int(window[0]), int(window[1])), inside)


def groups(data: xarray.Dataset) -> list[tuple[str, float]]:
    """Return the pairs of optimizer and β* of a run, hard labels first."""
    pairs = {
        (str(o), float(s)) for o, s in zip(data["optimizer"].values, data["beta_star"].values, strict=True)
    }
    return sorted(pairs, key=lambda pair: (pair[0] != "sgd", -pair[1]))


def families_of(data: xarray.Dataset, optimizer: str, star: float) -> list[str]:
    """Return the families that a group was trained with."""
    present = set(data["family"].values[select(data, optimizer=optimizer)])
    return [f for f in POWERS if f in present and _any(data, optimizer, star, f)]


def _any(data: xarray.Dataset, optimizer: str, star: float, family: str) -> bool:
    return any(_cases(data, optimizer, star, family, b).size for b in levels(data, "budget"))
