"""Cases of a training run chosen by their settings: what analysis, figures and experiments share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray

#: Classes and input width of the toy model (Liu et al. 2026, Appendix B.2).
CLASSES, WIDTH = 128, 32
#: √(2 ln n), the papers' c0, below which they call β* a high temperature; the exact ⟨max⟩ is 20 % less.
NOMINAL_C0 = math.sqrt(2.0 * math.log(CLASSES))


def select(data: xarray.Dataset, **wanted: Any) -> np.ndarray:
    """Return the indices of the cases whose coordinates equal the wanted values (numbers to 1e-6)."""
    keep = np.ones(data.sizes["case"], dtype=bool)
    for name, value in wanted.items():
        column = data[name].values
        if column.dtype.kind == "f":
            keep &= np.isclose(column, float(value), rtol=1e-6)
        else:
            keep &= column == value
    return np.flatnonzero(keep)


def levels(data: xarray.Dataset, name: str, among: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
    """Return the distinct values of a coordinate, ascending."""
    column = data[name].values if among is None else data[name].values[among]
    return np.unique(column)


def closest(values: np.ndarray, wanted: float) -> float:
    """Return the value closest to the wanted one by its logarithm."""
    return float(values[int(np.argmin(np.abs(np.log(values / wanted))))])


def best_rate(
    data: xarray.Dataset, *, among: np.ndarray | None = None, at: int = -1, **wanted: Any
) -> tuple[float, np.ndarray]:
    """Return the learning rate of lowest mean loss and its cases; a rate with a diverged case is never best.

    Parameters
    ----------
    data : Dataset
    among : ndarray, optional
        Rates to choose from; by default all that the wanted cases have.
    at : int
        The record that decides, by default the last.
    **wanted
        Coordinates of the cases, as `select` takes them.
    """
    rates = levels(data, "learning_rate", select(data, **wanted)) if among is None else among
    means = [data["loss"].values[select(data, learning_rate=r, **wanted), at].mean() for r in rates]
    rate = float(rates[int(np.argmin(np.where(np.isfinite(means), means, np.inf)))])
    return rate, select(data, learning_rate=rate, **wanted)


def calm_rates(data: xarray.Dataset, cases: np.ndarray) -> np.ndarray:
    """Return which cases move by less than a tenth of β* in a step; Adam's weights move by η, β by η√m."""
    if str(data["optimizer"].values[0]) == "sgd":
        return np.ones(len(cases), dtype=bool)
    return data["learning_rate"].values[cases] * math.sqrt(WIDTH) <= 0.1 * data["beta_star"].values[cases]
