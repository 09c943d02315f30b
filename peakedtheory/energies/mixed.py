"""Energies each drawn from one of several laws that are already known."""

from __future__ import annotations

import functools

import numpy as np

from peakedtheory.energies.base import Energies
from peakedtheory.energies.components import Component
from peakedtheory.energies.inversion import quantile_between


class Mixed(Energies):
    """Energies each drawn from one of several laws.

    Parameters
    ----------
    weights : ndarray, shape (k,)
        Positive weights; they are normalised.
    parts : tuple of Energies
        Laws of independent energies.
    """

    def __init__(self, weights: np.ndarray, parts: tuple[Energies, ...]) -> None:
        self.weights, self.parts = weights / weights.sum(), parts
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
        return quantile_between(self.cdf, q, candidates.min(axis=0), candidates.max(axis=0))

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        which = rng.choice(self.weights.size, size=size, p=self.weights)
        out = np.empty(which.shape)
        for i, e in enumerate(self.parts):
            out[which == i] = e.sample(rng, int((which == i).sum()))
        return out
