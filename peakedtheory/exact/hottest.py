"""Averages where no energy is told from another: at infinite temperature, or over a single energy."""

from __future__ import annotations

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory.energies.base import Energies
from peakedtheory.energies.normal import STANDARD_NORMAL
from peakedtheory.exact.doubts import doubtful

#: Temperatures at which the energies, in units of their spread, are below all rounding, β² among them.
_VANISHING = 1e-140
#: Rounding of means and variances that are integrals, relative to the unit of energy.
_INTEGRATED = 1e-14


def is_hottest(beta: float, core: Energies) -> bool:
    """Return whether terms beyond the first power of β are below rounding.

    Raises
    ------
    ValueError
        If β is that small and the variance infinite: no power of β then says what is left.
    """
    if beta == 0.0:
        return True
    if beta > _VANISHING:
        return False
    if not np.isfinite(core.variance):
        fail(
            "beta",
            f"must be 0 or more than {_VANISHING:g} over the scale, for energies of infinite variance",
            f"{beta:g} for {core.name}",
            "take beta = 0, or a larger one",
        )
    return beta * np.sqrt(core.variance) < _VANISHING


def at_infinite_temperature(beta: float, n: np.ndarray, core: Energies) -> tuple[np.ndarray, np.ndarray]:
    """Return (Φ, -U, Φ'', S) and errors, shape (4, n.size), to first order in β."""
    with np.errstate(invalid="ignore"):
        spread = np.where(n > 1, core.variance * (1.0 - 1.0 / n), 0.0)
    log_n, slope = np.log(n), np.full(n.size, -core.mean)
    values = np.stack([log_n + beta * slope if beta else log_n, slope, spread, log_n])
    errors = 2e-16 * np.abs(np.where(np.isfinite(values), values, 0.0))
    if core is not STANDARD_NORMAL:
        errors += _INTEGRATED + _doubts(core, beta, n, values)
    return values, errors


def of_one_energy(beta: float, core: Energies) -> tuple[np.ndarray, np.ndarray]:
    """Return (Φ, -U, Φ'', S) and errors of a single energy, shape (4, 1)."""
    values = np.array([[-beta * core.mean], [-core.mean], [0.0], [0.0]])
    errors = 4e-15 * np.abs(values)
    if core is not STANDARD_NORMAL:
        errors += _doubts(core, beta, np.ones(1), values)
    return values, errors


def _doubts(core: Energies, beta: float, n: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the errors of means over the whole law, of which no part is out of sight."""
    finite = np.where(np.isfinite(values), values, 0.0)
    return doubtful(core.components, beta, np.maximum(n, 2.0), finite)
