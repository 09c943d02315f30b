"""The one log-log slope: planted powers, and an error that covers their scatter."""

import numpy as np
import pytest

from peakedtheory._common.slopes import loglog_slope


def test_a_power_is_its_slope():
    x = np.geomspace(1, 1000, 30)
    slope, error = loglog_slope(x, 7 * x**1.25)
    assert slope == pytest.approx(1.25, rel=1e-12)
    assert error < 1e-12
    assert loglog_slope(x[:2], x[:2] ** 3)[0] == pytest.approx(3.0)


def test_slope_and_error_are_those_of_a_regression():
    rng = np.random.default_rng(0)
    x = np.geomspace(1, 100, 12)
    found = []
    for _ in range(400):
        y = x**-0.5 * np.exp(0.1 * rng.standard_normal(x.size))
        found.append(loglog_slope(x, y))
        assert found[-1][0] == pytest.approx(np.polyfit(np.log(x), np.log(y), 1)[0], rel=1e-9)
    slopes, errors = np.array(found).T
    assert slopes.std(ddof=1) == pytest.approx(np.sqrt((errors**2).mean()), rel=0.1)
    assert abs(slopes.mean() + 0.5) < 4 * slopes.std() / 20
