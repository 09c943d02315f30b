"""Cross-entropy excess (KL divergence) of a student at β from a teacher at β*, and its geometry.

Aligned student (Liu et al. 2026, Eq. 10 and Eq. 44):
    L(β, β*) = Φ(β) - Φ(β*) - (β - β*) Φ'(β*) = ∫_{β*}^{β} (β - b) Φ''(b) db,   dL/dβ = U(β*) - U(β).
Misaligned student y = D z + ρ w of Gaussian logits with a teacher y* = β* z, β² = D² + ρ²:
    L(D, ρ) = L(β, β*) + (β - D) Φ'(β*), the radial and the tangential part (docs/losses.md).
Hard labels are β* = ∞.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from peakedtheory._common.checks import fail, inverse_temperature, real_array
from peakedtheory._common.panels import gauss_panels, integrate
from peakedtheory._common.results import describe, scalar_or_array
from peakedtheory._common.types import Reals, Values
from peakedtheory.energies.reading import EnergiesLike, as_energies
from peakedtheory.exact.expansions import low_temperature_expansion
from peakedtheory.exact.thermodynamics import thermodynamics

#: The difference of Φ is used where it keeps this relative accuracy, the integral over Φ'' elsewhere.
_TARGET = 1e-10
#: Students colder than this many teachers: nothing cancels, and panels would be many.
_FAR = 1e12
#: Panels in ln(t/β) of the average of S(t) over the temperatures below 1/β.
_COLDER = np.array([0.0, 3.0, 9.0, 26.0])
#: Ways short of this part of β over which few nodes may do, the accuracy that they must reach, Lobatto's
#: rule on [0, 1], and weights that leave what is cubic.
_NEAR, _CLOSE = 0.03, 1e-12
_LOBATTO = np.array([0.0, 0.5 - 0.1 * np.sqrt(5.0), 0.5 + 0.1 * np.sqrt(5.0), 1.0])
_LOBATTO_WEIGHTS = np.array([1.0, 5.0, 5.0, 1.0]) / 12.0
_CUBIC = np.array([1.0, -np.sqrt(5.0), np.sqrt(5.0), -1.0])
#: The largest t at which it is taken.
_COLDEST = 1e149


@dataclass(frozen=True, repr=False)
class MisalignedLoss:
    """Loss of a misaligned student in nats.

    Attributes
    ----------
    total, radial, tangential : float or ndarray
        L = radial + tangential; radial is the loss of an aligned student of the same logit scale,
        tangential the price of pointing elsewhere.
    error : float or ndarray
        Absolute error estimate of the total.
    """

    total: Values
    radial: Values
    tangential: Values
    error: Values

    def __repr__(self) -> str:
        rows = {"total": self.total, "radial": self.radial, "tangential": self.tangential}
        return describe("MisalignedLoss", rows, {"total": self.error} if np.ndim(self.error) == 0 else None)


def loss(beta: Reals, beta_star: Reals, n: Reals, energies: EnergiesLike = None) -> Values:
    """Return the loss L(β, β*) of an aligned student, in nats above the teacher's entropy.

    Parameters
    ----------
    beta, beta_star : array_like
        Inverse temperatures of student and teacher, nonnegative; `beta_star` may be infinite (hard labels).
    n : array_like of int
        Number of classes.
    energies : optional
        Distribution of one energy; standard normal by default.

    Returns
    -------
    float or ndarray
        L >= 0 of the broadcast shape, zero where beta equals beta_star; accurate in relative terms
        (1e-10 or better) even where L is far below Φ. `loss_with_error` adds the error estimate.

    Raises
    ------
    ValueError
        For invalid arguments or energies whose averages do not exist.

    Examples
    --------
    >>> print(f"{loss(10.0, 100.0, 128):.10f}")
    0.1977646915
    >>> loss(3.0, 3.0, 128)
    0.0
    """
    return loss_with_error(beta, beta_star, n, energies)[0]


def loss_with_error(
    beta: Reals, beta_star: Reals, n: Reals, energies: EnergiesLike = None
) -> tuple[Values, Values]:
    """Return the loss of an aligned student and an estimate of its absolute error, in nats.

    Parameters
    ----------
    beta, beta_star, n, energies
        As in `loss`.

    Returns
    -------
    loss, error : float or ndarray
        Both of the broadcast shape.

    Raises
    ------
    ValueError
        As `loss`.

    Examples
    --------
    >>> value, error = loss_with_error(10.0, 100.0, 128)
    >>> bool(0.0 < error < 1e-10 * value)
    True
    """
    return _bregman(beta, beta_star, n, energies, gradient=False)


def loss_gradient(beta: Reals, beta_star: Reals, n: Reals, energies: EnergiesLike = None) -> Values:
    """Return dL/dβ = U(β*) - U(β) of an aligned student.

    Parameters
    ----------
    beta, beta_star, n, energies
        As in `loss`.

    Returns
    -------
    float or ndarray
        Of the broadcast shape; its relative accuracy survives β close to β* and both large.

    Raises
    ------
    ValueError
        As `loss`.

    Examples
    --------
    >>> loss_gradient(5.0, 10.0, 128) < 0
    True
    """
    return _bregman(beta, beta_star, n, energies, gradient=True)[0]


def misaligned_loss(alignment: Reals, residual: Reals, beta_star: Reals, n: Reals) -> MisalignedLoss:
    """Return the loss of a student with logits D z + ρ w against a Gaussian teacher β* z.

    Parameters
    ----------
    alignment : array_like
        D, the component of the student's logits along the teacher's, any sign.
    residual : array_like
        ρ >= 0, the scale of the independent component.
    beta_star : array_like
        Teacher's inverse temperature; infinite for hard labels.
    n : array_like of int
        Number of classes. The formula is exact for i.i.d. Gaussian logits only, so there is no `energies`.

    Returns
    -------
    MisalignedLoss

    Raises
    ------
    ValueError
        For ρ < 0 or other invalid arguments.

    Examples
    --------
    >>> split = misaligned_loss(3.0, 1.0, 10.0, 128)
    >>> bool(abs(split.total - split.radial - split.tangential) < 1e-15)
    True
    """
    d = real_array("alignment", alignment)
    rho = inverse_temperature(residual, "residual")
    star, count = np.asarray(beta_star), np.asarray(n)
    if not np.isfinite(d).all():
        fail("alignment", "must be finite", "inf", "use a large finite value")
    try:
        beta = np.hypot(d, rho)
        np.broadcast_shapes(beta.shape, star.shape, count.shape)
    except ValueError:
        shapes = f"shapes {d.shape}, {rho.shape}, {star.shape} and {count.shape}"
        fail("alignment, residual, beta_star, n", "must broadcast", shapes, "add axes, alignment[:, None]")
    radial, error = loss_with_error(beta, beta_star, n)
    # β - D without cancellation for an almost aligned student.
    with np.errstate(invalid="ignore", divide="ignore"):
        angle = np.where(d > 0, rho**2 / np.where(d > 0, beta + d, 1.0), beta - d)
    tangential = angle * np.asarray(_teacher_slope(beta_star, n))
    total = np.asarray(radial) + tangential
    return MisalignedLoss(
        total=scalar_or_array(np.asarray(total)),
        radial=scalar_or_array(np.asarray(radial + 0.0 * tangential)),
        tangential=scalar_or_array(np.asarray(tangential)),
        error=scalar_or_array(np.asarray(error + 1e-14 * np.abs(tangential))),
    )


def _teacher_slope(beta_star: Reals, n: Reals) -> np.ndarray:
    """Φ'(β*), which is c_0 for hard labels."""
    s, count = np.broadcast_arrays(
        inverse_temperature(beta_star, "beta_star", allow_infinite=True), np.asarray(n)
    )
    slope = -np.asarray(thermodynamics(np.where(np.isinf(s), 1.0, s), count).internal_energy)
    if np.isinf(s).any():
        slope = np.where(np.isinf(s), _lowest(count, None)[0], slope)
    return slope


