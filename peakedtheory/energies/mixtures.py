"""Energies drawn from several distributions, and Gaussian energies whose scale is drawn once for all n."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy

from peakedtheory._common.checks import fail, whole_number
from peakedtheory.energies.components import Component
from peakedtheory.energies.laws import STANDARD_NORMAL, Energies, shorten


class Mixture(Energies):
    """Each energy drawn from one of several distributions.

    Parameters
    ----------
    parts : mapping or sequence of (weight, energies)
        Weights, normalised to one, and anything `as_energies` takes.

    Examples
    --------
    >>> round(Mixture([(0.5, "normal"), (0.5, "normal:loc=2,scale=1")]).mean, 12)
    1.0
    """

    def __init__(self, parts: Sequence[tuple[float, Any]]) -> None:
        weights = np.array([w for w, _ in parts], dtype=float)
        if weights.size == 0 or not np.isfinite(weights).all() or (weights <= 0).any():
            fail("parts", "must have positive weights", shorten(weights), "drop parts of weight zero")
        self.weights = weights / weights.sum()
        from peakedtheory.energies.reading import as_energies

        self.parts = tuple(as_energies(e) for _, e in parts)
        if any(isinstance(e, FiniteWidth) for e in self.parts):
            fail(
                "parts",
                "must be distributions of one energy",
                "FiniteWidth",
                "mix the widths' results instead",
            )
        self.name = " + ".join(f"{w:g}*({e.name})" for w, e in zip(self.weights, self.parts, strict=True))

    @functools.cached_property
    def components(self) -> tuple[Component, ...]:
        return tuple(
            (w * weight, part)
            for w, e in zip(self.weights, self.parts, strict=True)
            for weight, part in e.components
        )

    def cdf(self, energy: np.ndarray) -> np.ndarray:
        return sum(w * e.cdf(energy) for w, e in zip(self.weights, self.parts, strict=True))

    def ppf(self, q: np.ndarray) -> np.ndarray:
        q = np.asarray(q, dtype=float)
        candidates = np.stack([e.ppf(q) for e in self.parts])
        low, high = candidates.min(axis=0), candidates.max(axis=0)
        for _ in range(200):  # bisection between the parts' own quantiles, to the last bit
            middle = 0.5 * (low + high)
            above = self.cdf(middle) >= q
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return high

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        which = rng.choice(self.weights.size, size=size, p=self.weights)
        out = np.empty(which.shape)
        for i, e in enumerate(self.parts):
            out[which == i] = e.sample(rng, int((which == i).sum()))
        return out


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
