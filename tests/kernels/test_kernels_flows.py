"""Compiled equations of flows: their Jacobians against differences, and states that integrators may try."""

import math

import numpy as np
import pytest
from numba import njit

from peakedtheory.dynamics import integration
from peakedtheory.dynamics.force import student_force
from peakedtheory.dynamics.noise import noise_table
from peakedtheory.dynamics.optimizers import SGD, Adam, GradientFlow, SignGD
from peakedtheory.dynamics.student import student_flow
from peakedtheory.kernels.rates import rate_at

INF = math.inf
compiled_rate = njit(lambda t, plan: rate_at(t, plan))
TAU = np.geomspace(1.0, 300.0, 12)
PROBLEMS = {
    "gradient flow": (100.0, {"optimizer": GradientFlow(width=32), "residual0": 2.0}),
    "sgd": (100.0, {"optimizer": SGD(0.5, 64, 32), "residual0": 2.0, "weight_decay": 1e-4}),
    "sgd, hard labels": (INF, {"optimizer": SGD(0.5, 64, 32), "alignment0": 0.3}),
    "adam": (100.0, {"optimizer": Adam(0.05, 64, 32), "residual0": 2.0, "weight_decay": 1e-2}),
    "adam, hard labels": (INF, {"optimizer": Adam(0.05, 64, 32), "alignment0": 0.3}),
    "adam, no inertia": (100.0, {"optimizer": Adam(0.05, 64, 32, beta1=0.0), "residual0": 2.0}),
    "sign descent": (INF, {"optimizer": SignGD(0.01, 256, 32), "residual0": 2.0}),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_jacobians_are_the_slopes_of_the_rates(name, monkeypatch):
    star, options = PROBLEMS[name]
    seen = {}

    def spy(rhs, start, grid, *, Dfun, **rest):
        y, report = odeint(rhs, start, grid, Dfun=Dfun, **rest)
        seen.update(rhs=lambda x, y: np.array(rhs(x, y)), jacobian=Dfun, grid=grid, y=y)
        return y, report

    odeint = integration.odeint
    monkeypatch.setattr(integration, "odeint", spy)
    student_flow(TAU * options["optimizer"].__dict__.get("learning_rate", 1.0), star, 128, **options)
    size = seen["y"].shape[1]
    for row in np.linspace(1, len(seen["grid"]) - 1, 5).astype(int):
        x, y = seen["grid"][row], seen["y"][row]
        found = np.array(seen["jacobian"](x, y))
        expected = np.empty((size, size))
        step = 3e-5 * np.maximum(np.abs(y), 1e-4)
        for k in range(size):
            beside = [y + sign * step[k] * np.eye(size)[k] for sign in (-1, 1)]
            expected[:, k] = (seen["rhs"](x, beside[1]) - seen["rhs"](x, beside[0])) / (2 * step[k])
        # What a variable's own size makes of it, over the largest such effect on the same rate.
        effect = (found - expected) * np.abs(y)
        scale = np.abs(expected * np.abs(y)).max(axis=1, keepdims=True) + np.abs(seen["rhs"](x, y))[:, None]
        assert np.abs(effect / (scale + 1e-12)).max() < 2e-4


@pytest.mark.parametrize("state", [(math.nan, 1.0), (1.0, math.nan), (INF, 1.0), (1e300, 1e300), (-5.0, 0.0)])
@pytest.mark.parametrize("star", [20.0, INF])
def test_no_table_is_left_in_states_that_are_tried_and_dropped(state, star):
    d, rho = state
    force, table = student_force(star, 128.0, 32.0), noise_table(128, star)
    found = [*force.forces(*(np.array([v]) for v in (d, rho * rho, 0.1, 0.0)))[:, 0], table(d, rho)]
    assert not np.isnan(found).any() or not np.isfinite([d, rho * rho]).all()


def test_rates_are_linear_between_points_and_constant_beyond():
    plan = np.array([[0.5, 1.5, 1.5, 4.0], [1.0, 3.0, 2.0, 0.0]])
    found = [compiled_rate(t, plan) for t in (-1.0, 0.5, 1.0, 1.5, 2.75, 4.0, 9.0)]
    assert found == [1.0, 1.0, 2.0, 2.0, 1.0, 0.0, 0.0]
    assert compiled_rate(3.0, np.array([[0.0], [0.7]])) == 0.7
