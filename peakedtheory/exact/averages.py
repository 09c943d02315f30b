"""Averages over one energy at any s, each taken where it is exact and cheapest.

They come from `exact.lattice`, from the few nodes of `exact.interpolatory`, or for each s from the nodes of
`energies.components`.
"""

from __future__ import annotations

import functools

import numpy as np

from peakedtheory.energies.components import Atoms, Component, Density, Nodes
from peakedtheory.energies.gumbel import V_MAX, entropy_kernel
from peakedtheory.exact.interpolatory import resolved_averages
from peakedtheory.exact.lattice import Lattice

#: Exponents beyond which nothing is left of a power of φ.
NEGLIGIBLE = 42.0
_NODES_AT_ONCE = 40_000
#: Distance from the centre, in units of width, beyond which only a power-law tail is left.
_FAR = 1e6
#: Widths of the distribution in units of 1/β beyond which its density is resolved in most places.
_COLD = 8.0
#: Nodes of averages one by one for which a lattice costs less than it saves.
_WORTHWHILE = 20_000
#: Widths of the distribution in units of 1/β that a lattice can count.
_COUNTED = 1e12
#: Weights m of the kernel whose squares no longer matter.
_ENDED = 1e-12
#: Atoms up to this many are summed, as long as e^v is a number.
_FEW = 64
_UNDERFLOW = -700.0


