import math

import numpy as np
import pytest

from peakedtheory.validation.experiments.claims import FAILS, HOLDS, OPEN, Claim, near
from peakedtheory.validation.experiments.comparison import (
    agreement,
    fit_exponent,
    fit_on_even_records,
    mean_and_error,
    relative_spread,
    relative_spread_error,
    small_sample,
    steepest_slope,
    tuned_minimum,
)


def claim(measured, error, low=0.0, high=1.0, **options):
    return Claim("text", measured, error, low, high, "rule", **options)


@pytest.mark.parametrize(
    ("measured", "error", "verdict"),
    [
        (0.5, 0.1, HOLDS),
        (0.5, 0.3, OPEN),  # the band is inside the error bars: nothing is confirmed
        (1.5, 0.1, FAILS),
        (1.5, 0.3, OPEN),
        (-0.1, 0.0, FAILS),
        (1.0, 0.0, HOLDS),
        (math.nan, 0.1, OPEN),
        (0.5, math.nan, OPEN),
    ],
)
def test_verdict_is_an_equivalence_test(measured, error, verdict):
    assert claim(measured, error).verdict == verdict


def test_a_smaller_run_cannot_refute_what_theory_misses_there_too():
    missed = claim(2.0, 0.1, predicted=1.9)
    assert missed.verdict == FAILS
    assert missed.at_scale("paper").verdict == FAILS
    assert missed.at_scale("quick").verdict == OPEN
    assert claim(2.0, 0.1, predicted=0.5).at_scale("quick").verdict == FAILS
    assert claim(2.0, 0.1).at_scale("quick").verdict == FAILS
    assert claim(0.5, 0.1, predicted=1.9).at_scale("quick").verdict == HOLDS


def test_the_tiniest_runs_decide_nothing():
    for value in (0.5, 2.0):
        assert claim(value, 0.01).at_scale("tiny").verdict == OPEN


def test_another_set_up_judges_nothing_however_clear_the_number():
    for value in (0.5, 2.0):
        elsewhere = claim(value, 0.01, lacks="the authors' teacher")
        for scale in ("paper", "quick", "tiny"):
            assert elsewhere.at_scale(scale).verdict == "not tested with the authors' teacher"


def test_claims_become_json_without_infinities():
    values = near("text", 0.3, math.nan, 1 / 3, 0.1, "rule", predicted=0.31, published=1 / 3).as_dict()
    assert values["error"] is None
    assert values["verdict"] == OPEN
    assert values["low"] == pytest.approx(1 / 3 - 0.1)
    assert claim(0.5, 0.0, high=math.inf).as_dict()["high"] is None


def test_exponent_of_noisy_power_laws_has_an_honest_error():
    rng = np.random.default_rng(1)
    x = np.geomspace(1, 1000, 40)
    misses = 0
    for _ in range(200):
        # every seed has its own exponent, around 0.4
        exponents = 0.4 + 0.05 * rng.standard_normal(6)
        curves = x ** -exponents[:, None] * np.exp(0.01 * rng.standard_normal((6, x.size)))
        fit = fit_exponent(x, curves, (10, 1000))
        misses += abs(fit.value + 0.4) > 2 * fit.error
    # ±2 errors of a mean of six miss about 10 % of the time (Student's t); the window adds, never subtracts
    assert misses / 200 < 0.17


def test_window_error_sees_a_bend():
    x = np.geomspace(1, 1000, 60)
    straight = fit_exponent(x, x**-0.5, (10, 1000))
    bent = fit_exponent(x, x**-0.5 + 0.05, (10, 1000))
    assert straight.value == pytest.approx(-0.5, abs=1e-12)
    assert straight.error < 1e-10
    assert bent.window_error > 0.03


def test_exponent_without_points_is_not_a_number():
    fit = fit_exponent([1.0, 2.0, 3.0], [1.0, np.nan, -1.0], (1, 3))
    assert math.isnan(fit.value)
    assert math.isnan(fit.error)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_exponent([1, 2], [1, 2], (2, 1)), "window"),
        (lambda: fit_exponent([1, 2], [1, 2, 3], (1, 2)), "y: must end with the 2 points"),
    ],
)
def test_bad_input_gets_one_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_agreement_is_signed_and_robust():
    measured = np.array([1.0, 2.0, 4.0, np.nan, 0.0])
    found = agreement(measured, [1.1, 2.2, 4.4, 7.0, 3.0])
    assert found.median == pytest.approx(0.1)
    assert found.typical == pytest.approx(0.1)
    assert math.isnan(agreement([np.nan], [1.0]).typical)


def test_collapse_of_shifted_curves():
    x = np.geomspace(1, 100, 50)
    y = x**-0.3
    assert relative_spread([x, x[::2]], [y, y[::2]]) == pytest.approx(0.0, abs=1e-12)
    # two curves a factor e^0.2 apart deviate by 0.1 from their mean everywhere
    assert relative_spread([x, x], [y, y * math.exp(0.2)]) == pytest.approx(0.1, rel=1e-9)
    assert relative_spread_error([x, x, x], [y, y, y * math.exp(0.2)]) > 0.01


