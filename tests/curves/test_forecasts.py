"""Forecasts: the annealed law by brute force, its posterior, coverage, schedules from now on, targets and siblings."""

import math

import numpy as np
import pytest

from peakedtheory.curves.annealed import LOWER, PARAMETERS, UPPER, Courses, Records
from peakedtheory.curves.curve import LossCurve, Times
from peakedtheory.curves.forecasts import forecast
from peakedtheory.curves.foresight import foresee
from peakedtheory.curves.learned import learned
from peakedtheory.curves.plans import decays, planned
from peakedtheory.curves.posterior import Prior, most_likely
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.families import warmup_cosine, wsd

T = 4000
COSINE = warmup_cosine(1e-3, T, 200, 1e-5)
DECAYED = wsd(1e-3, T, 200, 800, 0.0)
THETA = np.log([3.0, 0.06, 0.5, 0.25, 120.0, 0.3])


def brute_force(clock, steps, theta):
    """The law by its definition, a sum over all steps, with the fall of a step in the middle of it."""
    level, share, alpha, depth, speed, power = np.exp(theta)
    tau, span = clock.tau, clock.tau[-1]
    e = (np.concatenate([clock.rates[:1], clock.rates]) / clock.peak) ** power
    fall = e[:-1] - e[1:]
    fall[: int(np.argmax(clock.rates >= 0.97 * clock.peak))] = 0.0
    middle = 0.5 * (tau[1:] + tau[:-1])
    found = []
    for step in steps.astype(int):
        x = speed * (tau[step] - middle[:step]) / span
        drop = (fall[:step] * (1.0 - 1.0 / (1.0 + x))).sum()
        found.append(level * (1.0 - share + share * (tau[step] / span) ** -alpha - depth * drop))
    return np.array(found)


def law(clock, steps, theta=THETA, peak=None, span=None):
    courses = Courses.of(
        [clock], clock.peak if peak is None else peak, clock.tau[-1] if span is None else span
    )
    return Records.at(courses, np.asarray(steps, float)[None]).log_loss(theta[None])


def run_of(clock, theta=THETA, noise=5e-4, seed=0, count=100, until=T):
    step = np.unique(np.linspace(200, until, count).round())
    scatter = noise * np.random.default_rng(seed).standard_normal(step.size)
    return LossCurve(step, np.exp(law(clock, step, theta)[0][0] + scatter), clock)


@pytest.mark.parametrize("clock", [COSINE, DECAYED, Clock(np.r_[np.full(1000, 1e-3), np.full(1000, 1e-4)])])
def test_the_law_is_its_sum_over_all_steps(clock):
    steps = np.unique(np.linspace(210, clock.steps, 50).round())
    np.testing.assert_allclose(np.exp(law(clock, steps)[0][0]), brute_force(clock, steps, THETA), rtol=3e-3)


def test_the_derivatives_are_those_of_the_law():
    steps, h = np.linspace(300.0, T, 23), 1e-5
    slopes = law(COSINE, steps)[1][0]
    for i in range(len(PARAMETERS)):
        ahead, behind = THETA.copy(), THETA.copy()
        ahead[i] += h
        behind[i] -= h
        numeric = (law(COSINE, steps, ahead)[0] - law(COSINE, steps, behind)[0])[0] / (2.0 * h)
        np.testing.assert_allclose(slopes[:, i], numeric, rtol=2e-3, atol=2e-4)


def test_a_constant_rate_leaves_a_power_law():
    clock, steps = Clock(np.full(T, 0.1)), np.array([400.0, 1000.0, 4000.0])
    level, share, alpha, *_ = np.exp(THETA)
    expected = level * (1.0 - share + share * (steps / T) ** -alpha)
    np.testing.assert_allclose(np.exp(law(clock, steps)[0][0]), expected, rtol=1e-12)


