"""Exact thermodynamics for any distribution of energies: adaptive quadrature over s.

The integrals are those of `_exact.gaussian`, with averages over one energy by the nodes of
`_exact.components`, and with Φ' = n ∫ φ^(n-1) ⟨x e^(v-e^v)⟩ ds, which needs no property of the normal law.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from peakedtheory._checks import fail
from peakedtheory._exact.components import Component, Density, Nodes
from peakedtheory._exact.gumbel import V_MAX, entropy_kernel

Integrands = Callable[[np.ndarray], np.ndarray]

_KRONROD = np.array(
    [0.991455371120812639, 0.949107912342758524, 0.864864423359769072,
     0.741531185599394439, 0.586087235467691130, 0.405845151377397166,
     0.207784955007898467]
)  # fmt: skip
_KRONROD_WEIGHTS = np.array(
    [0.022935322010529224, 0.063092092629978553, 0.104790010322250183,
     0.140653259715525918, 0.169004726639267902, 0.190350578064785409,
     0.204432940075298892, 0.209482141084727828]
)  # fmt: skip
_GAUSS_WEIGHTS = np.array(
    [0.129484966168869693, 0.279705391489276667, 0.381830050505118944,
     0.417959183673469387]
)  # fmt: skip
_ABSCISSAE = np.concatenate([-_KRONROD, [0.0], _KRONROD[::-1]])
_FULL = np.concatenate([_KRONROD_WEIGHTS[:-1], _KRONROD_WEIGHTS[::-1]])
_HALF = np.zeros(15)
_HALF[1::2] = np.concatenate([_GAUSS_WEIGHTS[:-1], _GAUSS_WEIGHTS[::-1]])

_TOLERANCE = 2e-13
#: Relative accuracy of the inner averages: rounding, and densities resolved to this level.
_INNER = 4e-14
_NEGLIGIBLE = 42.0
_NODES_AT_ONCE = 40_000
_MAX_ROUNDS = 60
_MAX_PANELS = 20_000
#: Distance from the centre, in units of width, beyond which only a power-law tail is left.
_FAR = 1e6
#: Entropies and variances (in their natural unit) below this, as those of gapped spectra, count as zero.
_ZERO = 1e-28


class Averages:
    """Averages over one energy at inverse temperature beta, for a mixture of components.

    Columns: ln φ, m = ⟨e^(v-e^v)⟩, the mean and the variance of x under that weight, and w = ⟨W(v)⟩.
    """

    def __init__(self, components: tuple[Component, ...], beta: float, n_max: float) -> None:
        self.components = components
        self.beta = beta
        self.v_min = -(_NEGLIGIBLE + 4.0 + np.log(n_max))
        self._width = max(part.width + abs(part.centre) for _, part in components)

    def __call__(self, s: np.ndarray) -> np.ndarray:
        """Return the columns, shape (s.size, 5), for ascending s."""
        out = np.empty((s.size, 5))
        far = np.abs(s) > _FAR * np.maximum(1.0, self.beta * self._width)
        near = np.nonzero(~far)[0]
        window = (V_MAX - self.v_min) / self.beta
        chunk = max(1, int(_NODES_AT_ONCE / sum(part.cost(window) for _, part in self.components)))
        for i in range(0, near.size, chunk):
            rows = near[i : i + chunk]
            out[rows] = self._chunk(s[rows])
        if far.any():
            out[far] = self._far(s[far])
        return out

    def _far(self, s: np.ndarray) -> np.ndarray:
        """Averages deep in a power-law tail, where the density is constant over the kernel's width.

        There each average is the kernel's mass times the density at the kernel's mean, up to (α/s)².
        """
        x = (-np.euler_gamma - s) / self.beta
        with np.errstate(all="ignore"):
            g = sum(w * part.above(x) for w, part in self.components)
            phi = sum(w * part.below(x) for w, part in self.components)
            log_phi = np.where(g < 0.5, np.log1p(-np.minimum(g, 0.5)), np.log(np.maximum(phi, 1e-300)))
            density = sum(w * part.pdf(x) for w, part in self.components if isinstance(part, Density))
        m = np.zeros(s.size) + np.where(np.isfinite(density), density, 0.0) / self.beta
        ones = np.ones(s.size)
        return np.stack([log_phi, m, x, ones * np.pi**2 / (6.0 * self.beta**2), m * np.pi**2 / 6.0], axis=1)

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
        log_phi = np.where(g < 0.5, np.log1p(-np.minimum(g, 0.5)), np.log(np.maximum(phi, 1e-300)))
        return np.stack([log_phi, m, mean, variance, w], axis=1)


def general_thermodynamics(
    components: tuple[Component, ...], mean: float, variance: float, beta: float, n: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return values and error estimates of (Φ, -U, Φ'', S) for one beta > 0 and all n >= 2 at once.

    Parameters
    ----------
    components : tuple of (weight, Density or Atoms)
        Distribution of x = -energy.
    mean : float
        Mean of x, possibly infinite.
    variance : float
        Variance of x, possibly infinite: its root is the unit in which values count as zero.
    beta : float
        Inverse temperature, positive.
    n : ndarray, shape (m,)
        Numbers of energies, at least 2.

    Returns
    -------
    values, errors : ndarray, shape (4, m)
        Rows ln Z, minus the internal energy, energy variance, entropy.
    """
    averages = Averages(components, beta, float(n.max()))
    edges, transitions = _initial_panels(averages, n)
    centre = transitions[0]
    reference = mean if np.isfinite(mean) else -centre / beta

    def integrands(s: np.ndarray) -> np.ndarray:
        log_phi, m, mean, variance, w = averages(s).T[:, :, None]
        single = n * np.exp((n - 1.0) * log_phi) * m
        pair = n * (n - 1.0) * np.exp((n - 2.0) * log_phi) * m
        # 1 - φⁿ up to the centre and -φⁿ beyond it both vanish far out: no large numbers cancel.
        transition = np.where(s[:, None] < centre, -np.expm1(n * log_phi), -np.exp(n * log_phi))
        columns = [transition, single * (mean - reference), pair * m * variance, pair * w, single]
        return np.stack(columns, axis=1)

    unit = np.sqrt(variance) if np.isfinite(variance) and variance > 0 else 1.0
    floor = np.array([1e-3, 1e-12 * unit, _ZERO * unit**2, _ZERO, 1.0])[:, None]
    # v = s + βx carries the rounding of its two terms, both about as large as Φ.
    inner = _INNER + 2.2e-16 * np.abs(transitions).max()
    values, errors = _adaptive(integrands, edges, floor, max(_TOLERANCE, 10.0 * inner))
    # The last row integrates a probability density over s: its defect measures the whole quadrature.
    defect = np.abs(values[4] - 1.0)
    values, errors = values[:4], errors[:4]
    values[0] -= centre + np.euler_gamma
    errors += (defect + inner) * np.abs(values)
    errors += _ZERO * np.array([0.0, 0.0, unit**2, 1.0])[:, None]
    errors[0] += 1e-15 * abs(centre)
    errors[1] += (defect + 1e-15) * abs(reference) + 2e-15 * np.sqrt(values[2])
    values[1] += reference
    return values, errors


