"""Which exponent to expect, where it holds, and why: regimes of learning a peaked distribution.

If the gap Δ between the two lowest of n energies has P(Δ < s) ~ C s^κ, then L ~ CΓ(κ+1)η(κ+1) β^-κ and gradient flow
gives L ~ τ^-α with α = κ/(κ+2) (docs/regimes.md, Eqs. 1-6; κ = 1 is the 1/3 law of Liu et al. 2026).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import beta as beta_function
from scipy.special import gamma, zeta

from peakedtheory._checks import fail, inverse_temperature, number_of_energies, real_array
from peakedtheory._components import NODES, WEIGHTS, Atoms, Density
from peakedtheory._interpolant import Interpolant, interpolant
from peakedtheory._results import describe, fields_of, to_dataset
from peakedtheory.energies import STANDARD_NORMAL, Energies, FiniteWidth, as_energies

if TYPE_CHECKING:
    import xarray

#: A window is a stretch of τ of at least this many decades, within this fraction of the exponent.
MINIMUM_DECADES = 0.5
TOLERANCE = 0.1
_CELL_NODES, _CELL_WEIGHTS = np.polynomial.legendre.leggauss(6)


@dataclass(frozen=True, repr=False)
class Exponent:
    """Asymptotic power law of the loss against hard labels.

    Attributes
    ----------
    exponent : float
        α in L ~ τ^-α under gradient flow.
    gap_exponent : float
        κ in P(gap < s) ~ s^κ and L ~ β^-κ; infinite where the gap cannot be small.
    coefficient : float or None
        Of L ~ coefficient·β^-κ (times ln β where `logarithmic`); None where there is no power law in β or no closed
        form for it.
    gap : float
        Smallest gap of a discrete spectrum, zero otherwise: L falls as exp(-β gap).
    logarithmic : bool
        Whether a factor ln β accompanies the power.
    explanation : str
        What of the distribution decides.
    """

    exponent: float
    gap_exponent: float
    coefficient: float | None
    explanation: str
    gap: float = 0.0
    logarithmic: bool = False

    def __repr__(self) -> str:
        shown = {"exponent": self.exponent, "gap_exponent": self.gap_exponent, "coefficient": self.coefficient}
        return describe("Exponent of the loss against dynamic time", shown) + f"\n  {self.explanation}"


def exponent_of_gap(gap_exponent: float) -> float:
    """Return α = κ/(κ + 2) for a gap law s^κ; κ = 2, 3 and ∞ are level repulsion and a true gap.

    Examples
    --------
    >>> exponent_of_gap(2.0), exponent_of_gap(float("inf"))
    (0.5, 1.0)
    """
    kappa = float(real_array("gap_exponent", gap_exponent))
    if kappa <= 0:
        fail("gap_exponent", "must be > 0", f"{kappa:g}", "a gap law vanishes at zero gap")
    return 1.0 if math.isinf(kappa) else kappa / (kappa + 2.0)


def exponent_of_edge(edge_exponent: Any) -> Any:
    """Return α for i.i.d. energies whose density starts as (ε - ε_min)^(k-1): k/(k+1) below k = 1/2, else 1/3.

    At k = 1/2 a logarithm accompanies the power.

    Examples
    --------
    >>> print(exponent_of_edge([0.25, 1.0]))
    [0.2        0.33333333]
    """
    k = real_array("edge_exponent", edge_exponent)
    if (k <= 0).any():
        fail("edge_exponent", "must be > 0", f"{k.min():g}", "the density must be integrable")
    return (np.where(k < 0.5, k / (k + 1.0), 1.0 / 3.0))[()]


def predict_exponent(energies: Any = None, n: float = 50304) -> Exponent:
    """Return the exponent of the loss that a distribution of energies implies at long times.

    Parameters
    ----------
    energies : optional
        Distribution of one energy, as `as_energies` takes it; standard normal by default.
    n : int
        Number of energies, at least 2.

    Raises
    ------
    ValueError
        If ⟨max(-ε)⟩ is infinite, n < 2, or all energies are equal.

    Notes
    -----
    Regular densities have κ = 1 and the coefficient (π²/12) p_Δ(0), p_Δ(0) = n(n-1)∫f²F^(n-2) dx, which is
    (π²/12)⟨max⟩ for Gaussian energies. A density A|x - x0|^(k-1) with k < 1/2 makes ∫f² diverge: κ = 2k.

    Examples
    --------
    >>> prediction = predict_exponent(None, 128)
    >>> print(f"{prediction.exponent:.4f} {prediction.coefficient:.10f}")
    0.3333 2.1339708007
    """
    distribution = as_energies(energies)
    count = number_of_energies(n)
    if count.ndim or count < 2:
        fail("n", "must be one number >= 2", f"{n}", "one energy has no gap")
    n = float(count)
    if isinstance(distribution, FiniteWidth):
        scales, weights = distribution.scales
        inner = predict_exponent(STANDARD_NORMAL, n)
        if distribution.width <= 1:
            return Exponent(1 / 3, 1.0, None, "width 1: ⟨1/|x|⟩ diverges, and a factor ln β remains", 0.0, True)
        mean = float(weights @ (1.0 / scales))
        text = "Gaussian logits given the input, averaged over its norm: the gap density at zero is finite"
        return Exponent(1 / 3, 1.0, inner.coefficient * mean, text)  # type: ignore[operator]
    distribution.require_maximum(n)
    scale, parts = distribution.scale, distribution.core.components
    atoms = [part for _, part in parts if isinstance(part, Atoms)]
    densities = [(w, part) for w, part in parts if isinstance(part, Density)]
    if not densities:
        return _discrete(np.unique(np.concatenate([a.x for a in atoms])) * scale)
    singular = _strongest_singularity(densities, n)
    if singular is not None and singular[0] < 0.5 - 1e-3:
        k, strength, where = singular
        kappa = 2.0 * k
        mass = n * (n - 1.0) * strength / kappa
        coefficient = mass * gamma(kappa + 1.0) * _eta(kappa + 1.0) / scale**kappa
        text = (
            f"the density diverges as |ε - ({-where * scale + distribution.location:.6g})|^{k - 1:.3g}, too strongly for"
            f" ∫f² to exist: two of the lowest energies meet there, P(gap < s) ~ s^{kappa:.3g}"
        )
        return Exponent(exponent_of_gap(kappa), kappa, coefficient, text)
    if singular is not None and singular[0] < 0.5 + 1e-3:
        text = "the density diverges with exponent -1/2, where ∫f² diverges logarithmically: L ~ ln β/β"
        coefficient = n * (n - 1.0) * singular[1] * math.pi**2 / 12.0 / scale
        return Exponent(1 / 3, 1.0, coefficient, text, 0.0, True)
    text = "regular density: the gap between the two lowest energies has a finite, nonzero density at zero"
    if atoms:
        text += "; atoms beside it change the coefficient, not the exponent"
        return Exponent(1 / 3, 1.0, None, text)
    return Exponent(1 / 3, 1.0, math.pi**2 / 12.0 * gap_density(densities, n) / scale, text)


def _eta(s: float) -> float:
    """Dirichlet eta function, s > 1 here."""
    return float((1.0 - 2.0 ** (1.0 - s)) * zeta(s))


def _discrete(x: np.ndarray) -> Exponent:
    if x.size < 2:
        fail("energies", "must take at least two values", "one atom", "equal energies leave nothing to learn")
    gap = float(np.diff(x).min())
    text = f"discrete energies: the smallest gap is {gap:.6g}, so L ~ exp(-β gap), β ~ ln τ/gap and L ~ 1/τ"
    return Exponent(1.0, math.inf, None, text, gap)


def gap_density(parts: list[tuple[float, Density]], n: float) -> float:
    """p_Δ(0) = n(n-1)∫f²F^(n-2): probability density of a vanishing gap between the two highest of n values of x."""
    edges = np.unique(np.concatenate([part.edges for _, part in parts]))
    # The panels resolve f; F^n falls off faster, so each is cut where ln F changes by order 1/n.
    if edges.size < 400:
        edges = np.unique((edges[:-1, None] + np.diff(edges)[:, None] * np.linspace(0, 1, 9)).ravel())
    half = 0.5 * np.diff(edges)
    x = (edges[:-1] + half)[:, None] + half[:, None] * NODES
    with np.errstate(all="ignore"):
        f = sum(w * part.pdf(x) for w, part in parts)
        above = np.clip(sum(w * part.above(x) for w, part in parts), 0.0, 1.0)
        values = np.where(np.isfinite(f), f, 0.0) ** 2 * np.exp((n - 2.0) * np.log1p(-above))
    values = np.where(np.isfinite(values), values, 0.0)
    return float(n * (n - 1.0) * (half * (values @ WEIGHTS)).sum())


def _strongest_singularity(parts: list[tuple[float, Density]], n: float) -> tuple[float, float, float] | None:
    """Return (k, S, x0) of the sharpest divergence f ~ A±|x - x0|^(k-1) that the highest two of n values feel.

    S collects the pairs on one side and across: p_Δ(s) = n(n-1) S s^(2k-1); at k = 1/2 the sum of A² alone.
    """
    found: list[tuple[float, float, float]] = []
    for weight, part in parts:
        for x0 in _suspects(part):
            sides = [_side(part, x0, sign) for sign in (-1.0, 1.0)]
            k = min((s[0] for s in sides), default=1.0)
            if k > 0.5 + 1e-3:
                continue
            amplitudes = [weight * a if abs(side_k - k) < 1e-3 else 0.0 for side_k, a in sides]
            below = sum(w * p.below(np.array([x0]))[0] for w, p in parts)
            survives = math.exp((n - 2.0) * math.log(below)) if below > 0 else float(n == 2)
            if survives <= 1e-300:
                continue
            squares = sum(a * a for a in amplitudes)
            strength = squares
            if k < 0.5 - 1e-3:
                strength = squares * beta_function(k, 1.0 - 2.0 * k)
                strength += amplitudes[0] * amplitudes[1] * beta_function(k, k)
            found.append((k, strength * survives, float(x0)))
    return min(found, default=None)


def _suspects(part: Density) -> np.ndarray:
    """Points where the density may diverge: finite ends, and where its panels shrink towards nothing."""
    size = np.diff(part.edges)
    # A singular point lies between the two smallest neighbours of a run of short panels.
    pair = size[:-1] + size[1:]
    lowest = (pair < 1e-6 * part.width) & (pair <= np.roll(pair, 1)) & (pair <= np.roll(pair, -1))
    inner = part.edges[1:-1][lowest][:32]
    ends = [e for e in (part.lower, part.upper) if math.isfinite(e)]
    return np.unique(np.concatenate([inner, ends]))


def _side(part: Density, x0: float, sign: float) -> tuple[float, float]:
    """Return k and A of the density A δ^(k-1) at distance δ to one side of x0; k = ∞ where there is none."""
    delta = part.width * 10.0 ** np.array([-8.0, -7.0, -6.0])
    delta = np.maximum(delta, np.array([1.0, 10.0, 100.0]) * 1e-9 * abs(x0))
    with np.errstate(all="ignore"):
        f = part.pdf(x0 + sign * delta)
    if not (np.isfinite(f).all() and (f > 0).all()):
        return math.inf, 0.0
    slopes = np.diff(np.log(f)) / np.diff(np.log(delta))
    if abs(slopes[1] - slopes[0]) > 1e-3:
        return math.inf, 0.0
    k = round(1.0 + float(slopes[0]), 5)
    return k, float(f[0] * delta[0] ** (1.0 - k))


@dataclass(frozen=True)
class Window:
    """Stretch in which the local exponent stays within 10 % of α: β and τ at its ends, and its length."""

    beta: tuple[float, float]
    tau: tuple[float, float]
    decades: float


@dataclass(frozen=True, repr=False)
class Regime:
    """Where a run or a moment of it stands.

    Attributes
    ----------
    name : str
        `start`, `power law`, `crossover`, `end`, `high temperature`, or for a whole run `power law` or `no power law`.
    exponent : float
        Local exponent -d ln L/d ln τ at the moment asked for; for a whole run the exponent of its window, or,
        where there is none, the local exponent half-way (in ln β) between c0 and β*.
    window : Window or None
        Where the power law holds along the aligned flow from zero.
    onset, end : float
        The crossovers β ≈ c0 and β ≈ β*.
    explanation : str
        Why.
    """

    name: str
    exponent: float
    window: Window | None
    explanation: str
    onset: float
    end: float
    beta_star: float = field(repr=False)
    n: float = field(repr=False)

    def __repr__(self) -> str:
        rows = {"exponent": self.exponent, "onset": self.onset, "end": self.end}
        title = f"Regime of n={self.n:g}, beta_star={self.beta_star:g}: {self.name}"
        if self.window is not None:
            w = self.window
            rows["window"] = f"beta {w.beta[0]:.4g} to {w.beta[1]:.4g}, {w.decades:.2f} decades of tau"  # type: ignore[assignment]
        return describe(title, rows) + f"\n  {self.explanation}"


@dataclass(frozen=True)
class AlignedPath:
    """The aligned flow from zero as functions of β: τ, L and the local exponent, by quadrature of Eq. 9 of [1]."""

    beta: np.ndarray
    tau: np.ndarray
    loss: np.ndarray
    exponent: np.ndarray


def aligned_path(table: Interpolant, beta_star: float, points: int = 600) -> AlignedPath:
    """Return τ(β) = n∫dβ/(g(β) - g(β*)) on a grid that is dense towards zero and towards β*."""
    scale = table.scale
    top = min(beta_star, table.top)
    u = np.linspace(math.log(1e-3 / scale), math.log(top), points)
    beta = np.exp(u)
    if math.isfinite(beta_star) and beta_star <= table.top:
        left = np.exp(np.linspace(0.0, math.log(1e-7), points // 2))
        beta = np.unique(np.concatenate([beta[beta < 0.5 * beta_star], beta_star * (1.0 - 0.5 * left)]))
    star = np.array(beta_star)
    drive_star = float(table.drives(star))
    half = 0.5 * np.diff(beta, prepend=0.0)
    at = (beta - half)[:, None] + half[:, None] * _CELL_NODES
    tau = np.cumsum((half[:, None] * _CELL_WEIGHTS * table.n / (table.drives(at) - drive_star)).sum(axis=1))
    pull = table.drives(beta) - drive_star
    loss = table.aligned_loss(beta, beta_star)
    return AlignedPath(beta, tau, loss, pull**2 * tau / (table.n * loss))


def _window(path: AlignedPath, exponent: float, onset: float, endless: bool) -> Window | None:
    inside = (np.abs(path.exponent / exponent - 1.0) <= TOLERANCE) & (path.beta >= onset)
    changes = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(int), [0]])))
    best, longest = None, MINIMUM_DECADES
    for first, last in changes.reshape(-1, 2):
        decades = math.log10(path.tau[last - 1] / path.tau[first])
        if decades >= longest:
            longest = decades
            if last == path.beta.size and endless:
                best = Window((float(path.beta[first]), math.inf), (float(path.tau[first]), math.inf), math.inf)
                continue
            best = Window(
                (float(path.beta[first]), float(path.beta[last - 1])),
                (float(path.tau[first]), float(path.tau[last - 1])),
                decades,
            )
    return best


def regime(
    beta_star: float | None = None,
    n: float | None = None,
    energies: Any = None,
    *,
    entropy: float | None = None,
    beta: float | None = None,
    tau: float | None = None,
) -> Regime:
    """Return the regime of a run towards β*, or of one moment of it.

    Parameters
    ----------
    beta_star : float, optional
        Teacher's inverse temperature, infinite for hard labels.
    n : int
        Number of classes.
    energies : optional
        Distribution of one energy; standard normal by default.
    entropy : float, optional
        Teacher's entropy in nats, instead of `beta_star`.
    beta, tau : float, optional
        One moment of the run: inverse temperature reached, or dynamic time spent by gradient flow from zero.

    Raises
    ------
    ValueError
        If not exactly one of `beta_star` and `entropy` is given, both `beta` and `tau` are, or a value is impossible.

    Examples
    --------
    >>> regime(6.87, 32000).window is None
    True
    >>> regime(1000.0, 32000).name
    'power law'
    """
    distribution = as_energies(energies)
    if n is None:
        fail("n", "must be given", "None", "say how many classes there are")
    count = number_of_energies(n)
    if count.ndim or count < 2:
        fail("n", "must be one number >= 2", f"{n}", "give the number of classes")
    if (beta_star is None) == (entropy is None):
        fail("beta_star, entropy", "exactly one must be given", f"{beta_star}, {entropy}", "name the teacher once")
    if beta is not None and tau is not None:
        fail("beta, tau", "at most one may be given", f"{beta}, {tau}", "one follows from the other")
    prediction = predict_exponent(distribution, float(count))
    table = interpolant(float(count), distribution)
    star = _star_of_entropy(table, entropy) if beta_star is None else _finite_or_hard(beta_star)
    path = aligned_path(table, star)
    onset = _onset(table)
    window = _window(path, prediction.exponent, onset, math.isinf(star))
    if beta is None and tau is None:
        return _whole_run(table, prediction, path, window, onset, star)
    return _moment(table, prediction, path, window, onset, star, beta, tau)


def _finite_or_hard(beta_star: float) -> float:
    star = inverse_temperature(beta_star, "beta_star", allow_infinite=True)
    if star.ndim or star <= 0:
        fail("beta_star", "must be one number > 0", f"{beta_star}", "a teacher at zero has nothing to teach")
    return float(star)


def _star_of_entropy(table: Interpolant, entropy: float | None) -> float:
    wanted = float(real_array("entropy", entropy))

    def excess(log_beta: float) -> float:
        beta = np.array(math.exp(log_beta))
        return float(table.hard_loss(beta) + beta * table.drives(beta)) - wanted

    low, high = math.log(1e-6 / table.scale), math.log(table.top)
    if not (excess(high) < 0 < excess(low)):
        bound = math.log(table.n)
        fail("entropy", f"must lie between 0 and ln n = {bound:.4g}", f"{wanted:g}", "give it in nats")
    return math.exp(brentq(excess, low, high, xtol=1e-13))


def _onset(table: Interpolant) -> float:
    """β = c0 in the energies' own unit: ⟨max⟩ above the mean, over the variance of one energy."""
    return table.slope / table.scale**2


