"""The trapezoidal rule against adaptive panels, which share no node and no estimate of errors."""

import numpy as np
import pytest

from peakedtheory import as_energies
from peakedtheory.exact import quadrature
from peakedtheory.exact.trapezoid import trapezoidal

LAWS = [
    "laplace", "gamma:a=0.25", "t:df=3", "logistic", "uniform", "lognorm:s=1", "beta:a=2,b=3", "gumbel_l",
    "pareto:b=3", "weibull_max:c=2",
]  # fmt: skip


def thermodynamics_by(rule, energies, beta, n, monkeypatch):
    """Return values and errors, shape (4, n.size), from the trapezoidal rule alone or from panels alone."""
    used = []

    def only(averages, mean, n, floor):
        found = trapezoidal(averages, mean, n, floor) if rule == "trapezoidal" else None
        used.append(found is not None)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(quadrature, "trapezoidal", only)
        found = quadrature.general_thermodynamics(
            energies.components, -energies.mean, energies.variance, beta, n
        )
    return *found, used[0]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("beta", [0.02, 1.5, 30.0, 1e4])
def test_both_rules_agree_within_their_errors(law, beta, monkeypatch):
    energies, n = as_energies(law), np.array([50.0, 1e6])
    values, errors, used = thermodynamics_by("trapezoidal", energies, beta, n, monkeypatch)
    others, their, _ = thermodynamics_by("panels", energies, beta, n, monkeypatch)
    assert used
    assert (np.abs(values - others) <= errors + their).all()
    assert (errors <= 3.0 * their + 1e-12 * np.abs(values)).all()


@pytest.mark.parametrize(("law", "n", "beta"), [("uniform", 2.0, 20.0), ("arcsine", 3.0, 50.0)])
def test_two_edges_in_one_transition(law, n, beta, monkeypatch):
    energies, n = as_energies(law), np.array([n])
    values, errors, _ = thermodynamics_by("trapezoidal", energies, beta, n, monkeypatch)
    others, their, _ = thermodynamics_by("panels", energies, beta, n, monkeypatch)
    assert (np.abs(values - others) <= errors + their).all()
