"""Noise of mini-batches close to a decision boundary of two classes: docs/dynamics.md, Eqs. 12-13."""

from __future__ import annotations

import math

import numpy as np

_HERMITE_NODES, _HERMITE_WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
_HERMITE_WEIGHTS = _HERMITE_WEIGHTS / _HERMITE_WEIGHTS.sum()


def boundary_noise(residual: float) -> float:
    """Return f(ρ) = 2⟨softplus(√2 ρ ξ)⟩ - 1, the noise of the two-class boundary layer against hard labels.

    V → p_Δ(0) f(ρ)/β as β → ∞; f(0) = 2 ln 2 - 1 and f → 2ρ/√π (docs/dynamics.md Eq. 12).
    """
    # softplus(a) = max(a, 0) + ln(1 + e^-|a|); the kink is integrated exactly, the rest in ξ > 0.
    rho = abs(float(residual))
    scale = math.sqrt(2.0) * rho
    linear = scale / math.sqrt(2.0 * math.pi)
    t = _SOFT_NODES / max(scale, 1.0)
    density = np.exp(-0.5 * t * t) * math.sqrt(2.0 / math.pi)
    soft = float((np.log1p(np.exp(-scale * t)) * density) @ _SOFT_WEIGHTS) / max(scale, 1.0)
    return 2.0 * (linear + soft) - 1.0


def _half_line(top: float, panels: int) -> tuple[np.ndarray, np.ndarray]:
    x, w = np.polynomial.legendre.leggauss(16)
    edges = top * np.linspace(0.0, 1.0, panels + 1)
    half = 0.5 * np.diff(edges)[:, None]
    return (edges[:-1, None] + half * (1 + x)).ravel(), (half * w).ravel()


_SOFT_NODES, _SOFT_WEIGHTS = _half_line(40.0, 20)


def soft_boundary_noise(alignment: float, residual: float, beta_star: float) -> float:
    """Return V/p_Δ(0) of the two-class layer for a soft teacher: ∫⟨(σ(DΔ + √2ρξ) - σ(β*Δ))²⟩ dΔ over all Δ.

    Expanding the square, each cross term is a difference of softplus functions (docs/dynamics.md Eq. 13).
    """
    reach = 45.0 / min(alignment, beta_star) + 12.0 * residual / alignment
    x, w = _half_line(1.0, 40)
    gap = reach * np.concatenate([-(x[::-1] ** 3), x**3])
    weight = reach * 3.0 * np.concatenate([(w * x**2)[::-1], w * x**2])
    a = alignment * gap[:, None] + math.sqrt(2.0) * residual * _HERMITE_NODES
    with np.errstate(over="ignore"):
        p = 1.0 / (1.0 + np.exp(-a))
        q = 1.0 / (1.0 + np.exp(-beta_star * gap))
    return float(weight @ ((p - q[:, None]) ** 2 @ _HERMITE_WEIGHTS))