class Averages:
    """Averages over one energy at inverse temperature beta, for a mixture of components.

    Columns: ln φ, m = ⟨e^(v-e^v)⟩, the mean and the variance of x under that weight, and w = ⟨W(v)⟩.
    """

    def __init__(
        self,
        components: tuple[Component, ...],
        beta: float,
        n: np.ndarray,
        spread: float,
        careful: bool = False,
    ) -> None:
        self.components, self._careful = components, careful
        self.beta = beta
        self.few = all(isinstance(part, Atoms) and part.x.size <= _FEW for _, part in components)
        self.v_min = _UNDERFLOW if self.few else -(NEGLIGIBLE + 4.0 + np.log(n.max()))
        #: What values of x below the window may add to β²Φ'' or S where a gap leaves nothing else.
        gapped = not self.few and any(isinstance(part, Atoms) for _, part in components)
        self.dropped = float(n.max() * np.exp(self.v_min) * self.v_min**2) if gapped else 0.0
        self._top = max(part.x[-1] if isinstance(part, Atoms) else part.edges[-1] for _, part in components)
        self.width = max(part.width + abs(part.centre) for _, part in components)
        self._arguments = components, beta, self.v_min, n, spread
        self.fewest, self._asked = float(n.min()), 0
        window = (V_MAX - self.v_min) / beta
        self._cost = sum(part.cost(window) for _, part in components)

    @functools.cached_property
    def _lattice(self) -> Lattice:
        return Lattice(*self._arguments)

    @property
    def places(self) -> tuple[int, int]:
        """First and last place of the lattice."""
        return self._lattice.ends

    def at(self, place: np.ndarray) -> np.ndarray:
        """Return the columns at places of the lattice, with NaN for variances that drown in its spread."""
        g, m, mean, variance, w = self._lattice.at(place)
        drowned = (variance * self.beta**2 <= self._lattice.resolution) & (m >= _ENDED)
        variance = np.where(drowned, np.nan, variance)
        return np.stack([_log_complement(g, 1.0 - g), m, mean, variance, w], axis=1)

    def __call__(self, s: np.ndarray) -> np.ndarray:
        """Return the columns, shape (s.size, 5), for ascending s."""
        out = np.empty((s.size, 5))
        left = np.ones(s.size, dtype=bool)
        # The cheapest first: one or the other at high and at low temperature.
        ways = [] if self.few or self._careful else [self._from_lattice, self._resolved]
        cold = self.beta * self.width > _COLD
        ways = [self._absent, self._far, *(ways[::-1] if cold else ways), self._spent]
        for averages in ways:
            rows = np.nonzero(left)[0]
            if rows.size:
                out[rows], done = averages(s[rows])
                left[rows[done]] = False
        near = np.nonzero(left)[0]
        chunk = max(1, int(_NODES_AT_ONCE / self._cost))
        for i in range(0, near.size, chunk):
            rows = near[i : i + chunk]
            out[rows] = self._chunk(s[rows])
        return out

    def _absent(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where all x lie below the kernels, and what they would add is below rounding for every n."""
        return np.zeros((s.size, 5)), s < self.v_min - self.beta * self._top

    def _spent(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where powers of φ have vanished, by φ(s) < P(βx < V - s) + exp(-e^V), whatever the rest."""
        below = sum(w * part.below((V_MAX + 1.0 - s) / self.beta) for w, part in self.components)
        out = np.zeros((s.size, 5))
        out[:, 0] = np.log(np.maximum(below, 1e-300))
        return out, (self.fewest - 2.0) * out[:, 0] < -2.0 * NEGLIGIBLE

    def _resolved(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Averages over a density that hardly varies across the kernel, and where it does so."""
        columns, resolved = resolved_averages(self.components, s, self.beta, self.v_min)
        return np.column_stack([_log_complement(*columns[:, :2].T), columns[:, 2:]]), resolved

    def _from_lattice(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Averages by interpolation, and where the variance does not drown in the spread of the lattice."""
        out = np.zeros((s.size, 5))
        self._asked += s.size
        if self._asked * self._cost < _WORTHWHILE or self.beta * self.width > _COUNTED:
            return out, np.zeros(s.size, dtype=bool)
        done = self._lattice.covers(s)
        g, m, mean, variance, w = self._lattice(s[done])
        out[done] = np.stack([_log_complement(g, 1.0 - g), m, mean, variance, w], axis=1)
        done[done] = (variance * self.beta**2 > self._lattice.resolution) | (m < _ENDED)
        return out, done

    def _far(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Averages deep in a power-law tail, where the density is constant over the kernel's width.

        There each average is the kernel's mass times the density at the kernel's mean, up to (α/s)².
        """
        done = np.abs(s) > _FAR * np.maximum(1.0, self.beta * self.width)
        out = np.zeros((s.size, 5))
        if not done.any():
            return out, done
        x = (-np.euler_gamma - s[done]) / self.beta
        with np.errstate(all="ignore"):
            g, phi = np.sum([(w * part.above(x), w * part.below(x)) for w, part in self.components], axis=0)
            density = sum(w * part.pdf(x) for w, part in self.components if isinstance(part, Density))
        m = np.zeros(x.size) + np.where(np.isfinite(density), density, 0.0) / self.beta
        spread = np.full(x.size, np.pi**2 / (6.0 * self.beta**2))
        out[done] = np.stack([_log_complement(g, phi), m, x, spread, m * np.pi**2 / 6.0], axis=1)
        return out, done

    def _chunk(self, s: np.ndarray) -> np.ndarray:
        parts = [(weight, part.nodes(s, self.beta, self.v_min)) for weight, part in self.components]
        nodes = Nodes(
            np.concatenate([p.row for _, p in parts]),
            np.concatenate([p.x for _, p in parts]),
            np.concatenate([w * p.weight for w, p in parts]),
            np.sum([w * p.mass_above for w, p in parts], axis=0),
            np.sum([w * p.mass_below for w, p in parts], axis=0),
        )

        def total(values: np.ndarray) -> np.ndarray:
            return np.bincount(nodes.row, values, minlength=s.size)

        v = np.minimum(s[nodes.row] + self.beta * nodes.x, 6.0)  # every kernel has ended long before
        t = np.exp(v)
        survival = np.expm1(-t)
        g = nodes.mass_above - total(nodes.weight * survival)
        kernel = nodes.weight * t * (1.0 + survival)
        m = total(kernel)
        safe = np.where(m > 0.0, m, 1.0)
        mean = total(kernel * nodes.x) / safe
        deviation = nodes.x - mean[nodes.row]
        variance = total(kernel * deviation * deviation) / safe
        w = total(nodes.weight * entropy_kernel(v, t, survival))
        # Where g is close to one, φ is summed directly.
        phi = total(nodes.weight * (1.0 + survival)) + nodes.mass_below
        return np.stack([_log_complement(g, phi), m, mean, variance, w], axis=1)


def _log_complement(g: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Return ln φ from whichever of g = 1 - φ and φ is the smaller."""
    return np.where(g < 0.5, np.log1p(-np.minimum(g, 0.5)), np.log(np.maximum(phi, 1e-300)))
