"""Overlap ⟨Σ p_i q_i⟩ of a student's and a teacher's softmax at any n: docs/dynamics.md, Eqs. 14-14c.

The student's logits are D z + ρ w, the teacher's β* z, with z and w standard normal. With
1/Z = ∫exp(s - e^s Z) ds for both, the average over n classes is the n-th power of one over a single class, as
for the free energy.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy.special import ndtr

from peakedtheory._common.panels import gauss_panels
from peakedtheory.dynamics.interpolant import interpolant
from peakedtheory.kernels.overlap import fill_from_tables

_ROOT = math.sqrt(2.0 * math.pi)
#: ln of a unit exponential: trapezoidal nodes and weights.
_GUMBEL = np.arange(-36.0, 4.01, 0.5)
_GUMBEL_WEIGHTS = 0.5 * np.exp(_GUMBEL - np.exp(_GUMBEL))
#: Steps of the outer integrals, in units of what they resolve; a trapezoid errs by exp(-π²/step).
_STEP = 0.46
#: Width of a Gauss panel within a normal density.
_WIDEST = 2.0
#: Where exp(-e^b) has vanished.
_VANISHED = 4.0
#: Below this D the overlap is linear in D to the accuracy of the rest.
_FAINT = 0.01
#: Gauss nodes of a panel.
_ORDER = 8
#: From values at eight neighbouring points to the polynomial between the middle two, lowest power first.
_TO_POWERS = np.linalg.inv(np.vander(np.arange(-3.0, 5.0), increasing=True))


@functools.lru_cache(maxsize=128)
def _smoothed(residual: float) -> tuple[np.ndarray, float, float]:
    """Tabulate C(a) = 1 - ⟨exp(-e^(a + ρw))⟩ and C'(a): powers (cells, 2, 8), first cell, cells per unit."""
    wide = 6.5 * residual
    step = 0.12 * math.hypot(1.0, 0.25 * residual)
    a = np.arange(-50.0 - wide - 4.0 * step, 5.0 + wide + 5.0 * step, step)
    with np.errstate(under="ignore"):
        if residual < 3.0:
            fine = 0.5 / max(residual, 1.0)
            w = np.arange(-7.5, 7.5, fine) if residual else np.zeros(1)
            weight = np.exp(-0.5 * w * w)
            weight /= weight.sum()
            e = np.exp(np.minimum(a[:, None] + residual * w, 50.0))
            values = np.stack([-np.expm1(-e) @ weight, (e * np.exp(-e)) @ weight], axis=-1)
        else:
            y = (_GUMBEL - a[:, None]) / residual
            density = np.exp(-0.5 * y * y) / (_ROOT * residual)
            values = np.stack([ndtr(-y) @ _GUMBEL_WEIGHTS, density @ _GUMBEL_WEIGHTS], axis=-1)
    stencils = np.lib.stride_tricks.sliding_window_view(values, 8, axis=0)
    return stencils @ _TO_POWERS.T, float(a[3]), 1.0 / step


def _smooth(a: np.ndarray, residual: float) -> tuple[np.ndarray, np.ndarray]:
    """Return C and C' at any a."""
    values, slopes = np.empty((2, *a.shape))
    fill_from_tables(a.ravel(), *_smoothed(residual), values.ravel(), slopes.ravel())
    return values, slopes


def _met(z: np.ndarray, beta_star: float) -> np.ndarray:
    """1 - ⟨exp(-e^(β*(z' - z)))⟩ over a normal z': by the normal where the rest is smooth, or by the rest."""
    if beta_star < 1.0:
        x = np.arange(-9.0, 9.1, 0.25)
        e = np.exp(np.minimum(beta_star * (x - z[:, None]), 50.0))
        return -np.expm1(-e) @ (np.exp(-0.5 * x * x) * (0.25 / _ROOT))
    return ndtr(-z[:, None] - _GUMBEL / beta_star) @ _GUMBEL_WEIGHTS


def _rule(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gauss nodes and weights on the panels between the edges."""
    nodes, weights = gauss_panels(edges, _ORDER)
    return nodes.ravel(), weights.ravel()


def _below(fine: float, resolved: float, end: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on 0 > u > -end: panels of width `fine` up to `resolved`, then wider."""
    edges = [0.0]
    while edges[-1] < end:
        width = fine if edges[-1] < resolved else max(fine, 0.7 * edges[-1])
        edges.append(edges[-1] + min(width, _WIDEST))
    u, weight = _rule(np.array(edges))
    return -u, weight


def softmax_overlap(alignment: float, residual: float, beta_star: float, n: int) -> float:
    """Return ⟨Σ p_i q_i⟩ with an absolute error of 5e-8 or less.

    Parameters
    ----------
    alignment, residual : float
        D >= 0 and ρ >= 0 of the student's logits D z + ρ w.
    beta_star : float
        Teacher's inverse temperature; infinite for hard labels, whose q is one at the largest z.
    n : int
        Number of classes.
    """
    beta = math.hypot(alignment, residual)
    if beta > beta_star:  # whoever is colder is the teacher: z is then the direction of its logits
        alignment, residual, beta_star = alignment * beta_star / beta, residual * beta_star / beta, beta
    if alignment < _FAINT:
        return 1.0 / n + (softmax_overlap(_FAINT, residual, beta_star, n) - 1.0 / n) * alignment / _FAINT
    hard = math.isinf(beta_star)
    table = interpolant(n)
    lead = max(table.slope, 1.0)
    if hard:
        centre, scale = table.slope, 1.0 / lead
    else:
        centre = float(table.hard_loss(np.array(beta_star))) / beta_star + table.slope
        scale = math.hypot(1.0 / lead, 1.0 / beta_star)
    # Of the two variables of integration the teacher's is -β* z, the student's a - D z.
    z = centre + scale * np.arange(-4.5, 22.0, _STEP)
    wide = 6.0 * residual
    step = _STEP * math.hypot(1.0, residual / lead)
    turn = 0.0 if hard else alignment / beta_star
    a = np.arange(-22.0 - min(0.5 * residual**2, wide) - _VANISHED * turn, 4.0 + wide + 24.0 * turn, step)
    soft = 2.5 * math.hypot(1.0, 0.25 * residual) / alignment
    fine = soft if hard else min(soft, 2.0 / beta_star)
    resolved = (a[-1] + 4.0) / alignment if fine == soft else 8.0 / beta_star
    u, weight = _below(fine, resolved, min(z[-1] + 8.5, (28.0 + wide + a[-1]) / alignment))
    if not hard:
        end = _VANISHED / beta_star
        above, more = _rule(np.linspace(0.0, end, 1 + math.ceil(end / min(fine, _WIDEST))))
        u, weight = np.append(u, above), np.append(weight, more)
    student = a + alignment * u[:, None]
    beyond, rise = _smooth(student, residual)
    normal = np.exp(-0.5 * (z[:, None] + u) ** 2) * (weight / _ROOT)
    if hard:
        met = ndtr(-z)[:, None] + normal @ beyond
        both = np.exp(-0.5 * z * z)[:, None] / _ROOT * _smooth(a, residual)[1]
    else:
        e = np.exp(beta_star * u)
        alive = normal * np.exp(-e)
        met = _met(z, beta_star)[:, None] + alive @ beyond
        both = beta_star * ((alive * e) @ rise)
    with np.errstate(under="ignore", divide="ignore"):
        total = float((both * np.exp((n - 1.0) * np.log1p(-np.minimum(met, 1.0)))).sum())
    return n * scale * _STEP * step * total
