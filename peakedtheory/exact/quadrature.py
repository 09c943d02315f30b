"""Exact thermodynamics for any distribution of energies: adaptive quadrature over s.

The integrals are those of `exact.gaussian`, with Φ' = n ∫ φ^(n-1) ⟨x e^(v-e^v)⟩ ds, which needs no property
of the normal law. Averages over one energy are those of `exact.averages`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory.energies.components import Atoms, Component, Density
from peakedtheory.exact.averages import NEGLIGIBLE, Averages
from peakedtheory.exact.doubts import doubtful, relative_doubt
from peakedtheory.exact.levels import are_apart, separate_levels
from peakedtheory.exact.trapezoid import ROUNDED, Integrals, trapezoidal

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
_MAX_ROUNDS = 60
_MAX_PANELS = 20_000
#: Its defect, in units of that accuracy, beyond which the trapezoidal rule has missed something.
_SOUND = 10.0
#: Defect of a probability density in s beyond which the quadrature has missed a part of the law.
_MISSED = 1e-6
#: Defect that leaves no digit, and widths within which all transitions lie.
_NOTHING_KNOWN, _ALL = 0.5, 1e3
#: Entropies and values of β²Φ'' below this, as those of gapped spectra, count as zero.
_ZERO = 1e-28
#: Share of the spread of energies of which U keeps the relative accuracy: averages of x carry its rounding.
_LEVEL = 0.03


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
    if len(components) == 1 and isinstance(components[0][1], Atoms):
        atoms = components[0][1]
        if are_apart(atoms, beta, float(n.max())):
            return separate_levels(atoms, beta, n)
    values, errors, missed = _integrated(components, mean, variance, beta, n)
    if not missed < _MISSED:  # something lies between the nodes: every average by panels of its own
        again = _integrated(components, mean, variance, beta, n, careful=True)
        values, errors, missed = again if again[2] < missed else (values, errors, missed)
    if not missed < _NOTHING_KNOWN:
        fail(
            "energies",
            "must have a law that quadrature resolves",
            f"one whose probabilities miss {missed:.1e} of one at beta={beta:g}",
            "check its density against its distribution function, or pass a sample of it",
        )
    return values, errors


def _integrated(
    components: tuple[Component, ...],
    mean: float,
    variance: float,
    beta: float,
    n: np.ndarray,
    careful: bool = False,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return values, errors and what a probability misses of one, beyond the rounding of βx."""
    unit = np.sqrt(variance) if np.isfinite(variance) and variance > 0 else 1.0
    averages = Averages(components, beta, n, unit, careful)
    doubt = float(relative_doubt(components, n).max())
    nothing = _ZERO * min(unit, 1.0 / beta) ** 2
    floor = np.array([1e-3, _LEVEL * unit, nothing, _ZERO, 1.0])[:, None]
    found = None if careful or averages.few else trapezoidal(averages, mean, n, floor)
    if found is None or not _is_sound(found, doubt):
        found = _by_panels(averages, mean, n, floor, doubt)
    values, errors, transitions, reference = found
    centre, inner = transitions[0], _inner(transitions, doubt)
    # The last row integrates a probability density over s: its defect measures the whole quadrature.
    defect = np.abs(values[4] - 1.0)
    values, errors = values[:4], errors[:4]
    values[0] -= centre + np.euler_gamma
    errors += (defect + inner) * np.abs(values)
    for weight, part in components:
        if isinstance(part, Density):
            kernel = min(1.0 / beta, part.width)
            scales = np.array([beta, 1.0, kernel, beta**2 * kernel])[:, None]
            errors += scales * part.displaced(beta, n, weight)
    errors += np.array([0.0, 0.0, nothing + averages.dropped / beta**2, _ZERO + averages.dropped])[:, None]
    errors[0] += 1e-15 * abs(centre)
    errors[1] += (defect + 1e-15) * abs(reference) + 1e-14 * np.sqrt(np.maximum(values[2], 0.0))
    values[1] += reference
    errors += doubtful(components, beta, n, values)
    rounding = min(float(np.abs(transitions).max()), _ALL * beta * averages.width)
    return values, errors, float(defect.max()) - 1e-13 * rounding


def _is_sound(found: Integrals, doubt: float) -> bool:
    """Return whether the probability density in s integrates to one as well as its averages allow."""
    return bool(np.abs(found.values[4] - 1.0).max() <= _SOUND * _inner(found.transitions, doubt))


