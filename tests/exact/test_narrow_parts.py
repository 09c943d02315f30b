"""Parts of a mixture that a rule could miss: narrow ones, far ones, and edges at which nothing is left."""

import numpy as np
import pytest
from scipy import stats

import peakedtheory as pt
from peakedtheory.exact.averages import Averages


@pytest.mark.parametrize(
    ("parts", "n", "beta", "right"),
    [
        (  # composite Gauss-Legendre rules of two resolutions agree; 20000 draws give S = 2.360 ± 0.016
            [(0.01, stats.norm()), (0.99, stats.uniform(0.5, 0.001))], 100, 100.0,
            {"log_partition": 9.52836827, "internal_energy": -0.0718305673, "entropy": 2.34531154},
        ),
        (
            [(3.512272736500652e-06, stats.norm(0.43, 1.7466)),
             (1.2007718821616605e-05, stats.gumbel_l(-0.35, 0.0282)),
             (0.9999844800084419, stats.uniform(0.52, 0.0087))], 3, 10.0,
            {"log_partition": -4.14432536, "entropy": 1.098355447710249},
        ),
        (
            [(0.04277265649649505, stats.gumbel_l(2.6, 0.0112)), (0.5286569968349747, stats.norm(-0.59, 1.7382)),
             (0.4285703466685301, stats.uniform(-0.44, 0.1339))], 100, 10.0,
            {"energy_variance": 0.002510351426382435, "entropy": 0.2326508919066442,
             "internal_energy": -4.521566862083619},
        ),
    ],
)  # fmt: skip
def test_mixtures_with_narrow_parts(parts, n, beta, right):
    exact = pt.thermodynamics(beta, n, pt.Mixture(parts))
    for name, value in right.items():
        digits = 1e-12 if len(repr(value)) > 15 else 5e-9
        assert getattr(exact, name) == pytest.approx(value, rel=digits), name
        assert getattr(exact.error, name) < 1e-11 * abs(value) + 1e-12


@pytest.mark.parametrize(
    ("law", "beta", "right"),
    [  # cumulants of Z in multi-precision arithmetic; the next term is below 1e-20
        (stats.gamma(0.4), 1e6, 15.1970611190781339),
        (stats.gamma(0.4), 1e8, 13.3549929353027021),
        (stats.beta(0.3, 0.4), 1e6, 16.0428022350986400),
    ],
)
def test_singular_edges_at_huge_n(law, beta, right):
    exact = pt.thermodynamics(beta, 1e9, law)
    assert abs(exact.log_partition - right) <= 3.0 * exact.error.log_partition
    assert exact.error.log_partition < 2e-12


def test_transitions_far_from_each_other_ask_for_no_lattice_between():
    """At β this large the lowest of 295 and of 885 energies lie a thousand million temperatures apart."""
    law = pt.Mixture([(0.265, "logistic"), (0.735, stats.semicircular(loc=-0.872, scale=0.236))])
    both = pt.thermodynamics(3.7e8, [295, 885], law)
    for i, n in enumerate([295, 885]):
        alone = pt.thermodynamics(3.7e8, n, law)
        for name in ("log_partition", "internal_energy", "entropy", "energy_variance"):
            allowed = getattr(both.error, name)[i] + getattr(alone.error, name)
            assert abs(getattr(both, name)[i] - getattr(alone, name)) <= allowed


def test_a_narrow_part_far_below_the_kernel_weighs_in_the_variance():
    """It adds 1e-14 to m and, from a distance of forty temperatures, a thousand times that to the variance."""
    law = pt.Mixture([(0.55, stats.norm(-0.7, 0.002)), (0.45, stats.t(24.5, scale=7.1))])
    s = np.arange(-45.0, -30.0, 0.37)
    few, panels = (
        Averages(law.components, 2.53, np.array([100.0]), 5.0, careful) for careful in (False, True)
    )
    assert few(s) == pytest.approx(panels(s), rel=3e-13)
