"""Where a power law holds along training and where it does not: windows, crossovers and phase diagrams.

The local exponent of the aligned flow (`dynamics.aligned_path`) is compared with the asymptotic one of
`gap_law` (docs/regimes.md, Eqs. 8-11).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from peakedtheory._common.checks import (
    fail,
    inverse_temperature,
    real_array,
    real_number,
    require_teachers,
    single_number,
    teacher_temperature,
)
from peakedtheory._common.results import describe, fields_of, to_dataset
from peakedtheory._common.types import Reals
from peakedtheory.dynamics.aligned_path import AlignedPath, aligned_path
from peakedtheory.dynamics.gap_law import Exponent, predict_exponent
from peakedtheory.dynamics.interpolant import Interpolant, interpolant
from peakedtheory.energies.reading import as_energies
from peakedtheory.exact.entropy import match_entropy

if TYPE_CHECKING:
    import xarray

#: A window is a stretch of τ of at least this many decades, within this fraction of the exponent.
MINIMUM_DECADES = 0.5
TOLERANCE = 0.1


@dataclass(frozen=True)
class Window:
    """Stretch of a run in which the local exponent stays within 10 % of α.

    Attributes
    ----------
    beta, tau : tuple of float
        Inverse temperature and dynamic time where it begins and ends; infinite where it has no end.
    decades : float
        Its length in powers of ten of τ, at least half of one.
    """

    beta: tuple[float, float]
    tau: tuple[float, float]
    decades: float


@dataclass(frozen=True, repr=False)
class Regime:
    """Where a run or a moment of it stands.

    Attributes
    ----------
    name : str
        `start`, `power law`, `crossover`, `end`, `high temperature`, or for a whole run `power law` or `no
        power law`.
    exponent : float
        Local exponent -d ln L/d ln τ at the moment asked for; for a whole run the exponent of its window, or,
        where there is none, the local exponent half-way (in ln β) between c0 and β*, or for hard labels the
        last that could be computed.
    window : Window or None
        Where the power law holds along the aligned flow from zero.
    onset : float
        The crossover β ≈ c0; the other is β ≈ β*.
    explanation : str
        Why.
    """

    name: str
    exponent: float
    window: Window | None
    explanation: str
    onset: float
    beta_star: float = field(repr=False)
    n: float = field(repr=False)

    def __repr__(self) -> str:
        rows = {"exponent": self.exponent, "onset": self.onset}
        title = f"Regime of n={self.n:g}, beta_star={self.beta_star:g}: {self.name}"
        if self.window is not None:
            w = self.window
            rows["window"] = f"beta {w.beta[0]:.4g} to {w.beta[1]:.4g}, {w.decades:.2f} decades of tau"  # type: ignore[assignment]
        return describe(title, rows) + f"\n  {self.explanation}"


def stretches(local: np.ndarray, beta: np.ndarray, exponent: float, onset: float) -> np.ndarray:
    """Return first and one past the last index of each stretch of a power law beyond the onset, (k, 2)."""
    inside = (np.abs(local / exponent - 1.0) <= TOLERANCE) & (beta >= onset)
    return np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(int), [0]]))).reshape(-1, 2)


def _window(path: AlignedPath, exponent: float, onset: float, endless: bool) -> Window | None:
    best, longest = None, MINIMUM_DECADES
    for first, last in stretches(path.exponent, path.beta, exponent, onset):
        decades = math.log10(path.tau[last - 1] / path.tau[first])
        if decades >= longest:
            longest = decades
            if last == path.beta.size and endless:
                best = Window(
                    (float(path.beta[first]), math.inf), (float(path.tau[first]), math.inf), math.inf
                )
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

    Returns
    -------
    Regime

    Raises
    ------
    ValueError
        If not exactly one of `beta_star` and `entropy` is given, both `beta` and `tau` are, or a value is
        impossible.

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
    count = single_number(n, 2)
    if (beta_star is None) == (entropy is None):
        fail(
            "beta_star, entropy",
            "exactly one must be given",
            f"{beta_star}, {entropy}",
            "name the teacher once",
        )
    if beta is not None and tau is not None:
        fail("beta, tau", "at most one may be given", f"{beta}, {tau}", "one follows from the other")
    prediction = predict_exponent(float(count), distribution)
    if entropy is not None:
        star = float(match_entropy(entropy, float(count), distribution).beta_star)
    else:
        star = teacher_temperature(beta_star)
    table = interpolant(float(count), distribution, star)
    path = aligned_path(table, star)
    onset = table.onset
    endless = math.isinf(star) and (table.settled or prediction.logarithmic)
    window = _window(path, prediction.exponent, onset, endless)
    if beta is None and tau is None:
        return _whole_run(table, prediction, path, window, onset, star)
    return _moment(table, prediction, path, window, onset, star, beta, tau)


def _whole_run(
    table: Interpolant,
    prediction: Exponent,
    path: AlignedPath,
    window: Window | None,
    onset: float,
    star: float,
) -> Regime:
    reached = f"β* = {star:.4g} against c0 = {onset:.4g}"
    if window is not None:
        span = f"β = {window.beta[0]:.3g} to {window.beta[1]:.3g}"
        if math.isinf(star) and window.beta[1] == path.beta[-1]:
            span += ", the furthest that could be computed,"
        text = f"L ~ τ^-{prediction.exponent:.3g} from {span} ({reached})"
        return Regime("power law", prediction.exponent, window, text, onset, star, table.n)
    if math.isinf(star):
        typical = float(path.exponent[-1])
        text = (
            f"hard labels lead to L ~ τ^-{prediction.exponent:.3g} in the end, but not below β ="
            f" {path.beta[-1]:.3g} ({reached}), where the local exponent is {typical:.3g}"
        )
        return Regime("no power law", typical, None, text, onset, star, table.n)
    middle = math.sqrt(onset * star) if star > onset else 0.5 * star
    typical = float(np.interp(middle, path.beta, path.exponent))
    if star < onset:
        why = "the teacher is too warm: β* lies below c0 and the approach is exponential"
    else:
        why = "a power law needs c0 << β << β*, and its corrections from below and above meet"
    near = f"no stretch of {MINIMUM_DECADES} decades near {prediction.exponent:.3g}"
    text = f"{why} ({reached}); the aligned flow has {near}"
    if path.beta[-1] < 0.5 * star:
        text += f" up to β = {path.beta[-1]:.3g}, the furthest that could be computed"
    return Regime("no power law", typical, None, text, onset, star, table.n)


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
        time = real_number("tau", tau)
        if not time >= 0 or math.isinf(time):
            fail("tau", "must be finite and >= 0", f"{time:g}", "dynamic time starts at zero")
        beta = float(np.interp(time, np.append(0.0, path.tau), np.append(0.0, path.beta)))
    at = float(inverse_temperature(real_number("beta", beta)))
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
    return Regime(name, local, window, text, onset, star, table.n)


@dataclass(frozen=True)
class PhaseDiagram:
    """Local exponents of the aligned flow over (β*, β/β*), NaN-free: beyond β* there is no flow from zero.

    Attributes
    ----------
    beta_star : ndarray, shape (s,)
        Teacher's inverse temperature.
    fraction : ndarray, shape (f,)
        β/β*, below one.
    local_exponent : ndarray, shape (s, f)
        -d ln L/d ln τ.
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


