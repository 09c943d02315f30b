"""Flow of gradient descent at finite input width m: docs/dynamics.md, Eqs. 34-45.

Three effects of 1/m are added to the flow of (D, ρ): two change the force (`dynamics.force`), and the
residual relaxes with a spectrum of rates.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from peakedtheory.dynamics.force import row_variance, student_force
from peakedtheory.dynamics.fourth_cumulant import fourth_cumulant
from peakedtheory.dynamics.integration import Equations, integrate, integrate_implicitly
from peakedtheory.dynamics.interpolant import interpolant
from peakedtheory.dynamics.noise import noise_table
from peakedtheory.dynamics.optimizers import SGD, GradientFlow
from peakedtheory.dynamics.trajectory import (
    Problem,
    Trajectory,
    around,
    averaged,
    times_of,
    trajectory_within,
)
from peakedtheory.kernels import descents as kernel

#: Gauss nodes of the density of relaxation rates.
_RATES = 7
_RTOL, _ATOL = 1e-6, 1e-10


@dataclass(frozen=True)
class RateSpectrum:
    """Relaxation rates of the residual in units of their mean, with weights.

    The uniform shift of all rows, 1/n of all directions, never relaxes and is left out.
    """

    rates: np.ndarray
    weights: np.ndarray


@functools.lru_cache(maxsize=64)
def rate_spectrum(n: float, width: float) -> RateSpectrum:
    """Return the rates along rows (one direction in m) and across them, a gamma law (Eqs. 41-44).

    Notes
    -----
    Close to a boundary the Hessian is the mean of (e_i - e_j)(e_i - e_j)ᵀ ⊗ x xᵀ. Along its own row a class
    sees ⟨t²⟩, the square of the logits that meet; the trace leaves (m - ⟨t²⟩)/(m - 1) for the rest, whose
    relative variance is that of the frequencies of classes of unequal norm plus that of the pairs in which
    they meet.
    """
    level = 1.0 + 24.0 * fourth_cumulant(n).limit / interpolant(n).slope
    own = level / (1.0 + (level / width) ** 2)
    across = (width - own) / max(width - 1.0, 0.5)
    exponent = min(level**2 * row_variance(width), 3.0)
    meeting = min(0.5 * level**2 / width, 3.0)
    spread = math.expm1(exponent) + 2.0 / n * (math.exp(meeting) * (1.0 + 2.0 * meeting) - 1.0)
    x, weight = _gamma_law(1.0 / max(spread, 1e-9))
    along = min(1.0 / width, 0.5)
    rates = np.append(own, across * x)
    weights = np.append(along, (1.0 - along) * weight)
    return RateSpectrum(rates / (weights @ rates), weights)


def _gamma_law(shape: float) -> tuple[np.ndarray, np.ndarray]:
    """Gauss nodes and weights of the gamma law of unit mean, by Golub and Welsch."""
    i = np.arange(_RATES, dtype=float)
    beside = np.sqrt(i[1:] * (i[1:] + shape - 1.0))
    x, vectors = np.linalg.eigh(np.diag(2.0 * i + shape) + np.diag(beside, 1) + np.diag(beside, -1))
    return x / shape, vectors[0] ** 2


def _gains(problem: Problem[SGD]) -> np.ndarray:
    """Return the growth of ρ² by noise per unit τ over V, η m/(nB), against τ."""
    optimizer, clock = problem.optimizer, problem.clock
    factor = optimizer.width / (problem.n * optimizer.batch)
    if clock is None:
        return np.array([[0.0], [optimizer.learning_rate * factor]])
    edges, heights = clock.tau, factor * clock.rates
    # Exact at the middle of every step of the schedule.
    middles = np.concatenate([[0.0], 0.5 * (edges[1:] + edges[:-1]), edges[-1:]])
    return np.stack([middles, np.concatenate([heights[:1], heights, heights[-1:]])])


def finite_width_flow(problem: Problem[GradientFlow | SGD]) -> Trajectory:
    """Solve for D, a and the squared residual at each rate over ln(τ + shift).

    Without noise the squared residuals follow from two integrals, ∫k dτ and ∫Ck dτ; with it each is a
    variable.
    """
    optimizer, n, decay = problem.optimizer, problem.n, problem.weight_decay
    width: float = optimizer.width  # type: ignore[assignment]  # finite here
    force, rates = student_force(problem.beta_star, n, width), rate_spectrum(n, width)
    offset, weight, moving = rates.rates - 1.0, rates.weights, 1.0 - 1.0 / n
    spectrum = np.array([offset, weight, weight * offset])
    speed = optimizer.c_eff if isinstance(optimizer, GradientFlow) else 1.0
    shift, first = 1e-3 * n / speed, problem.residual0**2
    constants = np.empty(kernel.DESCENT_CONSTANTS)
    constants[kernel.SPEED], constants[kernel.DECAY] = speed, decay
    constants[kernel.MOVING], constants[kernel.INITIAL], constants[kernel.SHIFT] = moving, first, shift
    constants[kernel.DRAW] = force.label_noise if problem.sampled else 0.0
    constants[kernel.DRAW_SPREAD] = force.label_spread
    arguments = (spectrum, constants, *force.tables)
    times = times_of(problem)
    still = np.exp(-2.0 * decay * times) * first
    grid, origin = np.log(times + shift), math.log(shift)
    if isinstance(optimizer, SGD):
        noise = noise_table(int(n), problem.beta_star)
        equations = Equations(
            kernel.noisy_rates,
            (_gains(problem), *arguments, *noise.tables),  # type: ignore[arg-type]
            kernel.noisy_jacobian,
            noise.fill,
        )
        start = np.array([problem.alignment0, 0.0] + [first] * (1 + offset.size))
        y = integrate(equations, start, grid, origin, rtol=_RTOL, atol=_ATOL)
        started, squares = np.maximum(y[:, 2], 0.0), np.maximum(y[:, 3:], 0.0)
    else:
        equations = Equations(kernel.quiet_rates, arguments)
        start = np.array([problem.alignment0, 0.0, 0.0, 0.0])
        y = integrate_implicitly(equations, start, grid, origin, rtol=_RTOL, atol=_ATOL)
        fallen = np.maximum(y[:, 2:3] + offset * y[:, 3:], 0.0)
        started, squares = still * np.exp(-2.0 * y[:, 2]), still[:, None] * np.exp(-2.0 / moving * fallen)
    alignment, amplitude = y[:, 0], y[:, 1]
    if problem.average is not None:
        total = squares @ weight
        uneven = force.spreads(alignment, total, amplitude)
        seen = np.maximum(total + uneven * (squares @ spectrum[2]), 0.0)
        stiffness = force.forces(alignment, seen, amplitude, started)[2]
        falls = (1.0 + uneven * offset[:, None]) * stiffness / moving + decay
        certain = np.array([alignment, amplitude, np.sqrt(started), np.sqrt(still)])
        (alignment, amplitude, *kept), noise_left = averaged(problem, certain, squares.T, falls)  # type: ignore[arg-type]
        started, still, squares, times = kept[0] ** 2, kept[1] ** 2, noise_left.T, around(problem)
    total = squares @ weight
    seen = np.maximum(total + force.spreads(alignment, total, amplitude) * (squares @ spectrum[2]), 0.0)
    return trajectory_within(
        times,
        alignment=alignment,
        square=moving * total + still / n,
        losses=force.losses(alignment, seen, amplitude, started),
        coherent=math.sqrt(force.variance) * np.abs(amplitude),
    )
