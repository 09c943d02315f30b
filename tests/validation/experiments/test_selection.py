"""Cases chosen by their settings."""

import numpy as np
from made_runs import run

from peakedtheory.validation.experiments import selection


def test_a_diverged_rate_is_never_the_best():
    data = run(
        lambda star, rate, step: step**-rate if rate < 0.9 else np.full(step.size, np.nan),
        beta_star=[1.0],
        learning_rate=[0.1, 0.5, 1.0],
        teacher=[0, 1],
    )
    rate, cases = selection.best_rate(data, beta_star=1.0)
    assert rate == 0.5
    assert data["learning_rate"].values[cases].tolist() == [0.5, 0.5]
    assert selection.best_rate(data, among=np.array([0.1, 1.0]))[0] == 0.1
    # at the first record all finite losses are equal
    assert selection.best_rate(data, at=0)[0] == 0.1


def test_the_closest_value_is_so_by_its_logarithm():
    assert selection.closest(np.array([0.01, 0.1, 1.0]), 0.04) == 0.1
    assert selection.closest(np.array([0.01, 0.1, 1.0]), 0.03) == 0.01