def _whole_run(
    table: Interpolant, prediction: Exponent, path: AlignedPath, window: Window | None, onset: float, star: float
) -> Regime:
    reached = f"β* = {star:.4g} against c0 = {onset:.4g}"
    if window is not None:
        text = f"L ~ τ^-{prediction.exponent:.3g} from β = {window.beta[0]:.3g} to {window.beta[1]:.3g} ({reached})"
        return Regime("power law", prediction.exponent, window, text, onset, star, star, table.n)
    middle = math.sqrt(onset * star) if star > onset else 0.5 * star
    typical = float(np.interp(middle, path.beta, path.exponent))
    if star < onset:
        name, why = "no power law", "the teacher is too warm: β* lies below c0 and the approach is exponential"
    else:
        name, why = "no power law", "β* is too close to c0 for a power law to develop between them"
    text = f"{why} ({reached}); the aligned flow has no stretch of {MINIMUM_DECADES} decades near {prediction.exponent:.3g}"
    return Regime(name, typical, None, text, onset, star, star, table.n)


def _moment(
    table: Interpolant,
    prediction: Exponent,
    path: AlignedPath,
    window: Window | None,
    onset: float,
    star: float,
    beta: float | None,
    tau: float | None,
) -> Regime:
    if tau is not None:
        time = float(real_array("tau", tau))
        if not time >= 0 or math.isinf(time):
            fail("tau", "must be finite and >= 0", f"{time:g}", "dynamic time starts at zero")
        beta = float(np.interp(time, np.append(0.0, path.tau), np.append(0.0, path.beta)))
    at = float(inverse_temperature(beta))
    local = float(np.interp(at, path.beta, path.exponent))
    if window is not None and window.beta[0] <= at <= window.beta[1]:
        name, why = "power law", f"the local exponent is within 10 % of {prediction.exponent:.3g}"
    elif at > star:
        name, why, local = "end", "the student is colder than the teacher and relaxes back exponentially", 0.0
    elif star < onset:
        name, why = "high temperature", "β* < c0: quadratic loss, exponential approach"
    elif at < 0.5 * onset:
        name, why = "start", "β has not reached c0: it grows linearly in τ"
    elif at > 0.5 * star:
        name, why = "end", "β is close to β*: exponential approach"
    else:
        name, why = "crossover", "between regimes"
    text = f"{why} (β = {at:.4g}, c0 = {onset:.4g}, β* = {star:.4g})"
    return Regime(name, local, window, text, onset, star, star, table.n)


