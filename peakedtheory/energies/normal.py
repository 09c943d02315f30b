"""Normal energies."""

from __future__ import annotations

import functools
import math

import numpy as np
import scipy

from peakedtheory._common.checks import fail, real_number
from peakedtheory.energies.base import Energies, Located
from peakedtheory.energies.components import Component, Density


class StandardNormal(Energies):
    """ε ~ N(0, 1), for which the engine has a fast path."""

    name = "normal"
    _only: StandardNormal | None = None

    def __new__(cls) -> StandardNormal:
        """Return the one there is: what is asked of it is whether it is that."""
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    @functools.cached_property
    def components(self) -> tuple[Component, ...]:
        density = Density(
            self._pdf,
            self._above,
            self.cdf,
            -math.inf,
            math.inf,
            0.0,
            1.35,
        )
        return ((1.0, density),)

    def _pdf(self, x: np.ndarray) -> np.ndarray:
        return np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)

    def cdf(self, energy: np.ndarray) -> np.ndarray:
        return scipy.special.ndtr(energy)

    def ppf(self, q: np.ndarray) -> np.ndarray:
        return scipy.special.ndtri(q)

    def isf(self, q: np.ndarray) -> np.ndarray:
        """Return the energy above which a fraction `q` of the probability lies."""
        return -scipy.special.ndtri(q)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        return rng.standard_normal(size)

    @property
    def tail_indices(self) -> list[tuple[float, float]]:
        return [(math.inf, math.inf)]

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
        mean, std = real_number("mean", mean), real_number("std", std)
        if not (math.isfinite(mean) and math.isfinite(std) and std > 0):
            fail(
                "mean, std",
                "must be finite with std > 0",
                f"{mean}, {std}",
                "give a positive standard deviation",
            )
        name = "normal" if (mean, std) == (0, 1) else f"normal:loc={mean:g},scale={std:g}"
        super().__init__(STANDARD_NORMAL, mean, std, name)
