"""Arguments that must be one number, one count or a list of curves: refused in one line wherever they are taken."""

import math

import numpy as np
import pytest

import peakedtheory as pt
from peakedtheory import schedules
from peakedtheory._common.checks import whole_number
from peakedtheory.dynamics import closed_forms, late_time, regimes
from peakedtheory.dynamics.gap_law import exponent_of_gap
from peakedtheory.validation.training.cases import Case

CURVE = pt.LossCurve(np.arange(1.0, 30.0), 1.0 / np.arange(1.0, 30.0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pt.regime(100.0, 128, beta=[1.0, 2.0]), "beta: must be one number"),
        (lambda: pt.regime(100.0, 128, tau=[1.0, 2.0]), "tau: must be one number"),
        (lambda: pt.regime([1.0, 2.0], 128), "beta_star: must be one number"),
        (lambda: exponent_of_gap([1.0, 2.0]), "gap_exponent: must be one number"),
        (lambda: pt.optimal_schedule([100], math.inf, 128), "steps: must be one number"),
        (lambda: pt.optimal_learning_rate([10], math.inf, 128), "steps: must be one number"),
        (lambda: schedules.constant([1.0], 10), "peak: must be one number"),
        (lambda: schedules.constant(1.0, 2.5), "steps: must be a whole number"),
        (lambda: pt.misaligned_loss([1, 2, 3], [1, 2], 10.0, 128), "must broadcast"),
        (lambda: pt.measure_collapse(5), "curves: must be one LossCurve or several"),
        (lambda: pt.forecast(5), "curves: must be one LossCurve or several"),
        (lambda: pt.fit_loss_curve(CURVE, bootstrap="x"), "bootstrap: must be real numbers"),
        (lambda: pt.estimate(1.0, 128, samples="a"), "samples: must be real numbers"),
        (lambda: pt.estimate(1.0, 128, samples=True), "samples: must be a whole number >= 2"),
        (lambda: pt.SGD("a", 1, 1), "learning_rate: must be real numbers"),
        (lambda: pt.Adam(0.1, 1, 1, beta2=[0.9]), "beta2: must be one number"),
        (lambda: late_time.decay_exponent(-1.0), "power: must be >= 0"),
        (lambda: late_time.decay_exponent(math.nan), "power: must not contain NaN"),
        (lambda: closed_forms.exponential_end(1.0, 2.0, 128, deviation=math.nan), "deviation"),
        (lambda: regimes.phase_diagram([0.0, 1.0], 128), "beta_star: must be > 0, got 0"),
        (lambda: regimes.phase_diagram([1.0], 128, fraction=[0.5, 2.0]), "fraction: .* got 2;"),
        (lambda: Case(optimizer=pt.SGD(batch=[3])), "batch: must be one number"),
    ],
)
def test_one_line_names_the_argument_and_the_rule(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_whole_numbers_are_exact_beyond_those_of_a_float():
    assert whole_number("seed", 2**62 + 1, 0, 2**63) == 2**62 + 1
    assert whole_number("steps", 1e3, 1) == 1000


def test_steep_ends_reach_the_best_exponent():
    assert late_time.decay_exponent(math.inf) == 1.0
    assert late_time.decay_exponent(3.0) == pytest.approx(1 / 3 + 6 / 12)
