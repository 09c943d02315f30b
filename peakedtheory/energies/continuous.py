"""Energies with a density that SciPy knows."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory.energies.base import Energies
from peakedtheory.energies.components import Component, Density
from peakedtheory.energies.unchecked import unchecked


class Continuous(Energies):
    """A scipy.stats distribution of the energy, frozen or of the new infrastructure, without atoms."""

    def __init__(self, distribution: Any, name: str, candidates: Sequence[float] = (0.0,)) -> None:
        self.distribution, self.name = distribution, name
        self._candidates = tuple(-float(c) for c in candidates)
        self._quantile = getattr(distribution, "ppf", None) or distribution.icdf
        upper = getattr(distribution, "isf", None) or getattr(distribution, "iccdf", None)
        if upper is not None:
            self.isf = upper  # the quantile from the other end, which keeps its digits there
        self._functions = unchecked(distribution)
        self._survival = getattr(self._functions, "sf", None) or distribution.ccdf

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
            self._pdf,
            self._above,
            self._below,
            -high,
            -low,
            -quartiles[1],
            quartiles[2] - quartiles[0],
            self._candidates,
        )
        return ((1.0, density),)

    def _pdf(self, x: np.ndarray) -> np.ndarray:
        try:
            return self._functions.pdf(-x)
        except OverflowError:  # some of SciPy's densities raise it next to a singular edge
            with np.errstate(over="ignore"):
                return np.exp(self.distribution.logpdf(-x))

    def _below(self, x: np.ndarray) -> np.ndarray:
        return self._survival(-x)

    def cdf(self, energy: np.ndarray) -> np.ndarray:
        return self._functions.cdf(np.asarray(energy, dtype=float))

    def ppf(self, q: np.ndarray) -> np.ndarray:
        return self._quantile(q)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        if hasattr(self.distribution, "rvs"):
            return self.distribution.rvs(size=size, random_state=rng)
        return self.distribution.sample(size, rng=rng)
