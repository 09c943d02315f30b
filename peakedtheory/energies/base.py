"""What a distribution of energies is, and one that is moved and stretched."""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory.energies.central_moments import central_moments, tail_indices
from peakedtheory.energies.components import Atoms, Component
from peakedtheory.energies.moved import moved


class Energies(ABC):
    """Distribution of one energy ε, dimensionless (k_B = 1).

    Attributes
    ----------
    name : str
        What tables, figures and files call it; `parse_energies` reads it back where that is possible.
    location, scale : float
        The energies are location + scale * ε₀ with ε₀ distributed as `core`: thermodynamics follows by
        F = location + scale F₀(scale β), and only the core is ever integrated.
    core : Energies
        The standardised distribution, `self` where location is 0 and scale is 1.
    width : int
        m where the energies of one draw share a random factor s = χ_m/√m, as the logits of a network of
        hidden width m do; 0 where they are independent. Everything else here describes one energy.
    """

    name: str
    location: float = 0.0
    scale: float = 1.0
    width: int = 0

    @property
    def core(self) -> Energies:
        """The distribution before location and scale."""
        return self

    @property
    def independent(self) -> bool:
        """Whether the energies of one draw are independent; otherwise they are so given their scale."""
        return self.width == 0

    @property
    def unscaled(self) -> Energies:
        """The law, of a core, before the factor s that the energies of one draw share."""
        return self

    @property
    def scales(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights of the average over s; s = 1 for independent energies."""
        return np.ones(1), np.ones(1)

    def scale_moment(self, power: float) -> float:
        """Return ⟨s^power⟩, infinite where it does not exist."""
        if power <= -self.width < 0:
            return math.inf
        s, weight = self.scales
        return float(weight @ s**power)

    @property
    @abstractmethod
    def components(self) -> tuple[Component, ...]:
        """Weighted continuous and discrete parts of the distribution of x = -ε."""

    @abstractmethod
    def cdf(self, energy: np.ndarray) -> np.ndarray:
        """Return the probability that an energy is at most `energy`, accurate in relative terms near zero."""

    @abstractmethod
    def ppf(self, q: np.ndarray) -> np.ndarray:
        """Return the energy below which a fraction `q` of the probability lies; q may be as low as 1e-300."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        """Return energies in an array of shape `size`; the last axis is one draw, where that matters."""

    @functools.cached_property
    def mean(self) -> float:
        """Mean energy; infinite or NaN where it does not exist."""
        return float(self.central_moments(1)[0])

    @functools.cached_property
    def variance(self) -> float:
        """Variance of the energy, possibly infinite."""
        return float(self.central_moments(2)[2])

    def central_moments(self, order: int) -> np.ndarray:
        """Return (mean, 0, μ₂, …, μ_order), the mean energy and the central moments, shape (order + 1,).

        A moment that does not exist is reported as infinite.
        """
        return central_moments(self.components, order)

    @property
    def is_discrete(self) -> bool:
        """Whether the distribution consists of atoms alone."""
        return all(isinstance(part, Atoms) for _, part in self.components)

    @functools.cached_property
    def tail_indices(self) -> list[tuple[float, float]]:
        """Tail indices of x = -ε upwards and downwards, of each part of the core."""
        return [tail_indices(part) for _, part in self.core.components]

    def require_maximum(self, n: float) -> None:
        """Raise ValueError unless ⟨max(-ε)⟩ over n energies exists.

        Both tails count: -ε must have a mean towards high values, and the lowest of n energies must have
        one even where a single energy has none.
        """
        for low, high in self.tail_indices:
            if low <= 1.0 + 1e-6:
                fail(
                    "energies",
                    "must have a finite mean of their lowest value, or ⟨ln Z⟩ does not exist",
                    f"{self.name} (tail towards low energies of index {low:.3g} <= 1)",
                    "use a lighter tail, or truncate the distribution",
                )
            if n * high <= 1.0 + 1e-6:
                fail(
                    "energies",
                    f"must have a finite mean of the lowest of n={n:g} values",
                    f"{self.name} (high-energy tail of index {high:.3g})",
                    f"take n > {1 / high:.3g}",
                )

    def _above(self, x: np.ndarray) -> np.ndarray:
        """P(X > x) of x = -ε, for a `Density`."""
        return self.cdf(-x)

    def __getstate__(self) -> dict[str, Any]:
        """Return what defines the law: copies and other processes work out the rest anew."""
        kind = type(self)
        return {
            name: value
            for name, value in vars(self).items()
            if not isinstance(getattr(kind, name, None), functools.cached_property)
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"


class Located(Energies):
    """A core distribution moved and stretched."""

    def __init__(self, core: Energies, location: float, scale: float, name: str) -> None:
        self._core, self.location, self.scale, self.name = core, float(location), float(scale), name
        self.width = core.width

    @property
    def core(self) -> Energies:
        return self._core

    @property
    def scales(self) -> tuple[np.ndarray, np.ndarray]:
        return self.core.scales

    @functools.cached_property
    def components(self) -> tuple[Component, ...]:
        return tuple((w, moved(part, self.location, self.scale)) for w, part in self.core.components)

    def cdf(self, energy: np.ndarray) -> np.ndarray:
        return self.core.cdf((np.asarray(energy, dtype=float) - self.location) / self.scale)

    def ppf(self, q: np.ndarray) -> np.ndarray:
        return self.location + self.scale * self.core.ppf(q)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        return self.location + self.scale * self.core.sample(rng, size)

    def central_moments(self, order: int) -> np.ndarray:
        moments = self.core.central_moments(order) * self.scale ** np.maximum(np.arange(order + 1), 1)
        moments[0] += self.location
        return moments
