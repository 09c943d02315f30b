"""Which runs under decay are shown and judged: the paper's rates, the best one, its window (Fig. 5cd)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from peakedtheory.validation.experiments.selection import best_rate, closest, levels

if TYPE_CHECKING:
    import xarray


#: Rates that Fig. 5cd shows.
_DECAY_RATES = (0.001, 0.006, 0.1, 0.56)
#: Step at which the paper's runs under decay end.
_DECAY_END = 1000


def shown_decay_rates(data: xarray.Dataset) -> np.ndarray:
    """Return the rates closest to the four of Fig. 5cd, ascending."""
    rates = levels(data, "learning_rate")
    return np.unique([closest(rates, rate) for rate in _DECAY_RATES])


def best_decay_rate(data: xarray.Dataset, among: np.ndarray | None = None) -> float:
    """Return the rate with the lowest loss where the paper's runs end, of all or of some."""
    at = int(np.argmin(np.abs(data["step"].values - _DECAY_END)))
    return best_rate(data, among=among, at=at)[0]


def decay_window(data: xarray.Dataset) -> tuple[float, float]:
    """Return where the one-third law is looked for: steps 30 to 1000."""
    last = float(data["step"].values[-1])
    return min(30.0, 0.1 * last), min(float(_DECAY_END), last)
