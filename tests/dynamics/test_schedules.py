import math

import numpy as np
import pytest
import simulator
from scipy.integrate import quad

from peakedtheory import schedules
from peakedtheory.dynamics.late_time import (
    annealing,
    annealing_limit,
    asymptotic_rate,
    decay_exponent,
)
from peakedtheory.dynamics.optimizers import SGD, Adam, GradientFlow, Muon
from peakedtheory.dynamics.tuning import (
    FAMILIES,
    best_of_family,
    optimal_learning_rate,
    optimal_schedule,
)
from peakedtheory.schedules.reading import as_schedule, dynamic_time, parse_schedule

RULE = SGD(batch=64, width=32)


def naive_cosine(peak, steps, warmup, final):
    out = []
    for t in range(1, steps + 1):
        if t <= warmup:
            out.append(peak * t / warmup)
        else:
            u = (t - warmup) / (steps - warmup)
            out.append(final + (peak - final) * (1 + math.cos(math.pi * u)) / 2)
    return np.array(out)


def test_cosine_by_hand():
    plan = parse_schedule("cosine:peak=3e-4,warmup=21,steps=720,final=3e-5")
    np.testing.assert_allclose(plan.rates, naive_cosine(3e-4, 720, 21, 3e-5), rtol=1e-14)
    np.testing.assert_allclose(dynamic_time(plan)[1:], np.cumsum(plan.rates), rtol=1e-14)


@pytest.mark.parametrize(
    "text",
    [
        "constant:peak=0.1,steps=50",
        "constant:peak=0.0123456789,steps=50",
        "linear:peak=0.1,steps=50",
        "power:peak=0.1,steps=50,power=2",
        "wsd:peak=0.1,steps=50,warmup=5,decay=10",
        "1-sqrt:peak=0.1,steps=50,decay=0.2",
        "hyperbolic:peak=0.1,steps=50",
        "steps:0=0.1,20=0.01,steps=50",
    ],
)
def test_names_are_read_back(text):
    plan = parse_schedule(text)
    assert plan.steps == 50
    assert plan.rates[10:15].max() <= 0.1
    np.testing.assert_array_equal(parse_schedule(plan.name).rates, plan.rates)


def test_wsd_is_flat_then_falls_to_its_final_rate():
    plan = schedules.wsd(1.0, 100, warmup=10, decay=0.2, final=0.1)
    np.testing.assert_array_equal(plan.rates[10:80], 1.0)
    np.testing.assert_allclose(np.diff(plan.rates[79:]), -0.9 / 20, rtol=1e-10)
    assert schedules.one_minus_sqrt(1.0, 100, decay=20).rates[84] == pytest.approx(1 - math.sqrt(0.25))