def phase_diagram(
    beta_star: Reals, n: float, energies: Any = None, fraction: Reals | None = None
) -> PhaseDiagram:
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

    Returns
    -------
    PhaseDiagram

    Raises
    ------
    ValueError
        For hard labels, fractions outside (0, 1), and energies without an exponent.

    Examples
    --------
    >>> phase_diagram([10.0, 1000.0], 128, fraction=[0.01, 0.1]).local_exponent.shape
    (2, 2)
    """
    distribution = as_energies(energies)
    stars = np.atleast_1d(inverse_temperature(beta_star, "beta_star"))
    fractions = (
        np.geomspace(1e-3, 0.999, 60) if fraction is None else np.atleast_1d(real_array("fraction", fraction))
    )
    outside = fractions[(fractions <= 0) | (fractions >= 1)]
    if outside.size:
        fail("fraction", "must lie in (0, 1)", f"{outside[0]:g}", "β runs from 0 to β*")
    require_teachers(stars)
    prediction = predict_exponent(n, distribution)
    table = interpolant(float(n), distribution, float(stars.max()))
    rows = []
    for star in stars:
        path = aligned_path(table, float(star))
        rows.append(np.interp(np.log(fractions * star), np.log(path.beta), path.exponent))
    return PhaseDiagram(stars, fractions, np.array(rows), prediction.exponent, table.onset)