def _lowest(n: np.ndarray, energies: EnergiesLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """c_0, c_1 and the error of c_0 for an array of n (zeros where n is one)."""
    out = np.zeros((3, *np.shape(n)))
    for count in np.unique(n):
        if count == 1:
            out[0][n == count] = -as_energies(energies).mean
            continue
        series = low_temperature_expansion(count, energies, order=1)
        out[:, np.asarray(n) == count] = np.array([*series.coefficients, series.error[0]])[:, None]
    return out[0], out[1], out[2]


def _bregman(
    beta: Reals, beta_star: Reals, n: Reals, energies: EnergiesLike, *, gradient: bool
) -> tuple[Values, Values]:
    b = inverse_temperature(beta)
    s = inverse_temperature(beta_star, "beta_star", allow_infinite=True)
    count = np.asarray(n)
    try:
        b, s, count = np.broadcast_arrays(b, s, count)
    except ValueError:
        fail(
            "beta, beta_star, n", "must broadcast", f"shapes {b.shape}, {s.shape}, {count.shape}", "add axes"
        )
    hard = np.isinf(s)
    student = thermodynamics(b, count, energies)
    teacher = thermodynamics(np.where(hard, 1.0, s), count, energies)
    star_phi, star_slope = np.asarray(teacher.log_partition), -np.asarray(teacher.internal_energy)
    star_error, slope_error = (
        np.asarray(teacher.error.log_partition),
        np.asarray(teacher.error.internal_energy),
    )
    reach = np.where(hard, b, np.abs(b - s))
    least = np.zeros_like(reach)
    if hard.any():
        c0, c1, c0_error = _lowest(count, energies)
        star_slope = np.where(hard, c0, star_slope)
        slope_error = np.where(hard, c0_error, slope_error)
        star_phi, star_error = np.where(hard, c1, star_phi), np.where(hard, 1e-15, star_error)
        least = c1
    if gradient:
        value = -student.internal_energy - star_slope
        error = np.asarray(student.error.internal_energy) + slope_error
    else:
        value = student.log_partition - star_phi - np.where(hard, b, b - np.where(hard, 0.0, s)) * star_slope
        error = np.asarray(student.error.log_partition) + star_error + reach * slope_error
        error = error + 2e-16 * (np.abs(student.log_partition) + np.abs(reach * star_slope))
    value, error = np.array(value, dtype=float), np.array(error, dtype=float)
    value[b == s] = error[b == s] = 0.0
    poor = (error > _TARGET * np.abs(value)) & (b != s) & (count > 1) & (b <= _FAR * s)
    if poor.any():
        ends = [
            np.stack([np.asarray(at.energy_variance)[poor], np.asarray(at.error.energy_variance)[poor]])
            for at in (teacher, student)
        ]
        better, its_error = _without_cancellation(
            b[poor], s[poor], count[poor], least[poor], np.stack(ends, axis=-1), energies, gradient
        )
        value[poor] = np.where(its_error < error[poor], better, value[poor])
        error[poor] = np.minimum(its_error, error[poor])
    value[count == 1] = 0.0
    return scalar_or_array(value), scalar_or_array(error)


def _without_cancellation(
    beta: np.ndarray,
    beta_star: np.ndarray,
    n: np.ndarray,
    least: np.ndarray,
    ends: np.ndarray,
    energies: EnergiesLike,
    gradient: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Hard labels by the entropy of colder students, others and atoms by the curvature of Φ.

    ∫ (β - b)Φ''(b) db (or ∫ Φ'' db) from β* to β by Gauss-Legendre panels cancels nothing. The variable is
    ln b over wide ranges, and 1/b towards hard labels, where Φ'' ~ b^(-3). Where it does not,
    S(β) = `least` + ∫_β^∞ b Φ'' db is missed, and by how much is in the error.
    """
    values, errors = np.empty(beta.size), np.empty(beta.size)
    for i, (start, end, count) in enumerate(zip(beta_star, beta, n, strict=True)):
        tried = []
        if np.isinf(start) and end > 0.0:
            tried.append(_by_entropy(float(end), count, least[i], energies, gradient))
        elif abs(end - start) < _NEAR * min(start, end):
            tried.append(_from_ends(float(start), float(end), count, ends[:, i], energies, gradient))
        if not tried or tried[0][1] > (_TARGET if np.isinf(start) else _CLOSE) * abs(tried[0][0]):
            tried.append(_by_curvature(start, end, count, least[i], energies, gradient))
        values[i], errors[i] = min(tried, key=lambda pair: pair[1])
    return values, errors


def _by_entropy(
    beta: float, n: float, least: float, energies: EnergiesLike, gradient: bool
) -> tuple[float, float]:
    """Λ(β) = β∫_β^∞ (S(t) - c1) dt/t², or -g = -(S(β) - c1 - Λ(β))/β, with its error.

    S(t) - c1 falls as any power of t, or slower, and the weight (β/t)² dt/β makes an average of it.
    """
    distance, weight = _rule(_COLDER)
    # The last stands for all that is colder.
    at = np.append(beta * np.exp(distance), beta * np.exp(_COLDER[-1]))
    colder = thermodynamics(np.append(beta, np.minimum(at, _COLDEST)), n, energies)
    left = np.asarray(colder.entropy) - least
    noise = np.asarray(colder.error.entropy) + 4e-16 * (np.abs(left) + least)
    weight = weight * np.exp(-distance)
    value, deviation = integrate(left[1:-1], weight)
    rest = 0.5 * float(np.exp(-_COLDER[-1]) * left[-1])
    value, error = value + rest, float(weight @ noise[1:-1]) + deviation + abs(rest)
    if not gradient:
        return value, error
    return -(float(left[0]) - value) / beta, (float(noise[0]) + error) / beta


def _from_ends(
    start: float, end: float, n: float, ends: np.ndarray, energies: EnergiesLike, gradient: bool
) -> tuple[float, float]:
    """Return the integrals of `_by_curvature` over a short way, by Lobatto's rule of four nodes.

    Φ'' and its error are known at both ends. The rule is exact to degree five, and what is cubic in Φ'' says
    how fast such terms fall.
    """
    inner = start + (end - start) * _LOBATTO[1:3]
    curvature = thermodynamics(inner, n, energies)
    variance = np.insert(ends[0], 1, curvature.energy_variance)
    noise = np.insert(ends[1], 1, curvature.error.energy_variance)
    step = end - start
    factor = step * (np.ones(4) if gradient else step * (1.0 - _LOBATTO))
    weights = factor * _LOBATTO_WEIGHTS
    value = float(weights @ variance)
    cubic = abs(float(variance @ _CUBIC) * step * (1.0 if gradient else step))
    rest = cubic * np.sqrt(cubic / max(abs(value), 1e-300))
    return value, rest + float(np.abs(weights) @ noise) + 1e-15 * abs(value)


def _by_curvature(
    start: float, end: float, n: float, least: float, energies: EnergiesLike, gradient: bool
) -> tuple[float, float]:
    """∫ (β - b)Φ''(b) db, or ∫ Φ'' db, from `start` to `end`, with its error."""
    nodes, weights = _path(float(start), float(end))
    curvature = thermodynamics(nodes, n, energies)
    factor = np.ones_like(nodes) if gradient else end - nodes
    value, error = integrate(factor * curvature.energy_variance, weights)
    error += float(np.sum(np.abs(weights * factor) * curvature.error.energy_variance)) + 1e-15 * abs(value)
    if np.isinf(start):
        here = thermodynamics(end, n, energies)
        met = float(np.sum(weights * nodes * curvature.energy_variance))
        missed = abs(float(here.entropy) - least - abs(met))
        # Where ties of atoms leave an entropy, the difference is known to rounding alone.
        missed = max(missed - (float(here.error.entropy) if least > 0 else 0.0), 0.0)
        error += missed / max(end, 1e-300) if gradient else missed
    return value, error


def _path(start: float, end: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and signed weights of ∫_start^end db; start may be infinite."""
    if np.isinf(start):
        split = max(4.0 * end, 30.0)
        u = np.linspace(0.0, 1.0 / split, 3)
        nodes, weights = _rule(u)
        near = _path(split, end)
        return np.concatenate([1.0 / nodes, near[0]]), np.concatenate([-weights / nodes**2, near[1]])
    low, high = sorted((start, end))
    sign = 1.0 if end > start else -1.0
    if low <= 0.0 or high < 2.0 * low:
        inner = np.linspace(low, high, max(2, int(np.ceil(min(high - low, 4.0))) + 1)) if high < 8 else None
        if inner is not None or low > 0.0:
            nodes, weights = _rule(
                inner if inner is not None else np.linspace(low, high, 2 + (high > 1.25 * low))
            )
            return nodes, sign * weights
        first = _path(0.0, 1.0)
        rest = _path(1.0, high)
        return np.concatenate([first[0], rest[0]]), sign * np.concatenate([first[1], rest[1]])
    count = int(np.ceil(np.log(high / low))) + 1
    nodes, weights = _rule(np.linspace(np.log(low), np.log(high), count))
    return np.exp(nodes), sign * weights * np.exp(nodes)


def _rule(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = gauss_panels(edges)
    return nodes.ravel(), weights.ravel()
