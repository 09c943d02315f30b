"""The aligned gradient flow of any energies: one variable, dβ/dτ = c(U(β) - U(β*))/n - ωβ.

Liu et al. 2026, Eq. 9, with a decay ω (docs/dynamics.md, Eq. 3 at ρ = 0). Nothing else of a student needs
U alone: forces across the teacher, noise and widths are averages over Gaussian logits.
"""

from __future__ import annotations

import math

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory.dynamics.integration import Equations, integrate
from peakedtheory.dynamics.interpolant import Interpolant, interpolant
from peakedtheory.dynamics.optimizers import GradientFlow
from peakedtheory.dynamics.trajectory import Problem, Trajectory, trajectory
from peakedtheory.energies.base import Energies


def aligned_flow(problem: Problem, energies: Energies) -> Trajectory:
    """Solve for β over ln(τ + shift); the local exponent follows from its rate."""
    _require_aligned(problem, energies)
    n, speed, decay = problem.n, problem.optimizer.c_eff, problem.weight_decay
    table = interpolant(n, energies, max(problem.beta_star, problem.alignment0))
    star = float(table.drives(np.array(problem.beta_star)))
    shift = 1e-3 * n / (speed * table.scale**2)
    equations = Equations(_rates, (table, star, speed / n, decay))
    y = integrate(equations, np.array([problem.alignment0]), np.log(problem.tau + shift), math.log(shift))
    beta = np.maximum(y[:, 0], 0.0)
    loss = np.maximum(table.aligned_loss(beta, problem.beta_star), 0.0)
    pull = table.drives(beta) - star
    change = pull * (speed / n * pull - decay * beta) * problem.tau
    exponent = np.where(loss > 0, change / np.where(loss > 0, loss, 1.0), 0.0)
    still = np.zeros(beta.size)
    return trajectory(
        alignment=beta, square=still, losses=np.stack([loss, still]), exponent=exponent, coherent=still
    )


def _rates(
    x: float, y: np.ndarray, table: Interpolant, star: float, speed: float, decay: float, out: np.ndarray
) -> int:
    """Fill dβ/dx for x = ln(τ + shift); no cell of a table is ever missing."""
    beta = max(float(y[0]), 0.0)
    out[0] = math.exp(x) * (speed * (table.drive(beta) - star) - decay * beta)
    return -1


def _require_aligned(problem: Problem, energies: Energies) -> None:
    optimizer = problem.optimizer
    if not isinstance(optimizer, GradientFlow) or optimizer.width is not None:
        fail(
            "energies",
            "must be standard normal unless the flow is GradientFlow of infinite width",
            f"{energies.name} with {optimizer}",
            "drop the energies, or the optimizer and its width",
        )
    if problem.residual0 > 0 or problem.alignment0 < 0:
        fail(
            "residual0, alignment0",
            "must be 0 and >= 0 for energies that are not standard normal, whose student is aligned",
            f"{problem.residual0:g}, {problem.alignment0:g}",
            "start at alignment0 >= 0",
        )