def test_collapse_compares_only_where_curves_overlap():
    early, late = np.geomspace(1, 10, 20), np.geomspace(20, 100, 20)
    assert math.isnan(relative_spread([early, late], [early**-1.0, late**-1.0]))
    assert math.isnan(relative_spread([early], [early**-1.0]))
    middle = np.geomspace(5, 30, 20)
    assert relative_spread([early, late, middle], [early**-1.0, late**-1.0, middle**-1.0]) < 1e-3


def test_steepest_slope_tells_power_laws_from_exponentials():
    x = np.geomspace(1, 1000, 200)
    assert steepest_slope(x, x**-0.4) == pytest.approx(0.4, rel=1e-3)
    assert steepest_slope(x, np.exp(-x / 50), 0.02) == pytest.approx(math.log(50) / 2 / math.log(2), rel=0.05)
    assert math.isnan(steepest_slope(x[:2], x[:2] ** -0.4))
    assert math.isnan(steepest_slope([1.0, 1.1, 1.2], [1.0, 0.9, 0.8]))


def test_tuned_minimum_finds_the_vertex():
    rates = np.geomspace(0.1, 10, 9)
    loss = np.exp(0.3 * np.log(rates / 0.9) ** 2) * 0.2
    rate, value, inside = tuned_minimum(rates, loss)
    assert (rate, value, inside) == (pytest.approx(0.9), pytest.approx(0.2), True)
    assert tuned_minimum(rates, rates)[2] is False
    assert tuned_minimum(rates, np.full(9, np.nan))[2] is False
    # a diverged rate is left out
    loss[0] = np.nan
    assert tuned_minimum(rates, loss)[0] == pytest.approx(0.9)


def test_mean_and_error_of_few_values():
    # Student's t of one degree of freedom is Cauchy's law: its quantile at Φ(2), over 2
    widened = math.tan(math.pi * (0.9772498680518208 - 0.5)) / 2
    assert mean_and_error([1.0, 3.0, np.nan]) == (2.0, pytest.approx(widened))
    value, error = mean_and_error([1.0])
    assert value == 1.0
    assert math.isnan(error)
    assert all(math.isnan(v) for v in mean_and_error([]))


@pytest.mark.parametrize("count", [2, 3, 4, 10])
def test_errors_of_few_values_cover_over_seeds(count):
    rng = np.random.default_rng(count)
    missed = [
        abs(mean) > 2 * error for mean, error in map(mean_and_error, rng.standard_normal((4000, count)))
    ]
    assert np.mean(missed) == pytest.approx(0.0455, abs=4 * math.sqrt(0.0455 * 0.9545 / 4000))


def test_errors_of_slopes_over_few_seeds_cover():
    """Curves whose slopes differ from seed to seed, on records without noise of their own."""
    rng = np.random.default_rng(1)
    x = np.geomspace(1, 100, 12)
    missed = 0
    for slopes in 0.4 + 0.05 * rng.standard_normal((500, 3)):
        fit = fit_exponent(x, x ** -slopes[:, None], (1, 100))
        missed += abs(fit.value + 0.4) > 2 * fit.error
    assert missed / 500 == pytest.approx(0.0455, abs=4 * math.sqrt(0.0455 * 0.9545 / 500))


def test_small_samples_widen_errors_and_large_ones_do_not():
    assert small_sample(100_000) == pytest.approx(1.0, abs=1e-4)
    assert math.isnan(small_sample(1))


def test_even_records_weigh_late_times():
    """Of a curve that bends from slope 1 to 1/2 at x = 100, evenly spaced records see the late part."""
    x = np.geomspace(1, 1000, 400)
    y = np.where(x < 100, 1 / x, 0.1 / x**0.5)
    even, log = fit_on_even_records(x, y, (10, 1000), 5.0), fit_exponent(x, y, (10, 1000))
    grid = np.arange(10, 1001, 5.0)
    there = np.where(grid < 100, 1 / grid, 0.1 / grid**0.5)
    direct = np.polyfit(np.log(grid), np.log(there), 1)[0]
    assert even.value == pytest.approx(direct, abs=1e-3)
    assert even.value > log.value + 0.05


def test_a_wide_band_confirms_nothing_in_silence():
    assert (
        near("text", 0.36, 0.005, 1 / 3, 0.1, "rule").statement
        == "holds within the band, 5.3 errors from 0.3333"
    )
    assert near("text", 0.34, 0.005, 1 / 3, 0.1, "rule").statement == HOLDS
    assert near("text", 0.6, 0.005, 1 / 3, 0.1, "rule").statement == FAILS
    assert claim(0.5, 0.01).statement == HOLDS  # about a range, not a value
    assert near("text", 0.36, 0.005, 1 / 3, 0.1, "rule").as_dict()["target"] == 1 / 3
