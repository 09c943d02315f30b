"""The aligned flow of any energies from zero, as functions of β (Liu et al. 2026, Eqs. 9 and 10)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from peakedtheory._common.panels import gauss_panels
from peakedtheory.dynamics.interpolant import Interpolant

#: β in the energies' unit beyond which τ ~ nβ³ might overflow.
_COLDEST = 1e90
#: Gauss nodes between two points of a path.
_ORDER = 6


@dataclass(frozen=True)
class AlignedPath:
    """Dynamic time τ, loss L and local exponent -d ln L/d ln τ where the student has reached each β."""

    beta: np.ndarray
    tau: np.ndarray
    loss: np.ndarray
    exponent: np.ndarray


def aligned_path(table: Interpolant, beta_star: float, points: int = 600) -> AlignedPath:
    """Return τ(β) = n∫dβ/(g(β) - g(β*)) on a grid that is dense towards zero and towards β*."""
    scale = table.scale
    known = math.isfinite(beta_star) and table.settled and math.isfinite(table.gap_exponent)
    top = min(beta_star, max(table.top, _COLDEST / scale) if known else table.top)
    u = np.linspace(math.log(1e-3 / scale), math.log(top), points)
    beta = np.exp(u)
    if beta_star == top:
        left = np.exp(np.linspace(0.0, math.log(1e-7), points // 2))
        beta = np.unique(np.concatenate([beta[beta < 0.5 * beta_star], beta_star * (1.0 - 0.5 * left)]))
    star = np.array(beta_star)
    drive_star = float(table.drives(star))
    at, weights = gauss_panels(np.append(0.0, beta), _ORDER)
    tau = np.cumsum((weights * table.n / (table.drives(at) - drive_star)).sum(axis=1))
    pull = table.drives(beta) - drive_star
    loss = table.aligned_loss(beta, beta_star)
    return AlignedPath(beta, tau, loss, pull * tau / table.n * (pull / loss))
