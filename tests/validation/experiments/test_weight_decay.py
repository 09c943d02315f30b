"""Which runs under decay are shown and judged."""

import numpy as np
import pytest
from made_runs import run

from peakedtheory.validation.experiments.weight_decay import analysis as study


def test_rates_shown_under_decay():
    rates = np.logspace(-3, 0, 13)
    data = run(lambda star, rate, step: (1 + step) * abs(np.log(rate / 0.05)) + 1.0, beta_star=[11.5],
               learning_rate=rates, teacher=[0])  # fmt: skip
    shown = study.shown_decay_rates(data)
    assert shown == pytest.approx([0.001, 0.0056234, 0.1, 0.56234], rel=1e-4)
    assert study.best_decay_rate(data) == pytest.approx(0.056234, rel=1e-4)
    assert study.best_decay_rate(data, shown) == pytest.approx(0.1)
    assert study.decay_window(data) == (30.0, 1000.0)
    short = data.isel(time=data["step"].values <= 40)
    assert study.decay_window(short) == pytest.approx((0.1 * short.step.values[-1], short.step.values[-1]))