def test_the_posterior_of_a_linear_model_is_the_textbook_one():
    rng = np.random.default_rng(3)
    slopes = rng.standard_normal((1, 40, 3))
    slopes[..., 0] = 1.0
    truth, noise = np.array([0.3, -0.2, 0.1]), 0.05
    target = slopes @ truth + noise * rng.standard_normal(40)
    precision = np.diag([1e-9, 4.0, 9.0])
    wide = 50.0 * np.ones(3)
    prior = Prior(np.zeros(3), precision, -wide, wide)
    found = most_likely(
        lambda theta: ((slopes @ theta[..., None])[..., 0], slopes), target, np.ones((1, 40)), prior, 1.0
    )
    matrix = slopes[0].T @ slopes[0] + precision
    np.testing.assert_allclose(found.covariance[0], np.linalg.inv(matrix), rtol=1e-9)
    np.testing.assert_allclose(found.theta[0], np.linalg.solve(matrix, slopes[0].T @ target[0]), atol=1e-7)
    assert found.variance[0] == 1.0  # the prior's own noise is the least


def test_the_scale_of_noisy_records_is_found():
    noisy = run_of(COSINE, noise=0.02, count=400, until=2800)
    quiet = run_of(COSINE, noise=1e-4, count=400, until=2800)
    times = Times(np.array([T], float), COSINE, "")
    loud, calm = (foresee((run,), times, True) for run in (noisy, quiet))
    assert loud.parts["scatter"][0] > 10.0 * calm.parts["scatter"][0]
    assert loud.error[0] > 2.0 * calm.error[0]


def test_intervals_hold_runs_drawn_from_the_prior():
    rng, prior, inside, cases = np.random.default_rng(5), learned().prior, 0, 0
    covariance = np.linalg.inv(prior.precision[1:, 1:])
    for clock in (COSINE, DECAYED):
        for seed in range(10):
            drawn = np.clip(rng.multivariate_normal(prior.mean[1:], 0.25 * covariance), LOWER[1:], UPPER[1:])
            run = run_of(clock, np.append(np.log(3.0), drawn), 1e-3, seed, 40)
            for part in (0.4, 0.7):
                told = forecast(run.window(0.0, part * T))
                cases += 1
                inside += told.lower[-1] <= run.loss[-1] <= told.upper[-1]
    assert inside >= 0.9 * cases


def test_a_decay_that_was_never_seen_helps():
    seen = run_of(DECAYED, until=3000)
    assert not seen.is_annealed
    down, level = forecast(seen), forecast(seen, steps=[T], schedule=Clock(np.full(T, 1e-3)))
    assert down.loss[-1] < level.loss[-1]
    assert down.lower[-1] < run_of(DECAYED).loss[-1] < down.upper[-1]
    assert down.upper[-1] - down.lower[-1] < 0.4 * down.loss[-1]


def test_five_records_are_enough_and_four_are_not():
    few = run_of(COSINE, count=12)
    told = forecast(few.window(0.0, few.step[4]))
    assert np.isfinite(told.upper).all()
    assert (told.lower > 0).all()
    with pytest.raises(ValueError, match="at least 5 records"):
        forecast(few.window(0.0, few.step[3]))


def test_what_could_not_be_tested_says_so():
    sibling, short = run_of(COSINE), run_of(COSINE, count=12)
    told, known = (forecast([short.window(0.0, short.step[last]), sibling]) for last in (3, 5))
    assert "could not be tested on the past" in told.explanation
    assert "predicted the end of the data" in known.explanation
    assert told.error[-1] > known.error[-1]


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95, 0.99])
def test_quantiles_and_chances_are_inverse(level):
    numbers = learned()
    chance = numbers.chance_below(np.array([numbers.quantile(level), -numbers.quantile(level), 0.0]))
    np.testing.assert_allclose(chance, [0.5 + 0.5 * level, 0.5 - 0.5 * level, 0.5], atol=1e-12)


def test_a_target_is_reached_with_a_chance():
    told = forecast(run_of(COSINE, until=2000))
    middle = told.reached(float(told.loss[-1]))
    assert middle.chance == pytest.approx(0.5)
    assert middle.step == T
    assert middle.earliest < middle.step
    assert math.isinf(middle.latest)
    below = told.reached(0.5 * float(told.loss[-1]))
    assert below.chance < 1e-3
    assert "not reached" in str(below)
    assert (np.diff([told.chance_below(t)[-1] for t in (2.5, 2.7, 2.9, 3.1)]) >= 0).all()
    with pytest.raises(ValueError, match="target: must be positive"):
        told.reached(-1.0)


