"""Gaussian energies whose scale is drawn once for all n."""

from __future__ import annotations

import functools
import math

import numpy as np
import scipy

from peakedtheory._common.checks import whole_number
from peakedtheory.energies.base import Energies
from peakedtheory.energies.components import Component
from peakedtheory.energies.normal import STANDARD_NORMAL


class FiniteWidth(Energies):
    """Gaussian logits of a network of hidden width m whose inputs are not normalised.

    Given the input x the n logits are i.i.d. N(0, ‖x‖²/m), so that averages over inputs mix temperatures:
    Φ_m(β) = ⟨Φ(β s)⟩ with s = χ_m/√m. Inputs of fixed norm need no mixing: use the normal energies.

    Parameters
    ----------
    width : int
        Hidden width m >= 1.
    """

    def __init__(self, width: int) -> None:
        self.width = whole_number("width", width, 1, remedy="give the hidden width of the network")
        self.name = f"finite-width:m={self.width}"

    @functools.cached_property
    def scales(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights of the average over s = χ_m/√m, by the trapezoidal rule in ln s."""
        m = self.width
        step = min(0.125, 0.45 / math.sqrt(m))
        y = step * np.arange(-math.ceil(40.0 / m / step) - math.ceil(9.0 / step), math.ceil(9.0 / step) + 1)
        y = y[(y > -40.0 / m - 7.0) & (y < 4.0)]
        s = np.exp(y)
        log_weight = m * (y - 0.5 * (s * s - 1.0))
        weight = np.exp(log_weight - log_weight.max())
        keep = weight > 1e-20
        return s[keep], weight[keep] / weight[keep].sum()

    @property
    def components(self) -> tuple[Component, ...]:
        raise ValueError(
            "energies: finite-width logits are independent only given the input; mix over `scales`"
        )

    def cdf(self, energy: np.ndarray) -> np.ndarray:
        s, weight = self.scales
        return scipy.special.ndtr(np.asarray(energy, dtype=float)[..., None] / s) @ weight

    def ppf(self, q: np.ndarray) -> np.ndarray:
        raise ValueError(
            "energies: finite-width logits are independent only given the input; use the normal quantile"
        )

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        """Draw energies; the last axis holds the n energies that share one input."""
        out = rng.standard_normal(size)
        norm = np.sqrt(rng.chisquare(self.width, out.shape[:-1]) / self.width)
        return out * norm[..., None] if out.ndim > 1 else out * norm

    def central_moments(self, order: int) -> np.ndarray:
        s, weight = self.scales
        return STANDARD_NORMAL.central_moments(order) * np.array([weight @ s**r for r in range(order + 1)])

    @property
    def is_discrete(self) -> bool:
        return False

    def require_maximum(self, n: float) -> None:
        """Every moment exists."""
