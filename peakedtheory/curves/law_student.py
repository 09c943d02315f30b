"""The law with nothing free but a clock: the exact aligned student of n classes and a teacher at β*.

L = L∞ + A·L_aligned(c τ/n), dβ/du = U(β) - U(β*) from β = 0 (Liu et al. 2026, Eqs. 9 and 44); A = 1 unless
it is freed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from peakedtheory.curves.curve import Times
from peakedtheory.curves.law import FLOOR, Basis, Law, LawFamily, Parameter
from peakedtheory.dynamics.student import student_flow

#: Scaled times u = c τ/n that are tabulated; the loss is constant below and (β* finite) negligible above.
_LOWEST, _HIGHEST, _KNOTS = 1e-6, 1e9, 3001


@lru_cache(maxsize=16)
def _table(n: float, beta_star: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ln u, L and dL/d ln u of the aligned student on a fine grid."""
    x = np.linspace(np.log(_LOWEST), np.log(_HIGHEST), _KNOTS)
    flow = student_flow(np.exp(x) * n, beta_star, n)
    loss = np.asarray(flow.loss)
    return x, loss, -loss * flow.local_exponent


@dataclass(frozen=True)
class _StudentBasis:
    """The basis of the student of n classes and a teacher at β*: the floor and the student's loss."""

    n: float
    beta_star: float

    def __call__(self, times: Times, time: np.ndarray, shape: np.ndarray) -> Basis:
        value, by_log = _interpolate(np.log(shape[0] * time / self.n), self.n, self.beta_star)
        ones, zeros = np.ones_like(value), np.zeros_like(value)
        by_time = np.stack([zeros, by_log / time])
        return np.stack([ones, value]), np.stack([zeros, by_log / shape[0]])[None], by_time


def _interpolate(x: np.ndarray, n: float, beta_star: float) -> tuple[np.ndarray, np.ndarray]:
    """Cubic Hermite interpolation of L and its derivative by ln u."""
    knots, loss, slope = _table(n, beta_star)
    width = knots[1] - knots[0]
    real = np.clip(x.real, knots[0], knots[-1])
    i = np.clip(((real - knots[0]) / width).astype(int), 0, knots.size - 2)
    inside = (x.real > knots[0]) & (x.real < knots[-1])
    s = np.where(inside, (x - knots[i]) / width, (real - knots[i]) / width)
    a, b, p, q = loss[i], loss[i + 1], width * slope[i], width * slope[i + 1]
    c, d = 3.0 * (b - a) - 2.0 * p - q, 2.0 * (a - b) + p + q
    return a + s * (p + s * (c + s * d)), np.where(inside, (p + s * (2.0 * c + 3.0 * s * d)) / width, 0.0)


def student_law(beta_star: float, n: float) -> Law:
    """Return the aligned-student law, L = L∞ + A·L_aligned(c_eff τ/n) (Liu et al. 2026, Eqs. 9 and 44).

    Parameters
    ----------
    beta_star : float
        Teacher's inverse temperature; infinite for hard labels.
    n : int
        Number of classes, at least 2.

    Returns
    -------
    Law

    Raises
    ------
    ValueError
        If n < 2 or β* is not positive.

    Examples
    --------
    >>> student_law(50.0, 128).free
    ('loss_floor', 'c_eff')
    """
    n, beta_star = float(n), float(beta_star)
    _table(n, beta_star)  # refuses impossible values here, not in the middle of a fit
    return Law(
        name="student",
        title="aligned student",
        formula="L = L_\\infty + A\\,L_{n,\\beta^*}(c_\\mathrm{eff}\\,\\tau)",
        source="Liu et al. 2026, Eqs. 9 and 44",
        time="tau",
        linear=(FLOOR, Parameter("amplitude", "A", "factor of the student's loss, 1 in theory")),
        shape=(
            Parameter(
                "c_eff",
                "c_\\mathrm{eff}",
                "speed of the student's clock",
                1e-8,
                1e12,
                tuple(np.geomspace(1e-2, 1e8, 21)),
                "log",
            ),
        ),
        basis=_StudentBasis(n, beta_star),
        fixed={"amplitude": 1.0},
        constants={"n": n, "beta_star": beta_star},
    )


STUDENT = LawFamily("student", ("n", "beta_star"), "student:n=50304,beta_star=6.97", student_law)