def test_every_form_of_a_schedule_is_understood():
    expected = np.array([1.0, 1.0, 0.5])
    for given in (expected, [1.0, 1.0, 0.5], [(0, 1.0), (2, 0.5)], lambda t: 1.0 if t < 2 else 0.5):
        np.testing.assert_array_equal(as_schedule(given, 3).rates, expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: as_schedule([1.0, 2.0], 3), "must have 3 steps"),
        (lambda: as_schedule([1.0, -2.0]), "rates >= 0"),
        (lambda: as_schedule([0.0, 0.0]), "positive rate"),
        (lambda: as_schedule(lambda t: 1.0), "steps"),
        (lambda: as_schedule([(0, 1.0)]), "steps"),
        (lambda: as_schedule([(1, 1.0)], 5), "ascending"),
        (lambda: as_schedule(np.ones((2, 2))), "one-dimensional"),
        (lambda: parse_schedule("cosin:peak=1,steps=3"), "one of"),
        (lambda: parse_schedule("cosine:peak=1"), "how many steps"),
        (lambda: parse_schedule("cosine:peak=1,steps=9,power=2"), "takes"),
        (lambda: parse_schedule("cosine:steps=9"), "no peak"),
        (lambda: parse_schedule("cosine:peak=x"), "name=number"),
        (lambda: parse_schedule("steps:a=1,steps=4"), "step=rate"),
        (lambda: schedules.constant(1.0, 0), "steps"),
        (lambda: schedules.constant(-1.0, 5), "peak"),
        (lambda: schedules.warmup_cosine(1.0, 5, warmup=5), "warmup"),
        (lambda: schedules.wsd(1.0, 10, warmup=5, decay=6), "decay"),
        (lambda: schedules.power_decay(1.0, 10, power=-1), "power"),
        (lambda: optimal_learning_rate(None, math.inf, 128, optimizer=Adam(batch=64, width=32)), "steps"),
        (
            lambda: optimal_learning_rate(100, math.inf, 128, optimizer="sgd"),
            r"optimizer: .* build one, .*SGD\(",
        ),
        (
            lambda: optimal_learning_rate(100, math.inf, 128, optimizer=SGD),
            "optimizer: .* got SGD; build one",
        ),
        (lambda: optimal_schedule(100, math.inf, 128, optimizer=GradientFlow()), "optimizer: .* build one"),
        (lambda: best_of_family("linear", 100, math.inf, 128, optimizer=Muon()), "optimizer: .* build one"),
        (lambda: best_of_family("lin", 100, math.inf, 128, optimizer=RULE), "family"),
        (lambda: optimal_schedule(5, math.inf, 128, optimizer=RULE), "steps"),
        (lambda: annealing(0.0, 100, optimizer=RULE), "cap: must be"),
    ],
)
def test_bad_input_gets_one_line(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def naive_boundary_noise(rho):
    def over_u(xi):
        return quad(
            lambda u: (1 / (1 + math.exp(min(u + math.sqrt(2) * rho * xi, 700.0)))) ** 2, 0, 60 + 15 * rho
        )[0]

    density = 1 / math.sqrt(2 * math.pi)
    return 2 * quad(lambda xi: over_u(xi) * density * math.exp(-xi * xi / 2), -9, 9, points=[0], limit=200)[0]


@pytest.mark.parametrize("rho", [0.0, 0.3, 2.0])
def test_boundary_noise_by_its_definition(rho):
    from peakedtheory.dynamics.boundary import boundary_noise

    assert boundary_noise(rho) == pytest.approx(naive_boundary_noise(rho), rel=1e-7)


def test_best_constant_rate_minimises_the_late_loss():
    from peakedtheory.dynamics.boundary import boundary_noise

    ratio, rho, share = asymptotic_rate()

    def cost(r):
        return (math.pi**2 / 12 + r * r / 2) ** 2 * boundary_noise(r) / r**2

    grid = np.linspace(0.5, 1.5, 2001)
    assert grid[np.argmin([cost(r) for r in grid])] == pytest.approx(rho, abs=5e-4)
    assert ratio == pytest.approx(2 * rho**2 / boundary_noise(rho))
    assert share == pytest.approx(rho**2 / 2 / (math.pi**2 / 12 + rho**2 / 2))


def test_annealing_limit_by_naive_quadrature():
    from peakedtheory.dynamics.boundary import boundary_noise

    constant, final, rate = annealing_limit()

    def cost(rho):
        left = quad(lambda x: 2 * boundary_noise(math.exp(x)) * math.exp(-2 * x), math.log(rho), 30)[0]
        return (math.pi**2 / 12 + rho**2 / 2) * left

    assert cost(final) == pytest.approx(constant, rel=1e-5)
    assert min(cost(final * 0.97), cost(final * 1.03)) > constant
    assert rate == pytest.approx(final**2 / boundary_noise(final))
    plan = annealing(1e9, 1000, optimizer=RULE)
    assert plan.rates[-1] * 32 / 64 == pytest.approx(rate, rel=0.01)
    assert plan.rates[0] / plan.rates[9] == pytest.approx(19, rel=0.1)


def test_optimum_of_finite_runs_approaches_the_limit():
    limit = optimal_learning_rate(None, math.inf, 128, optimizer=RULE)
    near = optimal_learning_rate(30_000, math.inf, 128, optimizer=RULE)
    assert near.learning_rate == pytest.approx(limit.learning_rate, rel=0.06)
    assert near.tangential_fraction == pytest.approx(limit.tangential_fraction, abs=0.02)
    assert near.exponent == pytest.approx(1 / 3, abs=0.01)


def test_tuned_exponents_of_decaying_families():
    # At a width so large that all directions relax alike; only B/m matters then.
    rule = SGD(batch=64e5, width=32e5)
    losses = {
        name: [best_of_family(name, steps, math.inf, 128, optimizer=rule).loss for steps in (10_000, 40_000)]
        for name in ("linear", "square", "annealing")
    }
    slopes = {name: math.log(a / b) / math.log(4) for name, (a, b) in losses.items()}
    assert slopes["linear"] == pytest.approx(decay_exponent(1), abs=0.05)
    assert slopes["square"] == pytest.approx(decay_exponent(2), abs=0.05)
    assert slopes["annealing"] == pytest.approx(1.0, abs=0.06)
    scaled = losses["annealing"][1] * 64 * 40_000 / (128 * 32)
    assert scaled == pytest.approx(annealing_limit()[0], rel=0.12)


@pytest.mark.slow
def test_free_schedule_beats_every_family():
    result = optimal_schedule(1000, math.inf, 128, optimizer=RULE)
    assert {f.name for f in result.families} == set(FAMILIES)
    assert result.loss <= result.families[0].loss * (1 + 1e-9)
    assert result.loss == pytest.approx(result.families[0].loss, rel=0.05)
    assert "annealing" in repr(result)


def test_tuning_reports_every_family_and_the_free_shape():
    seen = []
    result = optimal_schedule(
        20,
        math.inf,
        128,
        optimizer=RULE,
        families=("constant", "linear"),
        progress=lambda *both: seen.append(both),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert result.loss <= result.families[0].loss


def test_a_teacher_that_is_reached_to_all_digits_has_a_schedule_too():
    # the flow ends at rounding, or at zero, for many schedules: nothing tells them apart, nothing fails
    result = optimal_schedule(200, 0.5, 8, optimizer=SGD(batch=1e5, width=8), families=("square",))
    assert 0.0 <= result.loss < 1e-14
    assert 0.0 <= result.families[0].tangential_fraction <= 1.0


@pytest.mark.parametrize("name", ["linear", "cosine", "annealing"])
def test_tuned_schedules_against_training(name):
    best = best_of_family(name, 300, math.inf, 128, optimizer=RULE)
    star = simulator.teachers(128, 32, math.inf, range(8))
    trained = simulator.train(star, best.schedule.rates, 64, hard=True, record=[300], samples=8192, seed=7)
    assert best.loss == pytest.approx(trained.loss.mean(), rel=0.10)


@pytest.mark.nightly
@pytest.mark.parametrize("steps", [300, 1000, 3000])
def test_ranking_of_families_against_training(steps):
    star = simulator.teachers(128, 32, math.inf, range(8))
    names = ["constant", "wsd", "cosine", "linear", "square", "hyperbolic", "annealing"]
    predicted, measured = [], []
    for name in names:
        best = best_of_family(name, steps, math.inf, 128, optimizer=RULE)
        run = simulator.train(star, best.schedule.rates, 64, hard=True, record=[steps], samples=16384, seed=7)
        predicted.append(best.loss)
        measured.append(run.loss.mean())
    np.testing.assert_allclose(predicted, measured, rtol=0.10)
    # Pairs predicted to differ by more than the bar must be ordered as predicted.
    for i, j in np.ndindex(7, 7):
        if predicted[i] < 0.88 * predicted[j]:
            assert measured[i] < measured[j]


def test_adam_families_are_tuned_on_its_own_flow():
    result = optimal_schedule(
        100,
        math.inf,
        128,
        optimizer=Adam(batch=64, width=32),
        families=("constant", "linear", "annealing"),
        refine=False,
    )
    assert [f.name for f in result.families] == ["linear", "constant"]
    assert result.exponent is None
    assert "linear" in repr(result)


def test_what_an_optimizer_remembers_counts_and_its_rate_does_not():
    slow = Adam(3.0, 64, 32, beta2=0.99, beta1=0.0)
    best = optimal_learning_rate(50, math.inf, 128, optimizer=slow)
    assert best == optimal_learning_rate(
        50, math.inf, 128, optimizer=Adam(0.1, 64, 32, beta2=0.99, beta1=0.0)
    )
    assert best != optimal_learning_rate(50, math.inf, 128, optimizer=Adam(3.0, 64, 32))
    plan = optimal_schedule(50, math.inf, 128, optimizer=slow, families=("constant",), refine=False)
    assert plan.flow.optimizer == Adam(plan.schedule.peak, 64, 32, beta2=0.99, beta1=0.0)