def test_what_follows_from_now_on():
    seen = run_of(DECAYED, until=2000)
    clock = planned(seen, "now:hold=100,decay=400")
    assert clock.steps == 2500
    np.testing.assert_allclose(clock.rates[2000:2100], 1e-3)
    np.testing.assert_allclose(clock.rates[[2299, 2499]], [5e-4, 0.0])
    short, none = (forecast(seen, schedule=text) for text in ("now:decay=500", "now:hold=500"))
    assert short.steps[-1] == none.steps[-1] == 2500
    assert short.loss[-1] < none.loss[-1]
    assert short.chance_before(none) > 0.5 > none.chance_before(short)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("now:", "steps to hold or to decay"),
        ("now:decay=-3", "schedule decay"),
        ("now:drop=3", "now takes hold, decay and final"),
        ("now:decay=1.5", "schedule decay"),
    ],
)
def test_plans_that_say_nothing_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        planned(run_of(DECAYED, until=2000), text)


def test_a_plan_needs_rates():
    with pytest.raises(ValueError, match="rates"):
        planned(LossCurve([1.0, 2.0], [3.0, 2.0]), "now:hold=5")


def test_another_schedule_is_a_run_of_its_own():
    known = [run_of(clock) for clock in (COSINE, DECAYED, Clock(np.full(T, 1e-3)))]
    longer = warmup_cosine(1e-3, 2 * T, 200, 1e-5)
    span = COSINE.tau[-1]
    steps = np.unique(np.linspace(400.0, 2 * T, 30).round())
    runs = [LossCurve(r.step, np.exp(law(r.clock, r.step, THETA, 1e-3, span)[0][0]), r.clock) for r in known]
    truth = np.exp(law(longer, steps, THETA, 1e-3, span)[0][0])
    told = forecast(runs, steps=steps, schedule=longer)
    assert "a run of its own" in told.explanation
    np.testing.assert_allclose(told.others["annealed"], truth, rtol=0.01)
    np.testing.assert_allclose(told.loss, truth, rtol=0.02)  # half of it by a law that does not hold here
    assert ((told.lower <= truth) & (truth <= told.upper)).mean() > 0.9
    assert (told.upper - told.lower).max() < 0.4


def test_runs_of_two_sizes_are_not_merged():
    small, large = run_of(COSINE), run_of(COSINE, THETA - np.array([0.2, 0, 0, 0, 0, 0]), until=2800)
    told = forecast([large, small])
    assert told.loss[-1] == pytest.approx(run_of(COSINE).loss[-1] * np.exp(-0.2), rel=0.02)
    assert "20 % in level" in told.explanation


def test_a_named_law_is_never_surer_than_public_runs_allow():
    seen = run_of(COSINE, until=2800)
    own, known = forecast(seen, law="s1-s2"), forecast(seen)
    assert (np.log(own.upper / own.lower) >= np.log(known.upper / known.lower) - 1e-12).all()


def test_a_law_that_says_nothing_is_refused():
    step = np.arange(10.0, 101.0, 10.0)
    wild = LossCurve(step, 5.0 - 0.03 * step, Clock(np.full(T, 1e-3)))
    with pytest.raises(ValueError, match=r"30 %|no positive loss"):
        forecast(wild, law="power")
    assert (forecast(wild).lower > 0).all()


def test_unknown_rates_are_told():
    told = forecast(LossCurve(np.arange(1.0, 30.0), 3.0 + np.arange(1.0, 30.0) ** -0.5), steps=[60])
    assert "rates are not known" in told.explanation


def test_decays_of_what_is_left_end_together():
    seen = run_of(DECAYED, until=2000)
    plans = [planned(seen, text) for text in decays(1000)]
    assert {plan.steps for plan in plans} == {3000}
    assert all(plan.rates[-1] == 0.0 for plan in plans)
    assert [int((plan.rates[2000:] < 1e-3).sum()) for plan in plans] == [50, 100, 200, 300, 500, 700, 1000]
    assert decays(1) == ["now:hold=0,decay=1"]
    with pytest.raises(ValueError, match="left: must be a whole number"):
        decays(0)
