"""Exact thermodynamics of n i.i.d. standard normal energies: the fast path of the engine.

Every quantity is a one-dimensional integral over s of powers of φ(s) = ⟨exp(-exp(s - βε))⟩ = 1 - g(s),
and each integrand is an average over the Gumbel kernel (docs/thermodynamics.md derives all of them):

    Φ   = ∫ [exp(-e^s) - φⁿ] ds                    Φ'  = β n(n-1) ∫ φ^(n-2) m² ds   (Gaussian energies)
    Φ'' = n(n-1) ∫ φ^(n-2) m² Var_s(ε) ds          S   = n(n-1) ∫ φ^(n-2) m w ds

with m = -dφ/ds = ⟨e^(v-e^v)⟩, Var_s the variance of ε under that weight and w = ⟨W(v)⟩, v = s - βε.
All integrands are positive, so nothing cancels at any temperature; all are analytic in |Im s| < π/2,
so the trapezoidal rule converges geometrically. Because s and v share one lattice, φ and its companions
are correlations of a table of the normal density with fixed kernels.
"""

import functools

import numpy as np
import scipy

from peakedtheory.energies.gumbel import V_MAX, entropy_kernel

#: Lattice step in s and v: the Gumbel density has |Γ(1 + 2πi/h)| < 1e-16 at this step.
STEP = 0.25
#: Integrands below exp(-_NEGLIGIBLE) of their peak are left out.
_NEGLIGIBLE = 38.0
#: Relative rounding error of the four integrals (Φ, Φ', Φ'', S), measured against 26 digits, with a margin.
_ROUNDING = np.array([3e-15, 1.2e-14, 2.4e-14, 1.2e-14])
#: Below this beta averages are taken over a lattice in the energy, above it over one in v.
_DIRECT_BELOW = 1.0


