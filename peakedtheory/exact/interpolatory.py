"""Averages over one energy where its density varies little across the kernel: a few nodes for all kernels.

At low temperature the kernels of v = s + βx are narrow. If the density is a polynomial in v there, up to
rounding, its values at the Gauss nodes of the Gumbel density carry every average; the last coefficients in
the orthogonal polynomials of that density say whether it is.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from peakedtheory._common.panels import NODES, WEIGHTS
from peakedtheory.energies.components import Atoms, Component, Density
from peakedtheory.energies.gumbel import V_MAX, entropy_kernel

_SIZE = 24
#: Last coefficients, relative to the first, of a density that counts as a polynomial.
_RESOLVED = 2e-14
#: Panels of a density shorter than this in v may lie between the nodes; what they could add, relative to all.
_LONG, _UNSEEN = 4.0, 1e-17
_ROWS_AT_ONCE = 2000


@dataclass(frozen=True)
class Rule:
    """Nodes v and, for a function given there, its averages over the kernels and its last coefficients.

    `gumbel` and `entropy` average over these kernels; `step` over 1 - exp(-e^v) less the unit step at v = 0.
    """

    lowest: float
    v: np.ndarray
    gumbel: np.ndarray
    entropy: np.ndarray
    step: np.ndarray
    last: np.ndarray


@functools.lru_cache(maxsize=16)
def gumbel_rule(v_min: float) -> Rule:
    """Return the rule for kernels cut off below `v_min`, by the Stieltjes procedure on a fine grid."""
    edges = np.arange(np.floor(v_min), np.ceil(V_MAX) + 1.0)
    v = (edges[:-1, None] + 0.5 * (1.0 + NODES)).ravel()
    step = np.tile(0.5 * WEIGHTS, edges.size - 1)
    t = np.exp(v)
    mass = step * t * np.exp(-t)
    mass /= mass.sum()
    polynomials = np.zeros((_SIZE, v.size))
    diagonal, off = np.zeros(_SIZE), np.zeros(_SIZE)
    current, previous = np.ones(v.size), np.zeros(v.size)
    for j in range(_SIZE):
        polynomials[j] = current
        diagonal[j] = mass @ (v * current**2)
        following = (v - diagonal[j]) * current - off[j - 1] * previous
        off[j] = np.sqrt(mass @ following**2)
        previous, current = current, following / off[j]
    nodes, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(off[:-1], 1) + np.diag(off[:-1], -1))
    gumbel = vectors[0] ** 2
    at_nodes = vectors / vectors[0] * gumbel  # polynomial j at node k, times the weight of the node
    survival = np.exp(-t)
    entropy, lift = step * entropy_kernel(v), step * np.where(v < 0.0, -np.expm1(-t), -survival)
    return Rule(
        edges[0],
        nodes,
        gumbel,
        (polynomials @ entropy) @ at_nodes,
        (polynomials @ lift) @ at_nodes,
        at_nodes[-3:],
    )


def resolved_averages(
    components: tuple[Component, ...], s: np.ndarray, beta: float, v_min: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return g, φ, m, mean and variance of x, and w, shape (s.size, 6), and where they are that exact."""
    rule = gumbel_rule(8.0 * np.floor(v_min / 8.0))
    out, resolved = np.zeros((s.size, 6)), _unbroken(components, s, beta, rule.lowest)
    unseen = _unseen(components, s, beta)
    for rows in np.array_split(np.nonzero(resolved)[0], 1 + s.size // _ROWS_AT_ONCE):
        x = (rule.v - s[rows, None]) / beta
        with np.errstate(all="ignore"):
            f = sum(w * part.pdf(x) for w, part in components if isinstance(part, Density)) / beta
            tails = [
                (w * part.above(-s[rows] / beta), w * part.below(-s[rows] / beta)) for w, part in components
            ]
            above, below = np.sum(tails, axis=0)
        f = np.where(np.isfinite(f), f, 0.0) + np.zeros(x.shape)
        m = f @ rule.gumbel
        seen = (m > 0.0) & (unseen[rows] <= _UNSEEN * m)
        resolved[rows] = (np.abs(f @ rule.last.T).max(axis=1) <= _RESOLVED * m) & seen
        safe = np.where(m > 0.0, m, 1.0)
        mean = (f @ (rule.gumbel * rule.v)) / safe
        variance = np.einsum("ij,ij->i", f, rule.gumbel * (rule.v - mean[:, None]) ** 2) / safe
        lift = f @ rule.step
        columns = [
            above + lift,
            below - lift,
            m,
            (mean - s[rows]) / beta,
            variance / beta**2,
            f @ rule.entropy,
        ]
        out[rows] = np.stack(columns, axis=1)
    return out, resolved


def _unbroken(components: tuple[Component, ...], s: np.ndarray, beta: float, lowest: float) -> np.ndarray:
    """Return where no atom lies in the kernel and no kink beyond its last nodes, which would not notice."""
    unbroken = np.ones(s.size, dtype=bool)
    for _, part in components:
        points, start = (part.x, lowest) if isinstance(part, Atoms) else (part.rough, 0.0)
        first, last = (np.searchsorted(points, (v - s) / beta) for v in (start, np.ceil(V_MAX)))
        unbroken &= first == last
    return unbroken


def _unseen(components: tuple[Component, ...], s: np.ndarray, beta: float) -> np.ndarray:
    """Return a bound on what panels between the nodes add to m: their mass, times e^v below v = 0."""
    bound = np.zeros(s.size)
    for weight, part in components:
        if isinstance(part, Density):
            end, mass = part.short_panels(_LONG / beta)
            if not end.size:
                continue
            with np.errstate(divide="ignore", over="ignore"):
                falling = np.append(-np.inf, np.logaddexp.accumulate(np.log(mass) + beta * end))
                inside = np.append(0.0, np.cumsum(mass))
                first, last = (np.searchsorted(end, (v - s) / beta) for v in (0.0, np.ceil(V_MAX) + _LONG))
                # The difference first: what lies far below is smaller than the rounding of either mass.
                bound += weight * (
                    (inside[last] - inside[first]) + np.exp(np.minimum(falling[first] + s, 0.0))
                )
    return bound
