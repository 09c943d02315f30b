"""Aligned students without training."""

import pytest

from peakedtheory.validation.experiments.registry import experiment


@pytest.mark.slow
def test_published_exponents_of_aligned_students():
    chosen = experiment("numerics")
    data = chosen.run("quick")
    claims = chosen.judge(data, chosen.predict(data))
    loss, gradient = claims[0], claims[2]
    assert loss.predicted == pytest.approx(1.151, abs=1e-3)
    assert gradient.predicted == pytest.approx(2.2615, abs=1e-3)
    assert abs(loss.measured - 1.15) < 0.04
    assert abs(gradient.measured - 2.26) < 0.04