def gaussian_thermodynamics(beta: float, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values and error estimates of (Φ, -U, Φ'', S) for one beta > 0 and all n >= 2 at once.

    Parameters
    ----------
    beta : float
        Inverse temperature, positive.
    n : ndarray, shape (m,)
        Numbers of energies, at least 2.

    Returns
    -------
    values, errors : ndarray, shape (4, m)
        Rows ln Z, minus the internal energy, energy variance, entropy.
    """
    averages = _direct_averages if beta < _DIRECT_BELOW else _lattice_averages
    s, step, log_phi, m, variance, w = averages(beta, float(n.min()), float(n.max()))
    transition = -np.expm1(np.multiply.outer(log_phi, n))
    transition[-1] *= 0.5
    pairs = np.exp(np.multiply.outer(log_phi, n - 2.0)) * m[:, None] * (n * (n - 1.0))
    fields = np.stack([m, m * variance, np.zeros_like(m) if w is None else w])

    def integrals(nodes: slice, step: float) -> np.ndarray:
        return step * np.vstack([transition[nodes].sum(axis=0), fields[:, nodes] @ pairs[nodes]])

    values = integrals(np.s_[:], step)
    # The rule doubles its correct digits with each halving of the step, so a relative change of e
    # between the two lattices leaves about e² on the finer one. Both contain the last node.
    change = np.abs(values - integrals(np.s_[::-2], 2.0 * step))
    errors = np.minimum(change, change**2 / (values + 1e-300)) + _ROUNDING[:, None] * values
    values[0] -= s[-1] + np.euler_gamma
    errors[0] += _ROUNDING[0] * (abs(s[-1]) + beta)
    values[1] *= beta
    errors[1] *= beta
    if w is None:  # at high temperature S is of order ln n, and Φ + βU keeps its digits
        values[3] = values[0] - beta * values[1]
        errors[3] = errors[0] + beta * errors[1]
    return values, errors


@functools.cache
def _tilts() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Exponents θ of the Chernoff bounds with ln Γ(1 - θ), for the lower and the upper end of s."""
    lower, upper = np.geomspace(1e-7, 0.98, 96), np.geomspace(1e-3, 1e2, 64)
    return lower, scipy.special.gammaln(1.0 - lower), upper, scipy.special.gammaln(1.0 + upper)


def _bounds(beta: float, n: float) -> tuple[float, float]:
    """Return the range of s outside which 1 - φⁿ is negligibly different from 0 or 1.

    Chernoff bounds of the Gumbel-perturbed maximum: g(s) <= exp(θs + θ²β²/2) Γ(1-θ) for 0 < θ < 1 and
    φ(s) <= exp(-θs + θ²β²/2) Γ(1+θ) for θ > 0; for large n the quantile of order 1/n is tighter.
    """
    below, below_gamma, above, above_gamma = _tilts()
    rise, fall = _NEGLIGIBLE + np.log(n), _NEGLIGIBLE / n
    # The exponents of the tightest bounds at large beta lie below all of the tabulated ones.
    colder, hotter = min(0.5, np.sqrt(2.0 * rise) / beta), np.sqrt(2.0 * fall) / beta
    lower = max(
        np.max((-rise - 0.5 * (below * beta) ** 2 - below_gamma) / below),
        (-rise - 0.5 * (colder * beta) ** 2 - scipy.special.gammaln(1.0 - colder)) / colder,
    )
    upper = min(
        np.min((fall + 0.5 * (above * beta) ** 2 + above_gamma) / above),
        (fall + 0.5 * (hotter * beta) ** 2 + scipy.special.gammaln(1.0 + hotter)) / hotter,
    )
    quantile = (_NEGLIGIBLE + 1.0) / n
    if quantile < 0.5:
        upper = min(upper, beta * scipy.special.ndtri(quantile) + V_MAX)
    return lower, upper


def _joint_bounds(beta: float, n_min: float, n_max: float) -> tuple[float, float]:
    ranges = [_bounds(beta, n) for n in {n_min, n_max}]
    return min(r[0] for r in ranges), max(r[1] for r in ranges)


def _direct_averages(beta: float, n_min: float, n_max: float) -> tuple:
    """Averages at small beta: the trapezoidal rule over the energy itself."""
    lower, upper = _joint_bounds(beta, n_min, n_max)
    s = STEP * np.arange(np.floor(lower / STEP), np.ceil(upper / STEP) + 1)
    x = np.arange(-40, 45) * STEP
    weight = np.exp(-0.5 * x * x) * (STEP / np.sqrt(2.0 * np.pi))
    t = np.exp(s[:, None] + beta * x)
    survival = np.expm1(-t)
    g = -(survival @ weight)
    kernel = t * (1.0 + survival)
    m, first, second = (kernel @ np.stack([weight, x * weight, x * x * weight], axis=1)).T
    return s, STEP, _log_phi(g), m, second / m - (first / m) ** 2, None


def _log_phi(g: np.ndarray) -> np.ndarray:
    """Ln φ from g = 1 - φ alone, which ends at ln(eps): beyond it φⁿ has vanished."""
    return np.log1p(-np.minimum(g, 1.0 - 2.3e-16))


@functools.lru_cache(maxsize=8)
def _kernel_columns(first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Lattice values of v and of the kernels (Gumbel, its first two moments, entropy), weights included."""
    v = STEP * np.arange(first, last + 1)
    gumbel = STEP * np.exp(v - np.exp(v))
    columns = np.stack([gumbel, v * gumbel, v * v * gumbel, STEP * entropy_kernel(v)], axis=1)
    return v, columns


def _lattice_averages(beta: float, n_min: float, n_max: float) -> tuple:
    """Averages at beta >= 1: correlations of the normal tail and density with the kernels in v.

    The s-lattice takes every r-th point of the v-lattice: M = ln Z + Gumbel noise has a spread of about
    β/a with a = √(2 ln n), and the step may grow with it.
    """
    lower, upper = _joint_bounds(beta, n_min, n_max)
    rate = 1.0 + np.sqrt(2.0 * np.log(n_max))
    stride = max(1.0, np.floor(0.85 * beta / rate))
    depth = _NEGLIGIBLE + 2.0 + np.log(n_max)
    if beta > 2.0 * rate:  # the tail of the kernel meets a density that grows at most at this rate
        depth = min(depth, (_NEGLIGIBLE + 3.0) / (1.0 - rate / beta))
    v, kernels = _kernel_columns(8 * int(np.floor(-depth / STEP / 8)), int(np.ceil(V_MAX / STEP)))
    first = np.floor(lower / STEP)
    count = int(np.ceil((upper / STEP - first) / stride)) + 1
    s = STEP * (first + stride * np.arange(count))
    if stride < v.size:
        stride = int(stride)
        lattice = np.arange(v.size - 1 + stride * (count - 1) + 1) - stride * (count - 1)
        x = (v[0] - s[0] + STEP * lattice) / beta
        tail, density = (_windows(f, count, v.size, stride) for f in _normal_tail_and_density(x))
    else:
        tail, density = _normal_tail_and_density((v - s[:, None]) / beta)
    g = tail @ kernels[:, 0]
    m, first_moment, second_moment, w = (density @ kernels).T / beta
    safe = np.where(m > 0.0, m, 1.0)  # the density underflows at the ends, where nothing is left to weigh
    variance = np.maximum(second_moment / safe - (first_moment / safe) ** 2, 0.0) / beta**2
    return s, STEP * stride, _log_phi(g), m, variance, w


def _windows(f: np.ndarray, count: int, size: int, stride: int) -> np.ndarray:
    """Copy `count` windows of f, the last one first, each `stride` to the left of the one before."""
    step = f.itemsize
    windows = np.lib.stride_tricks.as_strided(
        f[stride * (count - 1) :], (count, size), (-stride * step, step), writeable=False
    )
    return np.ascontiguousarray(windows)


def _normal_tail_and_density(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return scipy.special.ndtr(-x), np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi)
