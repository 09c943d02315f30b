"""The aligned flow of any energies, against the equation itself integrated on exact averages."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from peakedtheory import loss, thermodynamics
from peakedtheory.dynamics.optimizers import SGD, GradientFlow
from peakedtheory.dynamics.student import student_flow
from peakedtheory.energies.normal import Gaussian


def by_the_equation(tau, star, n, energies, start, decay, speed):
    """Return β at ascending τ: dβ/dτ = c(U(β) - U(β*))/n - ωβ, every U from the exact engine."""
    goal = thermodynamics(star, n, energies).internal_energy

    def rate(_, beta):
        energy = thermodynamics(max(float(beta[0]), 0.0), n, energies).internal_energy
        return [speed * (energy - goal) / n - decay * beta[0]]

    solution = solve_ivp(rate, (0.0, tau[-1]), [start], "LSODA", tau, rtol=1e-5, atol=1e-7)
    return solution.y[0]


@pytest.mark.parametrize(
    ("energies", "n", "star", "start", "decay", "speed"),
    [
        ("laplace", 32, 6.0, 0.0, 0.0, 1.0),
        ("gamma:a=0.6,scale=2", 10, 3.0, 0.5, 0.0, 0.4),
        ("atoms:0=0.3,1=0.5,2.5=0.2", 7, 5.0, 0.0, 2e-3, 1.0),
    ],
)
def test_flow_solves_its_equation(energies, n, star, start, decay, speed):
    tau = np.array([0.3, 3.0, 30.0, 300.0]) * n
    flow = student_flow(
        tau, star, n, optimizer=GradientFlow(speed), alignment0=start, weight_decay=decay, energies=energies
    )
    beta = by_the_equation(tau, star, n, energies, start, decay, speed)
    np.testing.assert_allclose(flow.beta, beta, rtol=3e-4)
    np.testing.assert_allclose(flow.alignment, flow.beta)
    far = np.abs(beta / star - 1.0) > 0.05  # next to the teacher L is of second order in what is left
    np.testing.assert_allclose(flow.loss[far], loss(beta, star, n, energies)[far], rtol=5e-3)
    assert not np.any(flow.residual)
    assert not np.any(flow.tangential_loss)


def test_a_scale_of_energies_is_one_of_temperatures():
    """Energies sε at β have logits of ε at sβ, and their time runs s² times as fast."""
    tau = np.geomspace(1.0, 1e6, 13)
    wide = student_flow(tau, 5.0, 64, energies=Gaussian(1.0, 2.0))
    plain = student_flow(4.0 * tau, 10.0, 64)
    np.testing.assert_allclose(2.0 * wide.beta, plain.beta, rtol=1e-6)
    np.testing.assert_allclose(wide.loss, plain.loss, rtol=1e-5, atol=1e-12)
    far = plain.loss > 1e-6
    np.testing.assert_allclose(wide.local_exponent[far], plain.local_exponent[far], rtol=1e-4)


def test_hard_labels_reach_the_exponent_of_the_gap_law():
    flow = student_flow(np.geomspace(1e8, 1e10, 5), math.inf, 16, energies="laplace")
    np.testing.assert_allclose(flow.local_exponent, 1 / 3, atol=2e-3)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"optimizer": SGD()}, "energies"),
        ({"optimizer": GradientFlow(width=32)}, "energies"),
        ({"residual0": 0.5}, "residual0"),
        ({"alignment0": -0.5}, "alignment0"),
    ],
)
def test_what_is_not_aligned_is_refused(arguments, name):
    with pytest.raises(ValueError, match=name):
        student_flow([1.0], 5.0, 16, energies="laplace", **arguments)