def _initial_panels(averages: Averages, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return panel edges that span the transition of φⁿ for every n, and its place for the extreme n."""
    landmarks = np.unique(np.concatenate([part.landmarks for _, part in averages.components]))
    images = np.sort(-averages.beta * landmarks)
    centre = -averages.beta * float(np.median([part.centre for _, part in averages.components]))
    s = np.array([centre])
    log_phi = averages(s)[:, 0]
    for start in range(-1, 960, 64):
        steps = 2.0 ** np.arange(start, start + 64)
        s = np.concatenate([centre - steps[::-1], s, centre + steps])
        log_phi = np.concatenate([averages(s[:64])[:, 0], log_phi, averages(s[-64:])[:, 0]])
        reach = np.maximum(1.0, np.abs(s - centre))
        below = np.nonzero(-n.max() * log_phi * reach < 1e-18)[0]
        above = np.nonzero(-n.min() * log_phi > _NEGLIGIBLE + np.log(reach))[0]
        if below.size and above.size:
            break
    else:
        fail(
            "energies",
            "must have tails that end within double precision",
            "tails so heavy that ⟨ln Z⟩ draws on values beyond 1e280",
            "truncate the distribution or raise n",
        )
    low, high = s[below[-1]], s[above[0]]
    # Most panels are wanted where n φ' is largest, at ln(n (1 - φ)) = 0.
    transitions = [
        s[np.argmin(np.abs(np.log(np.maximum(-count * log_phi, 1e-300))))] for count in (n.min(), n.max())
    ]
    grid = np.concatenate(
        [[t - steps, t + steps] for t in transitions for steps in (4.0 ** np.arange(1, 512),)], axis=None
    )
    inner = np.concatenate([images, images - 3.0, images + 3.0, images - 30.0, images + 30.0, grid])
    inner = inner[(inner > low) & (inner < high)]
    return np.unique(np.concatenate([[low], inner, transitions, [high]])), np.array(transitions)


def _adaptive(
    integrands: Integrands, edges: np.ndarray, floor: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Integrate columns over the panels by Gauss-Kronrod (7, 15), halving those that are not yet exact."""
    a, b = edges[:-1], edges[1:]
    total, settled = np.zeros((2, *floor.shape))
    for _ in range(_MAX_ROUNDS):
        half = 0.5 * (b - a)
        s = (a + half)[:, None] + half[:, None] * _ABSCISSAE
        order = np.argsort(s.ravel(), kind="stable")
        flat = integrands(s.ravel()[order])
        f = np.empty_like(flat)
        f[order] = flat
        f = f.reshape(*s.shape, *flat.shape[1:])
        full = np.einsum("pk...,k->p...", f, _FULL) * half[:, None, None]
        mean = full / (2.0 * half[:, None, None])
        spread = np.einsum("pk...,k->p...", np.abs(f - mean[:, None]), _FULL) * half[:, None, None]
        raw = np.abs(full - np.einsum("pk...,k->p...", f, _HALF) * half[:, None, None])
        with np.errstate(all="ignore"):
            error = np.where(spread > 0, spread * np.minimum(1.0, (200.0 * raw / spread) ** 1.5), 0.0)
        estimate = np.abs(total + full.sum(axis=0))
        share = 0.02 * tolerance * np.maximum(estimate, floor)
        split = (error > share).any(axis=(1, 2)) & (half > 1e-14 * np.maximum(np.abs(a), np.abs(b)))
        total = total + full[~split].sum(axis=0)
        settled = settled + error[~split].sum(axis=0)
        if not split.any():
            return total, settled
        if split.sum() > _MAX_PANELS:
            break
        middle = (a + half)[split]
        a, b = np.concatenate([a[split], middle]), np.concatenate([middle, b[split]])
        order = np.argsort(a)
        a, b = a[order], b[order]
    return total + full[split].sum(axis=0), settled + error[split].sum(axis=0)
