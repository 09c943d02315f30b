"""Gradient flow at infinite input width, of two variables, D and ρ: docs/dynamics.md, Eqs. 3-9."""

from __future__ import annotations

import math

import numpy as np

from peakedtheory.dynamics.force import student_force
from peakedtheory.dynamics.integration import Equations, integrate
from peakedtheory.dynamics.optimizers import GradientFlow
from peakedtheory.dynamics.trajectory import Problem, Trajectory, trajectory
from peakedtheory.kernels import descents as kernel


def infinite_width_flow(problem: Problem[GradientFlow]) -> Trajectory:
    """Solve for D and ρ² over ln(τ + shift); the local exponent follows from their rates."""
    n, speed, decay = problem.n, problem.optimizer.c_eff, problem.weight_decay
    force = student_force(problem.beta_star, n)
    shift = 1e-3 * n / speed
    constants = np.zeros(kernel.DESCENT_CONSTANTS)
    constants[kernel.SPEED], constants[kernel.DECAY] = speed, decay
    equations = Equations(kernel.gaussian_rates, (constants, *force.tables))
    start = np.array([problem.alignment0, problem.residual0**2])
    y = integrate(equations, start, np.log(problem.tau + shift), math.log(shift))
    alignment, square, still = y[:, 0], np.maximum(y[:, 1], 0.0), np.zeros(problem.tau.size)
    losses = force.losses(alignment, square, still, still)
    pull, _, stiffness, _ = force.forces(alignment, square)
    change = (
        -n * pull * (speed * pull - decay * alignment) - n * stiffness * (speed * stiffness + decay) * square
    )
    loss = losses.sum(axis=0)
    exponent = np.where(loss > 0, -change * problem.tau / np.where(loss > 0, loss, 1.0), 0.0)
    return trajectory(alignment=alignment, square=square, losses=losses, exponent=exponent, coherent=still)