def _inner(transitions: np.ndarray, doubt: float) -> float:
    """Relative accuracy of the averages: v = s + βx carries the rounding of both, about as large as Φ."""
    return float(_INNER + 2.2e-16 * np.abs(transitions).max() + doubt)


def _by_panels(averages: Averages, mean: float, n: np.ndarray, floor: np.ndarray, doubt: float) -> Integrals:
    """Integrate over panels that are halved until they are exact."""
    edges, transitions = _initial_panels(averages, n)
    centre = transitions[0]
    reference = mean if np.isfinite(mean) else -centre / averages.beta

    def integrands(s: np.ndarray) -> np.ndarray:
        log_phi, m, mean, variance, w = averages(s).T[:, :, None]
        single = n * np.exp((n - 1.0) * log_phi) * m
        pair = n * (n - 1.0) * np.exp((n - 2.0) * log_phi) * m
        # 1 - φⁿ up to the centre and -φⁿ beyond it both vanish far out: no large numbers cancel.
        transition = np.where(s[:, None] < centre, -np.expm1(n * log_phi), -np.exp(n * log_phi))
        columns = [transition, single * (mean - reference), pair * m * variance, pair * w, single]
        columns += [np.abs(s)[:, None] * column for column in columns[2:4]]
        return np.stack(columns, axis=1)

    unlimited = np.full((2, 1), np.inf)
    tolerance = max(_TOLERANCE, 10.0 * _inner(transitions, doubt))
    values, errors = _adaptive(integrands, edges, np.concatenate([floor, unlimited]), tolerance)
    errors[2:4] += ROUNDED * np.abs(values[5:])  # far from all others few energies may hold all of these
    return Integrals(values[:5], errors[:5], transitions, reference)


def _initial_panels(averages: Averages, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return panel edges that span the transition of φⁿ for every n, and its place for the extreme n."""
    landmarks = np.unique(np.concatenate([part.breaks(averages.beta) for _, part in averages.components]))
    images = np.sort(-averages.beta * landmarks)
    centre = -averages.beta * float(np.median([part.centre for _, part in averages.components]))
    s = log_phi = np.zeros(0)
    for start in range(-1, 960, 64):
        steps = 2.0 ** np.arange(start, start + 64)
        new = np.concatenate([centre - steps[::-1], [centre] * (start < 0), centre + steps])
        values = averages(new)[:, 0]
        s = np.concatenate([new[:-64], s, new[-64:]])
        log_phi = np.concatenate([values[:-64], log_phi, values[-64:]])
        reach = np.maximum(1.0, np.abs(s - centre))
        below = np.nonzero(-n.max() * log_phi * reach < 1e-18)[0]
        above = np.nonzero(-n.min() * log_phi > NEGLIGIBLE + np.log(reach))[0]
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
    transitions = [_transition(averages, count, s, log_phi) for count in (n.min(), n.max())]
    steps = 2.0 ** np.arange(1, 1023)
    grid = np.concatenate([[t - steps, t + steps] for t in transitions], axis=None)
    inner = np.concatenate([images, images - 3.0, images + 3.0, images - 30.0, images + 30.0, grid])
    inner = inner[(inner > low) & (inner < high)]
    return np.unique(np.concatenate([[low], inner, transitions, [high]])), np.array(transitions)


def _transition(averages: Averages, n: float, s: np.ndarray, log_phi: np.ndarray) -> float:
    """Return where -n ln φ = 1, to a part of the width over which it grows, from values on a coarse grid."""
    while True:
        growth = np.log(np.maximum(-n * log_phi, 1e-300))
        after = int(np.argmax(growth > 0.0))
        s, growth = s[after - 1 : after + 1], growth[after - 1 : after + 1]
        if growth[1] - growth[0] < 1.0 or s[1] - s[0] < 1.0:
            return float(s[np.argmin(np.abs(growth))])
        s = np.linspace(s[0], s[1], 18)
        log_phi = averages(s)[:, 0]


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
        twice_mean = np.einsum("pk...,k->p...", f, _FULL)
        full = twice_mean * half[:, None, None]
        deviation = np.abs(f - 0.5 * twice_mean[:, None])
        spread = np.einsum("pk...,k->p...", deviation, _FULL) * half[:, None, None]
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
