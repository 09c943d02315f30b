"""Exact averages over n i.i.d. energies at any finite n and any inverse temperature.

With Z(β) = Σ exp(-βε_i) and Φ = ⟨ln Z⟩: F = -Φ/β, U = -Φ', S = Φ + βU, energy variance Φ'' = -U'
(Liu et al. 2026, Eqs. 11-12, define U and F; the exact integrals are derived in docs/thermodynamics.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.checks import fail, inverse_temperature, number_of_energies, positive_number
from peakedtheory._common.drawing import draw
from peakedtheory._common.results import describe, fields_of, scalar_or_array, to_dataset
from peakedtheory._common.types import Reals, Values
from peakedtheory.energies.base import Energies
from peakedtheory.energies.normal import STANDARD_NORMAL
from peakedtheory.energies.reading import EnergiesLike, as_energies
from peakedtheory.exact.gaussian import gaussian_thermodynamics
from peakedtheory.exact.hottest import at_infinite_temperature, is_hottest, of_one_energy
from peakedtheory.exact.quadrature import general_thermodynamics

if TYPE_CHECKING:
    import matplotlib.axes
    import xarray

QUANTITIES = ("log_partition", "free_energy", "internal_energy", "entropy", "energy_variance")
UNITS = {"log_partition": "nat", "entropy": "nat"}


@dataclass(frozen=True)
class ErrorEstimate:
    """Absolute error estimates of exact averages, never below the true error.

    Attributes
    ----------
    log_partition, free_energy, internal_energy, entropy, energy_variance : float or ndarray
        Of the field of the same name in `Thermodynamics`, in its unit and shape.
    """

    log_partition: Values
    free_energy: Values
    internal_energy: Values
    entropy: Values
    energy_variance: Values


@dataclass(frozen=True, repr=False)
class Thermodynamics:
    """Exact thermodynamic averages; every field has the shape that `beta` and `n` broadcast to.

    Attributes
    ----------
    log_partition : float or ndarray
        Φ = ⟨ln Z⟩, in nats.
    free_energy : float or ndarray
        F = -Φ/β; minus infinity at β = 0 and n > 1.
    internal_energy : float or ndarray
        U = ⟨Σ p_i ε_i⟩ = -Φ'.
    entropy : float or ndarray
        S = ⟨-Σ p_i ln p_i⟩, in nats.
    energy_variance : float or ndarray
        ⟨Σ p_i ε_i² - (Σ p_i ε_i)²⟩ = Φ''.
    error : ErrorEstimate
        Absolute error estimate of each of these.
    beta, n : float or ndarray
        The arguments, as given.
    energies : Energies
        Distribution of one energy.
    """

    log_partition: Values
    free_energy: Values
    internal_energy: Values
    entropy: Values
    energy_variance: Values
    error: ErrorEstimate
    beta: Values = field(repr=False)
    n: Values = field(repr=False)
    energies: Energies = field(repr=False)

    def __repr__(self) -> str:
        title = (
            f"Thermodynamics of n={_short(self.n)} {self.energies.name} energies at beta={_short(self.beta)}"
        )
        return describe(title, fields_of(self, *QUANTITIES), fields_of(self.error))

    def to_xarray(self) -> xarray.Dataset:
        """Return the fields and their error estimates on the labelled grid of `beta` and `n`."""
        variables = fields_of(self, *QUANTITIES)
        variables |= {f"{name}_error": value for name, value in fields_of(self.error).items()}
        attributes = {"energies": self.energies.name, "description": "exact thermodynamic averages, k_B = 1"}
        return to_dataset(variables, {"beta": self.beta, "n": self.n}, UNITS, attributes)

    def plot(self, axes: matplotlib.axes.Axes | None = None) -> matplotlib.axes.Axes:
        """Draw F, U and S against β; needs a one-dimensional `beta` and one `n`."""
        return draw(self, axes)


def thermodynamics(
    beta: Reals, n: Reals, energies: EnergiesLike = None, *, rtol: float | None = None
) -> Thermodynamics:
    """Return exact averages of ln Z, F, U, S and the energy variance over n i.i.d. energies.

    Parameters
    ----------
    beta : array_like
        Inverse temperature β >= 0.
    n : array_like of int
        Number of energies (classes, vocabulary size), 1 to 10^15; broadcast against `beta`.
    energies : optional
        Distribution of one energy ε, as `as_energies` takes it; standard normal by default.
    rtol : float, optional
        Relative accuracy that must be met; by default each value is as accurate as the engine makes it
        and `error` says how accurate that is (about 1e-14 for Gaussian energies, 1e-13 for smooth ones).

    Returns
    -------
    Thermodynamics
        Fields of the broadcast shape, floats for scalar arguments.

    Raises
    ------
    ValueError
        For β < 0, n < 1 or not whole, NaN, complex or empty arguments, energies whose average lowest
        value does not exist, or an `rtol` that the error estimate exceeds.

    Notes
    -----
    Φ = ∫ ds [exp(-e^s) - φ(s)^n] with φ(s) = ⟨exp(-e^(s-βε))⟩, and integrals of positive functions for
    Φ'' and S, so that S near β → ∞ and F near β = 0 keep their relative precision.

    Examples
    --------
    >>> exact = thermodynamics(5.0, 50304)
    >>> print(f"{exact.log_partition:.10f} {exact.internal_energy:.10f}")
    22.3126269139 -3.8692354449
    >>> thermodynamics([1.0, 2.0], 128, "laplace").entropy.shape
    (2,)
    """
    beta_array = inverse_temperature(beta)
    n_array = number_of_energies(n)
    distribution = as_energies(energies)
    distribution.require_maximum(float(n_array.min()))
    try:
        shape = np.broadcast_shapes(beta_array.shape, n_array.shape)
    except ValueError:
        fail(
            "beta, n",
            "must broadcast",
            f"shapes {beta_array.shape} and {n_array.shape}",
            "add an axis, beta[:, None]",
        )
    values, errors = _evaluate(
        np.broadcast_to(beta_array, shape).ravel(), np.broadcast_to(n_array, shape).ravel(), distribution
    )
    values, errors = values.reshape(5, *shape), errors.reshape(5, *shape)
    if rtol is not None:
        _require_precision(values, errors, positive_number("rtol", rtol), beta_array, shape)
    return Thermodynamics(
        **dict(zip(QUANTITIES, map(scalar_or_array, values), strict=True)),
        error=ErrorEstimate(*(scalar_or_array(e) for e in errors)),
        beta=scalar_or_array(beta_array.copy()),
        n=scalar_or_array(n_array.copy()),
        energies=distribution,
    )


def _evaluate(beta: np.ndarray, n: np.ndarray, energies: Energies) -> tuple[np.ndarray, np.ndarray]:
    """Values and errors, rows in the order of `QUANTITIES`, for flat arrays of beta and n."""
    raw = np.empty((4, beta.size))
    error = np.empty((4, beta.size))
    order = np.lexsort((n, beta))
    for columns in np.split(order, np.nonzero(np.diff(beta[order]))[0] + 1):
        ascending = n[columns]
        first = np.concatenate([[True], ascending[1:] != ascending[:-1]])
        v, e = _one_temperature(float(beta[columns[0]]), ascending[first], energies)
        back = np.cumsum(first) - 1
        raw[:, columns], error[:, columns] = v[:, back], e[:, back]
    phi, slope, curvature, entropy = raw
    d_phi, d_slope, d_curvature, d_entropy = error
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        free = np.where(beta > 0, -phi / beta, np.where(n > 1, -np.inf, -slope))
        d_free = np.where(beta > 0, d_phi / beta, np.where(n > 1, 0.0, d_slope))
    values = np.stack([phi, free, -slope, entropy, curvature])
    return values, np.stack([d_phi, d_free, d_slope, d_entropy, d_curvature])


def _one_temperature(beta: float, n: np.ndarray, energies: Energies) -> tuple[np.ndarray, np.ndarray]:
    """(Φ, Φ', Φ'', S) and their errors at one beta, for ascending n."""
    location, scale = energies.location, energies.scale
    values, errors = _over_scales(beta * scale, n, energies.core)
    values *= np.array([1.0, scale, scale**2, 1.0])[:, None]
    errors *= np.array([1.0, scale, scale**2, 1.0])[:, None]
    values[0] -= beta * location
    values[1] -= location
    errors[:2] += 4e-16 * np.abs(np.array([[beta * location], [location]]))
    return values, errors


def _over_scales(beta: float, n: np.ndarray, core: Energies) -> tuple[np.ndarray, np.ndarray]:
    """Return the same for standardised energies, averaged over the scale that those of one draw share."""
    if core.independent:
        return _standardised(beta, n, core)
    scales, weights = core.scales
    results = [_standardised(beta * s, n, core.unscaled) for s in scales]
    powers = np.stack([np.ones_like(scales), scales, scales**2, np.ones_like(scales)]) * weights
    values, errors = (np.einsum("qs,sqn->qn", powers, np.stack(part)) for part in zip(*results, strict=True))
    return values, errors + 4e-16 * np.abs(values)


def _standardised(beta: float, n: np.ndarray, core: Energies) -> tuple[np.ndarray, np.ndarray]:
    """Return the same for independent energies of location 0 and scale 1."""
    if is_hottest(beta, core):
        return at_infinite_temperature(beta, n, core)
    values, errors = (np.repeat(column, n.size, axis=1) for column in of_one_energy(beta, core))
    many = n > 1
    if many.any():
        if core is STANDARD_NORMAL:
            values[:, many], errors[:, many] = gaussian_thermodynamics(beta, n[many])
        else:
            values[:, many], errors[:, many] = general_thermodynamics(
                core.components, -core.mean, core.variance, beta, n[many]
            )
    return values, errors


def _require_precision(
    values: np.ndarray, errors: np.ndarray, rtol: float, beta: np.ndarray, shape: tuple
) -> None:
    spread = np.sqrt(np.abs(values[4]))
    scale = np.abs(values)
    scale[2] += spread  # U passes through zero at finite β; its natural unit is then the spread of energies
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.where(errors > 0, errors / scale, 0.0)
    if not (relative <= rtol).all():
        quantity, *where = np.unravel_index(np.nanargmax(relative), relative.shape)
        at = np.broadcast_to(beta, shape)[tuple(where)]
        fail(
            "rtol",
            f"cannot be met for {QUANTITIES[quantity]} at beta={at:g}",
            f"{rtol:g} against an estimated error of {relative.max():.1e}",
            f"ask for rtol >= {relative.max():.1e} or none and read .error",
        )


def _short(value: Values) -> str:
    array = np.asarray(value)
    return f"{array:g}" if array.ndim == 0 else f"{array.flat[0]:g}…{array.flat[-1]:g}"
