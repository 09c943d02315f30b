"""Noise of mini-batches close to a decision boundary of two classes: docs/dynamics.md, Eq. 12."""

from __future__ import annotations

import math

import numpy as np

from peakedtheory._common.panels import gauss_panels

_SOFT_NODES, _SOFT_WEIGHTS = (a.ravel() for a in gauss_panels(np.linspace(0.0, 40.0, 21)))


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
