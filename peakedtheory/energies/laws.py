"""The kinds of energy distributions: what one is, and how each kind says where low energies lie."""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy

from peakedtheory._common.checks import fail
from peakedtheory.energies.central_moments import central_moments, tail_indices
from peakedtheory.energies.components import Atoms, Component, Density, moved


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
    """

    name: str
    location: float = 0.0
    scale: float = 1.0

    @property
    def core(self) -> Energies:
        """The distribution before location and scale."""
        return self

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
        """Return independent energies in an array of shape `size`."""

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
    def _tail_indices(self) -> list[tuple[float, float]]:
        """Tail indices of x = -ε upwards and downwards, of each part of the core."""
        return [tail_indices(part) for _, part in self.core.components]

    def require_maximum(self, n: float) -> None:
        """Raise ValueError unless ⟨max(-ε)⟩ over n energies exists.

        Both tails count: -ε must have a mean towards high values, and the lowest of n energies must have
        one even where a single energy has none.
        """
        for low, high in self._tail_indices:
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

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"


class Located(Energies):
    """A core distribution moved and stretched."""

    def __init__(self, core: Energies, location: float, scale: float, name: str) -> None:
        self._core, self.location, self.scale, self.name = core, float(location), float(scale), name

    @property
    def core(self) -> Energies:
        return self._core

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


class StandardNormal(Energies):
    """ε ~ N(0, 1), for which the engine has a fast path."""

    name = "normal"

    @functools.cached_property
    def components(self) -> tuple[Component, ...]:
        density = Density(
            lambda x: np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi),
            lambda x: scipy.special.ndtr(-x),
            lambda x: scipy.special.ndtr(x),
            -math.inf,
            math.inf,
            0.0,
            1.35,
        )
        return ((1.0, density),)

    def cdf(self, energy: np.ndarray) -> np.ndarray:
        return scipy.special.ndtr(energy)

    def ppf(self, q: np.ndarray) -> np.ndarray:
        return scipy.special.ndtri(q)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        return rng.standard_normal(size)

    def require_maximum(self, n: float) -> None:
        """Every moment exists."""

    def central_moments(self, order: int) -> np.ndarray:
        moments = np.zeros(order + 1)
        for r in range(2, order + 1, 2):
            moments[r] = (r - 1) * (moments[r - 2] if r > 2 else 1.0)
        return moments


STANDARD_NORMAL = StandardNormal()


class Gaussian(Located):
    """ε ~ N(mean, std²).

    Parameters
    ----------
    mean, std : float
        Mean and standard deviation, std > 0.

    Examples
    --------
    >>> Gaussian(std=2.0).scale
    2.0
    """

    def __init__(self, mean: float = 0.0, std: float = 1.0) -> None:
        if not (math.isfinite(mean) and math.isfinite(std) and std > 0):
            fail(
                "mean, std",
                "must be finite with std > 0",
                f"{mean}, {std}",
                "give a positive standard deviation",
            )
        name = "normal" if (mean, std) == (0, 1) else f"normal:loc={mean:g},scale={std:g}"
        super().__init__(STANDARD_NORMAL, mean, std, name)


class Continuous(Energies):
    """A scipy.stats distribution of the energy, frozen or of the new infrastructure, without atoms."""

    def __init__(self, distribution: Any, name: str, candidates: Sequence[float] = (0.0,)) -> None:
        self.distribution, self.name = distribution, name
        self._candidates = tuple(-float(c) for c in candidates)
        self._quantile = getattr(distribution, "ppf", None) or distribution.icdf
        self._survival = getattr(distribution, "sf", None) or distribution.ccdf

    @functools.cached_property
    def components(self) -> tuple[Component, ...]:
        d = self.distribution
        with np.errstate(all="ignore"):
            low, high = (float(e) for e in d.support())
            quartiles = np.asarray(self._quantile(np.array([0.25, 0.5, 0.75])), dtype=float)
        if not np.isfinite(quartiles).all() or quartiles[2] <= quartiles[0]:
            fail("energies", "must have finite, distinct quartiles", self.name, "check the parameters")
        far = quartiles[1] + np.array([-1e3, 1e3]) * (quartiles[2] - quartiles[0])
        with np.errstate(all="ignore"):
            outside = [p for p in np.asarray(d.cdf(far), dtype=float) if not -1e-9 <= p <= 1.0 + 1e-9]
        if outside:
            fail(
                "energies",
                "must have probabilities from 0 to 1",
                f"{self.name} (P = {outside[0]:.4g} far from its median)",
                "take a law on the line: of angles, `vonmises_line`",
            )
        density = Density(
            lambda x: self._pdf(-x),
            lambda x: d.cdf(-x),
            lambda x: self._survival(-x),
            -high,
            -low,
            -quartiles[1],
            quartiles[2] - quartiles[0],
            self._candidates,
        )
        return ((1.0, density),)

    def _pdf(self, energy: np.ndarray) -> np.ndarray:
        try:
            return self.distribution.pdf(energy)
        except OverflowError:  # some of SciPy's densities raise it next to a singular edge
            with np.errstate(over="ignore"):
                return np.exp(self.distribution.logpdf(energy))

    def cdf(self, energy: np.ndarray) -> np.ndarray:
        return self.distribution.cdf(energy)

    def ppf(self, q: np.ndarray) -> np.ndarray:
        return self._quantile(q)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        if hasattr(self.distribution, "rvs"):
            return self.distribution.rvs(size=size, random_state=rng)
        return self.distribution.sample(size, rng=rng)


class Discrete(Energies):
    """Finitely many energies with given probabilities.

    Parameters
    ----------
    energies : array_like, shape (k,)
        Values of the energy; equal ones are merged.
    weights : array_like, shape (k,), optional
        Probabilities, normalised to one; equal ones by default.

    Examples
    --------
    >>> Discrete([0.0, 1.0], [0.25, 0.75]).mean
    0.75
    """

    def __init__(self, energies: Any, weights: Any = None, name: str | None = None) -> None:
        values = np.asarray(energies, dtype=float).ravel()
        if values.size == 0 or not np.isfinite(values).all():
            fail(
                "energies",
                "must be finite numbers, at least one",
                shorten(values),
                "drop NaN and infinite entries",
            )
        mass = np.ones(values.size) if weights is None else np.asarray(weights, dtype=float).ravel()
        if mass.shape != values.shape or not np.isfinite(mass).all() or (mass < 0).any() or mass.sum() <= 0:
            fail(
                "weights",
                "must be one nonnegative number per energy",
                shorten(mass),
                "give as many as energies",
            )
        self.values, inverse = np.unique(values, return_inverse=True)
        self.weights = np.bincount(inverse, mass) / mass.sum()
        self.name = name or (
            "atoms:" + ",".join(f"{e:g}={w:g}" for e, w in zip(self.values, self.weights, strict=True))
            if self.values.size <= 8
            else f"{self.values.size} atoms"
        )
        self._cumulative = np.cumsum(self.weights)

    @functools.cached_property
    def components(self) -> tuple[Component, ...]:
        return ((1.0, Atoms(-self.values, self.weights)),)

    def cdf(self, energy: np.ndarray) -> np.ndarray:
        return np.append(0.0, self._cumulative)[np.searchsorted(self.values, energy, side="right")]

    def ppf(self, q: np.ndarray) -> np.ndarray:
        return self.values[np.searchsorted(self._cumulative, q).clip(0, self.values.size - 1)]

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        return self.ppf(rng.random(size))


class Sample(Discrete):
    """An empirical sample of energies, each value as likely as the next.

    Parameters
    ----------
    values : array_like
        Observed energies, any shape.
    """

    def __init__(self, values: Any, name: str | None = None) -> None:
        values = np.asarray(values, dtype=float).ravel()
        super().__init__(values, name=name or f"sample of {values.size}")


def shorten(values: np.ndarray) -> str:
    """Return the first few values as text."""
    return np.array2string(values[:6], precision=4, separator=", ") + ("…" if values.size > 6 else "")
