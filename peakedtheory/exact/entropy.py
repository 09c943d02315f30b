"""Entropy matching: the inverse temperature at which n i.i.d. energies have a given mean entropy.

Language is compared with i.i.d. Gaussian logits of the same entropy (Liu et al. 2026, Section 4 and Fig. 6a).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from peakedtheory._common.checks import fail, number_of_energies, real_array
from peakedtheory._common.results import describe, scalar_or_array
from peakedtheory._common.types import Reals, Values
from peakedtheory.energies.base import Energies
from peakedtheory.energies.reading import EnergiesLike, as_energies
from peakedtheory.exact.expansions import low_temperature_expansion
from peakedtheory.exact.thermodynamics import thermodynamics

_LARGEST_BETA = 1e6


@dataclass(frozen=True, repr=False)
class EntropyMatch:
    """Inverse temperatures that reproduce given entropies.

    Attributes
    ----------
    beta_star : float or ndarray
        Solution of S(β*) = H.
    error : float or ndarray
        Absolute error estimate of `beta_star`.
    entropy, n : float or ndarray
        The arguments, entropies in nats.
    energies : Energies
        Distribution of one energy.
    """

    beta_star: Values
    error: Values
    entropy: Values
    n: Values
    energies: Energies = field(repr=False)

    def __repr__(self) -> str:
        rows = {"beta_star": self.beta_star, "entropy": self.entropy, "n": self.n}
        errors = {"beta_star": self.error} if np.ndim(self.error) == 0 else None
        return describe(f"EntropyMatch for {self.energies.name} energies", rows, errors)


def match_entropy(entropy: Reals, n: Reals, energies: EnergiesLike = None) -> EntropyMatch:
    """Return β* with S(β*) = H for n i.i.d. energies.

    Parameters
    ----------
    entropy : array_like
        Entropy H in nats, strictly between its limits at β = ∞ (zero for continuous energies) and
        at β = 0 (ln n).
    n : array_like of int
        Number of energies, at least 2; broadcast against `entropy`.
    energies : optional
        Distribution of one energy; standard normal by default.

    Returns
    -------
    EntropyMatch
        With `beta_star` and its error estimate.

    Raises
    ------
    ValueError
        If an entropy is outside its limits, or only reached beyond β = 10^6.

    Examples
    --------
    >>> print(f"{match_entropy(1.69, 32000).beta_star:.10f}")
    6.7730082285
    """
    h = real_array("entropy", entropy)
    count = number_of_energies(n)
    distribution = as_energies(energies)
    try:
        h, count = np.broadcast_arrays(h, count)
    except ValueError:
        fail("entropy, n", "must broadcast", f"shapes {h.shape} and {count.shape}", "add an axis")
    values, errors = np.empty(h.shape), np.empty(h.shape)
    for index in np.ndindex(h.shape):
        values[index], errors[index] = _solve(float(h[index]), float(count[index]), distribution)
    return EntropyMatch(
        scalar_or_array(values),
        scalar_or_array(errors),
        scalar_or_array(h.copy()),
        scalar_or_array(count.copy()),
        distribution,
    )


def _solve(h: float, n: float, energies: Energies) -> tuple[float, float]:
    """Bracketed Newton iteration on S in ln β: dS/dβ = -β Φ''."""
    lowest = low_temperature_expansion(n, energies, order=1).coefficients[1] if n > 1 else 0.0
    if not lowest < h < np.log(n):
        fail(
            "entropy",
            f"must lie strictly between {lowest:.6g} and ln n = {np.log(n):.6g} nats for n={n:g}",
            f"{h:g}",
            "entropies are in nats, not bits",
        )
    low, high = 0.0, np.inf
    beta = 1.0 / energies.scale
    for _ in range(200):
        state: Any = thermodynamics(beta, n, energies)  # its fields are floats here
        excess = state.entropy - h
        low, high = (beta, high) if excess > 0 else (low, beta)
        slope = -beta * state.energy_variance
        resolution = state.error.entropy / max(abs(slope), 1e-300)
        step = -excess / slope if slope else np.inf
        if abs(excess) <= state.error.entropy or abs(step) <= 4e-16 * beta:
            return beta, float(resolution + abs(step) + 4e-16 * beta)
        # Newton in ln β is safe for a power law; outside the bracket, halve or double.
        proposal = beta * np.exp(np.clip(step / beta, -1.5, 1.5))
        if not low < proposal < high:
            proposal = 0.5 * (low + high) if np.isfinite(high) else 2.0 * low
            if not low < proposal < high:
                return beta, float(resolution + (high - low))
        beta = proposal
        if beta > _LARGEST_BETA / energies.scale:
            fail(
                "entropy",
                f"must be reached below beta={_LARGEST_BETA / energies.scale:g}",
                f"{h:g}, where the entropy is still {state.entropy:.3g}",
                "use the low-temperature law S = 2 c_2/β",
            )
    return beta, float(resolution + abs(step))