@dataclass(frozen=True)
class PhaseDiagram:
    """Local exponents of the aligned flow over (β*, β/β*), NaN-free: beyond β* there is no flow from zero.

    Attributes
    ----------
    beta_star : ndarray, shape (s,)
    fraction : ndarray, shape (f,)
        β/β*, below one.
    local_exponent : ndarray, shape (s, f)
    exponent : float
        The asymptotic α.
    onset : float
        β ≈ c0.
    """

    beta_star: np.ndarray
    fraction: np.ndarray
    local_exponent: np.ndarray
    exponent: float
    onset: float

    def to_xarray(self) -> xarray.Dataset:
        """Return the map with its coordinates."""
        grid = {"beta_star": self.beta_star[:, None], "fraction": self.fraction[None, :]}
        attributes = {"exponent": self.exponent, "onset": self.onset}
        return to_dataset(fields_of(self, "local_exponent"), grid, {}, attributes)


def phase_diagram(beta_star: Any, n: float, energies: Any = None, fraction: Any = None) -> PhaseDiagram:
    """Return the local exponent over the teacher's β* and the progress β/β*.

    Parameters
    ----------
    beta_star : array_like, shape (s,)
        Finite inverse temperatures of the teacher.
    n : int
        Number of classes.
    energies : optional
        Distribution of one energy.
    fraction : array_like, shape (f,), optional
        Values of β/β* in (0, 1); 60 of them by default.
    """
    distribution = as_energies(energies)
    stars = np.atleast_1d(inverse_temperature(beta_star, "beta_star"))
    fractions = np.geomspace(1e-3, 0.999, 60) if fraction is None else np.atleast_1d(real_array("fraction", fraction))
    if (fractions <= 0).any() or (fractions >= 1).any() or (stars <= 0).any():
        fail("fraction, beta_star", "must lie in (0, 1) and above 0", f"{fractions.min():g}", "β runs from 0 to β*")
    prediction = predict_exponent(distribution, n)
    table = interpolant(float(n), distribution)
    rows = []
    for star in stars:
        path = aligned_path(table, float(star))
        rows.append(np.interp(np.log(fractions * star), np.log(path.beta), path.exponent))
    return PhaseDiagram(stars, fractions, np.array(rows), prediction.exponent, _onset(table))
