"""What the defect of the norm says: recompute where something was missed, refuse where nothing is known."""

import numpy as np
import pytest
from scipy import stats

import peakedtheory as pt
from peakedtheory.energies.components import Density
from peakedtheory.exact import averages, quadrature
from peakedtheory.exact.quadrature import general_thermodynamics


def normal_density(share):
    """A normal law of which the density holds a share, as if the rest lay between all nodes."""
    return Density(
        lambda x: share * stats.norm.pdf(x), stats.norm.sf, stats.norm.cdf, -np.inf, np.inf, 0.0, 1.35
    )


def test_laws_of_which_half_is_missing_are_refused():
    with pytest.raises(
        ValueError, match=r"^energies: must have a law that quadrature resolves, got one whose"
    ):
        general_thermodynamics(((1.0, normal_density(0.3)),), 0.0, 1.0, 40.0, np.array([50.0]))


def test_the_error_says_what_the_density_misses():
    values, errors = general_thermodynamics(((1.0, normal_density(0.999)),), 0.0, 1.0, 40.0, np.array([50.0]))
    right = pt.thermodynamics(40.0, 50)
    found = values[:, 0] - [right.log_partition, -right.internal_energy, right.energy_variance, right.entropy]
    assert (np.abs(found) <= 3.0 * errors[:, 0]).all()
    assert errors[0, 0] > 1e-4


@pytest.mark.parametrize("lost", [0.5, 1e-4])
def test_averages_that_miss_something_are_taken_again(monkeypatch, lost):
    """A rule that loses part of the density: panels of every s, which do not use it, give the right values."""
    honest = averages.resolved_averages

    def blind(*arguments):
        columns, resolved = honest(*arguments)
        columns[:, 2:] *= 1.0 - lost
        return columns, resolved

    right = pt.thermodynamics(40.0, 50, "laplace")
    calls = []
    integrated = quadrature._integrated
    monkeypatch.setattr(
        quadrature, "_integrated", lambda *a, **k: calls.append(bool(k.get("careful"))) or integrated(*a, **k)
    )
    monkeypatch.setattr(averages, "resolved_averages", blind)
    found = pt.thermodynamics(40.0, 50, "laplace")
    assert calls == [False, True]
    for name in ("log_partition", "internal_energy", "entropy", "energy_variance"):
        allowed = 3.0 * (getattr(found.error, name) + getattr(right.error, name))
        assert abs(getattr(found, name) - getattr(right, name)) <= allowed
        assert allowed < 1e-9
    monkeypatch.setattr(averages, "resolved_averages", honest)
    pt.thermodynamics(40.0, 50, "laplace")
    assert calls == [False, True, False]
