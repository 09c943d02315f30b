"""Finitely many energies: atoms with given probabilities, or a sample."""

from __future__ import annotations

import functools

import numpy as np

from peakedtheory._common.checks import fail, real_array
from peakedtheory._common.types import Reals
from peakedtheory.energies.base import Energies
from peakedtheory.energies.components import Atoms, Component

#: Half the greatest distance between energies.
_WIDEST = 5e149


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

    def __init__(self, energies: Reals, weights: Reals | None = None, name: str | None = None) -> None:
        values = real_array("energies", energies).ravel()
        if not np.isfinite(values).all():
            fail("energies", "must be finite numbers", shorten(values), "drop infinite entries")
        if float(values.max()) / 2.0 - float(values.min()) / 2.0 > _WIDEST:
            rule = f"must lie within {2.0 * _WIDEST:g} of each other, whose squares are numbers"
            fail("energies", rule, shorten(values), "rescale them")
        mass = np.ones(values.size) if weights is None else real_array("weights", weights).ravel()
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
        Observed energies, any shape; masked ones are left out.
    """

    def __init__(self, values: Reals, name: str | None = None) -> None:
        if np.ma.isMaskedArray(values):
            values = np.ma.compressed(values)
        values = real_array("energies", values).ravel()
        super().__init__(values, name=name or f"sample of {values.size}")


def shorten(values: np.ndarray) -> str:
    """Return the first few values as text."""
    return np.array2string(values[:6], precision=4, separator=", ") + ("…" if values.size > 6 else "")
