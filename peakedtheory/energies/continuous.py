"""Energies with a density that SciPy knows."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory.energies.agreement import agreeing
from peakedtheory.energies.base import Energies
from peakedtheory.energies.components import Component, Density, Function
from peakedtheory.energies.tabulated import Tabulated
from peakedtheory.energies.unchecked import unchecked

#: Distances at which a density is looked at to find its middle, and the integral that says that it was found.
_LOOKED_AT = 2.0 ** np.arange(-20.0, 21.0)
_FOUND = (0.7, 1.4)
_LOOKS = 6


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
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # what SciPy finds wrong with its integrals shows in their values
            return ((1.0, self._density()),)

    def _density(self) -> Density:
        low, high = (float(e) for e in self.distribution.support())
        quartiles = -self._quartiles(low, high)[::-1]
        table = Tabulated(self._pdf, -high, -low, quartiles[1], quartiles[2] - quartiles[0], self._candidates)
        pdf, above, below, doubt = agreeing(self._pdf, self._above, self._below, table, self.name)
        if pdf == table.pdf:
            quartiles = table.quartiles
        centre, width = quartiles[1], quartiles[2] - quartiles[0]
        candidates = (*self._candidates, *table.closing_in())
        return Density(pdf, above, below, -high, -low, centre, width, candidates, doubt)

    def _quartiles(self, low: float, high: float) -> np.ndarray:
        """Return the quartiles of the energy; roughly those that SciPy would have to search for."""
        family = getattr(self.distribution, "dist", None)
        quartiles = None
        if family is not None and type(family)._ppf is _searched():
            quartiles = _rough_quartiles(self._functions.pdf, low, high)
        if quartiles is None:
            quartiles = np.asarray(self._quantile(np.array([0.25, 0.5, 0.75])), dtype=float)
        if not np.isfinite(quartiles).all() or quartiles[2] <= quartiles[0]:
            fail("energies", "must have finite, distinct quartiles", self.name, "check the parameters")
        far = quartiles[1] + np.array([-1e3, 1e3]) * (quartiles[2] - quartiles[0])
        outside = [p for p in np.asarray(self.cdf(far), dtype=float) if not -1e-9 <= p <= 1.0 + 1e-9]
        if outside:
            fail(
                "energies",
                "must have probabilities from 0 to 1",
                f"{self.name} (P = {outside[0]:.4g} far from its median)",
                "take a law on the line: of angles, `vonmises_line`",
            )
        return quartiles

    def _pdf(self, x: np.ndarray) -> np.ndarray:
        try:
            return self._functions.pdf(-x)
        except OverflowError:  # some of SciPy's densities raise it next to a singular edge
            with np.errstate(over="ignore"):
                return np.exp(self.distribution.logpdf(-x))

    def _above(self, x: np.ndarray) -> np.ndarray:
        return self.cdf(-x)

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


def _searched() -> Any:
    """Return SciPy's quantile of laws that know none, a search by their probabilities."""
    from scipy.stats import rv_continuous  # slow to import

    return rv_continuous._ppf


def _rough_quartiles(pdf: Function, low: float, high: float) -> np.ndarray | None:
    """Return the quartiles of a density within a width or so; None where a few looks do not find them."""
    place = low if np.isfinite(low) else high if np.isfinite(high) else 0.0
    x = np.empty(0)
    for _ in range(_LOOKS):
        x = np.unique(np.concatenate([x, place - _LOOKED_AT, [place], place + _LOOKED_AT]))
        x = x[(x > low) & (x < high)]
        density = pdf(x)
        density = np.where(np.isfinite(density), density, 0.0)
        mass = 0.5 * np.diff(x) * (density[1:] + density[:-1])
        total = mass.sum()
        if _FOUND[0] < total < _FOUND[1]:
            return np.interp([0.25, 0.5, 0.75], np.append(0.0, np.cumsum(mass)) / total, x)
        place, x = float(x[np.argmax(density)]), x[density > 0.0]
    return None
