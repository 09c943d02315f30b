"""Numbers from runs on hard labels: envelopes over rates and batches, best rates, exponents of the parts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory.validation.experiments.comparison import (
    FittedExponent,
    fit_exponent,
    late_window,
    tuned_minimum,
)
from peakedtheory.validation.experiments.selection import best_rate, levels, select

if TYPE_CHECKING:
    import xarray


from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray

#: α_r, α_t and the exponents of the best rate in D and B, with their published errors (Lee et al. 2026).
PUBLISHED: dict[str, dict[str, Any]] = {
    "sgd": {"radial": (0.35, 0.01), "tangential": (0.33, 0.02), "data": -0.04, "batch": 1.01},
    "adam": {"radial": (0.48, 0.03), "tangential": (0.08, 0.01), "data": -0.35, "batch": 0.76},
}  # fmt: skip
#: Optimizers in the order of claims and figures.
OPTIMIZERS = ("sgd", "adam", "signgd")
#: Steps before which a run is not yet in the law.
EARLIEST = 30


def optimizers_of(data: xarray.Dataset) -> list[str]:
    """Return the optimizers of a run, in order."""
    return [o for o in OPTIMIZERS if o in data["optimizer"].values]


def examples(data: xarray.Dataset, optimizer: str) -> np.ndarray:
    """Return the grid of D on which runs of different batches are compared, even in ln D.

    From where the smallest batch enters the law to where the largest one ends; batches whose own best
    number of steps lies outside the run take part as far as they go.
    """
    batches = data["batch"].values[select(data, optimizer=optimizer)]
    last = float(data["step"].values[-1])
    start, stop = float(batches.min()) * 4 * EARLIEST, float(batches.max()) * last
    return np.geomspace(start, stop, 24)


def losses_at(data: xarray.Dataset, values: np.ndarray, cases: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return ln-interpolated losses of cases at D, NaN outside each run or before it enters the law."""
    begun = data["step"].values > 0
    steps = data["step"].values[begun].astype(float)
    out = np.full((len(cases), grid.size), np.nan)
    for row, i in enumerate(cases):
        t = grid / float(data["batch"].values[i])
        curve = values[i][begun].astype(float)
        if not (np.isfinite(curve).all() and (curve > 0).all()):
            continue
        inside = (t >= EARLIEST) & (t <= steps[-1] * (1 + 1e-9))
        out[row, inside] = np.exp(np.interp(np.log(t[inside]), np.log(steps), np.log(curve)))
    return out


def envelope(data: xarray.Dataset, values: np.ndarray, optimizer: str) -> tuple[np.ndarray, np.ndarray]:
    """Return D and the lowest loss over rates and batches at each D, per teacher: shape (teachers, D)."""
    grid = examples(data, optimizer)
    rows = []
    for teacher in levels(data, "teacher"):
        found = losses_at(data, values, select(data, optimizer=optimizer, teacher=teacher), grid)
        with np.errstate(invalid="ignore"):
            rows.append(np.nanmin(np.where(np.isfinite(found), found, np.inf), axis=0))
    lowest = np.array(rows)
    return grid, np.where(np.isfinite(lowest), lowest, np.nan)


def best_rates(data: xarray.Dataset, values: np.ndarray, optimizer: str) -> np.ndarray:
    """Return rows (D, B, η*) where the best rate lies inside the scan, from losses averaged over teachers."""
    grid = examples(data, optimizer)
    rows = []
    for batch in levels(data, "batch"):
        cases = select(data, optimizer=optimizer, batch=batch)
        rates = levels(data, "learning_rate", cases)
        table = np.array(
            [
                losses_at(data, values, select(data, optimizer=optimizer, batch=batch, learning_rate=r),
                grid).mean(0) for r in rates
            ]
        )  # fmt: skip
        for k, amount in enumerate(grid):
            rate, _, inside = tuned_minimum(rates, table[:, k])
            if inside:
                rows.append((amount, float(batch), rate))
    return np.array(rows).reshape(-1, 3)


def rate_exponents(rows: np.ndarray) -> dict[str, tuple[float, float]]:
    """Return exponents of η* in D and B, with the regression's errors widened for correlated D.

    Neighbouring D share the same runs: only about four of the points along each run are independent.
    """
    if len(rows) < 6 or np.unique(rows[:, 1]).size < 2:
        return {"data": (math.nan, math.nan), "batch": (math.nan, math.nan)}
    a = np.stack([np.ones(len(rows)), np.log(rows[:, 0]), np.log(rows[:, 1])], axis=1)
    solution, *_ = np.linalg.lstsq(a, np.log(rows[:, 2]), rcond=None)
    left = np.log(rows[:, 2]) - a @ solution
    independent = 4.0 * np.unique(rows[:, 1]).size
    widen = max(len(rows) / independent, 1.0)
    covariance = np.linalg.inv(a.T @ a) * float(left @ left) / max(len(rows) - 3, 1) * widen
    return {
        "data": (float(solution[1]), math.sqrt(covariance[1, 1])),
        "batch": (float(solution[2]), math.sqrt(covariance[2, 2])),
    }


def middle_run(data: xarray.Dataset, optimizer: str) -> np.ndarray:
    """Return the cases, one per teacher, of the middle batch at its best rate at the end."""
    batches = levels(data, "batch", select(data, optimizer=optimizer))
    return best_rate(data, optimizer=optimizer, batch=batches[len(batches) // 2])[1]


def split_exponents(
    data: xarray.Dataset, source: xarray.Dataset, cases: np.ndarray
) -> dict[str, FittedExponent]:
    """Return the fits of L_r and L_t over the last decade."""
    steps = data["step"].values
    return {
        part: fit_exponent(steps, source[f"{part}_loss"].values[cases], late_window(steps))
        for part in ("radial", "tangential")
    }
