"""The trapezoidal rule against adaptive panels, which share no node and no estimate of errors."""

import numpy as np
import pytest
from scipy import stats

from peakedtheory import Mixture, as_energies, thermodynamics
from peakedtheory.exact import quadrature
from peakedtheory.exact.trapezoid import Stretch, trapezoidal

LAWS = [
    "laplace", "gamma:a=0.25", "t:df=3", "logistic", "uniform", "lognorm:s=1", "beta:a=2,b=3", "gumbel_l",
    "pareto:b=3", "weibull_max:c=2",
]  # fmt: skip


def values_by(rule, energies, beta, n, monkeypatch):
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
    values, errors, used = values_by("trapezoidal", energies, beta, n, monkeypatch)
    others, their, _ = values_by("panels", energies, beta, n, monkeypatch)
    assert used
    assert (np.abs(values - others) <= errors + their).all()
    assert (errors <= 3.0 * their + 1e-12 * np.abs(values)).all()


@pytest.mark.parametrize(("law", "n", "beta"), [("uniform", 2.0, 20.0), ("arcsine", 3.0, 50.0)])
def test_two_edges_in_one_transition(law, n, beta, monkeypatch):
    assert_rules_agree(law, n, beta, monkeypatch, settled=False)


@pytest.mark.parametrize(
    ("law", "n", "beta"), [("t:df=3", 115.0, 1.8e-3), ("t:df=3", 1687.0, 2.7e-4), ("lomax:c=2.5", 40.0, 1e-3)]
)
def test_variances_far_out_in_a_tail_count(law, n, beta, monkeypatch):
    """There m² is all but gone, and the variance is larger than that of all by as much."""
    assert_rules_agree(law, n, beta, monkeypatch)


@pytest.mark.parametrize(
    ("law", "n", "beta"), [("t:df=1.56", 3.0, 6.6e-4), ("t:df=1.7", 7.0, 0.15), ("t:df=1.3", 2.0, 1e-2)]
)
def test_nodes_reach_to_the_end_of_heavy_tails(law, n, beta, monkeypatch):
    """Means draw on tails out to 1e30 and farther."""
    assert_rules_agree(law, n, beta, monkeypatch)


def assert_rules_agree(law, n, beta, monkeypatch, settled=True):
    energies, n = as_energies(law), np.array([n])
    values, errors, used = values_by("trapezoidal", energies, beta, n, monkeypatch)
    others, their, _ = values_by("panels", energies, beta, n, monkeypatch)
    assert used or not settled
    assert (np.abs(values - others) <= errors + their).all()


def test_nodes_are_where_equal_steps_lead():
    stretch = Stretch(np.array([3.0]), np.array([1e3]), np.array([-50.0, 0.1]), np.array([1.0, 40.0]))
    ends = np.array([-1e33, 1e4])
    known = stretch.known(ends)
    assert known[0] == ends[0]
    assert known[-1] == ends[-1]
    assert np.diff(stretch(known)).max() < 3.0
    right = (stretch(known * (1.0 + 1e-6)) - stretch(known)) / (known * 1e-6)
    assert stretch.slope(known) == pytest.approx(right, rel=1e-2)


def test_a_sum_that_misses_a_part_gives_way_to_panels():
    """Three parts at n = 7 whose density in s, at the places of the rule, falls short of one by 3e-9."""
    parts = [
        (0.0604152, stats.t(28.610224, loc=1.15002, scale=1.62706e-05)),
        (0.141054, stats.beta(1.07468852, 2.65757738, loc=-1.74791, scale=0.00503002)),
        (0.798531, stats.logistic(loc=-1.31202, scale=0.174158)),
    ]
    exact = thermodynamics(6258.56, 7, Mixture(parts))
    assert exact.error.entropy < 1e-10 * exact.entropy
    assert abs(exact.log_partition - exact.entropy + 6258.56 * exact.internal_energy) < 1e-8
