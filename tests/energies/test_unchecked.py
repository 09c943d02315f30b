"""SciPy's laws without their checks of arguments, against the same laws with them."""

import numpy as np
import pytest
from scipy import stats

from peakedtheory.energies.unchecked import Unchecked, unchecked

LAWS = [
    stats.laplace(), stats.gamma(0.25), stats.t(3), stats.uniform(), stats.beta(2, 3), stats.expon(),
    stats.weibull_max(1.5), stats.genextreme(-0.3), stats.skewnorm(2.0), stats.triang(0.3),
]  # fmt: skip


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.dist.name)
@pytest.mark.parametrize("name", ["pdf", "cdf", "sf"])
def test_same_values_inside_and_outside_the_support(law, name):
    low, high = law.support()
    x = law.ppf([1e-12, 1e-3, 0.3, 0.5, 0.9, 0.999])
    x = np.concatenate(
        [x, [-np.inf, np.inf, np.nextafter(low, -np.inf), np.nextafter(high, np.inf), 1e3, -1e3]]
    )
    x = np.append(x, [high, low]) if np.isfinite(high - low) and name != "pdf" else x
    with np.errstate(all="ignore"):
        found = getattr(unchecked(law), name)(x.reshape(2, -1))
        expected = getattr(law, name)(x).reshape(2, -1)
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=0.0)


class Own(stats.rv_continuous):
    """A law that says what its density is by another name."""

    def pdf(self, x, *args, **kwds):
        return np.where((np.asarray(x) > 0) & (np.asarray(x) < 1), 1.0, 0.0)

    def _cdf(self, x):
        return x


def test_laws_with_functions_of_their_own_keep_them():
    own = Own(a=0.0, b=1.0, name="own")()
    assert unchecked(own) is own
    moved = stats.laplace(1.0, 2.0)
    assert unchecked(moved) is moved
    modern = stats.make_distribution(stats.laplace)()
    assert unchecked(modern) is modern
    assert isinstance(unchecked(stats.laplace()), Unchecked)
