import mpmath as mp
import numpy as np
import pytest

from peakedtheory import student_flow
from peakedtheory.curves.curve import Times
from peakedtheory.curves.law_registry import LAWS, parse_law
from peakedtheory.curves.reductions import LOWEST, Reductions
from peakedtheory.dynamics.closed_forms import finite_beta_star_law
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.families import warmup_cosine, wsd
from peakedtheory.schedules.reading import as_schedule

VALUES = {
    "power": [2.5, 0.7, 0.4],
    "power-steps": [2.5, 40.0, 0.6],
    "finite-beta-star": [2.5, 0.2, 30.0],
    "two-channel": [2.5, 0.6, 200.0, 0.4, 0.1],
    "s1-s2": [2.5, 0.6, 0.7, 0.5, 0.998],
    "multi-power": [2.4, 0.6, 400.0, 0.5, 1.9, 0.6, 0.55],
    "multi-power-held": [2.4, 0.6, 400.0, 0.5, 0.3, 1.0, 0.5],
}


def times_of(schedule, step=None):
    plan = as_schedule(schedule)
    step = np.arange(250.0, plan.steps + 1, 150.0) if step is None else np.asarray(step, dtype=float)
    return Times(step, plan, "")


COSINE = times_of(warmup_cosine(3e-3, 4000, 200, 3e-4))


def test_every_law_is_tried():
    assert set(VALUES) == set(LAWS)


@pytest.mark.parametrize("name", sorted(set(VALUES) - {"finite-beta-star"}))
def test_jacobian_by_complex_step(name):
    law, vector = LAWS[name], np.array(VALUES[name])
    _loss, jacobian, by_time = law.evaluate(COSINE, vector, 0.0)
    assert jacobian.shape == (COSINE.step.size, vector.size)
    for i in range(vector.size):
        shifted = vector.astype(complex)
        shifted[i] += 1e-30j
        expected = law.evaluate(COSINE, shifted, 0.0)[0].imag / 1e-30
        np.testing.assert_allclose(jacobian[:, i], expected, rtol=1e-10, atol=1e-12 * np.abs(expected).max())
    expected = law.evaluate(COSINE, vector.astype(complex), -1e-30j)[0].imag / 1e-30
    np.testing.assert_allclose(by_time, expected, rtol=1e-10)


@pytest.mark.parametrize("law", [LAWS["finite-beta-star"], parse_law("student:n=500,beta_star=9")])
def test_jacobian_by_differences(law):
    vector = np.array(VALUES["finite-beta-star"] if law.name != "student" else [2.0, 1.3, 4e4])
    _, jacobian, by_time = law.evaluate(COSINE, vector, 0.0)
    for i in range(vector.size):
        h = 1e-5 * vector[i]
        up, down = vector.copy(), vector.copy()
        up[i] += h
        down[i] -= h
        expected = (law.evaluate(COSINE, up, 0.0)[0] - law.evaluate(COSINE, down, 0.0)[0]) / (2 * h)
        np.testing.assert_allclose(jacobian[:, i], expected, rtol=2e-6, atol=1e-9 * np.abs(expected).max())
    h = 1e-6
    expected = (law.evaluate(COSINE, vector, -h)[0] - law.evaluate(COSINE, vector, h)[0]) / (2 * h)
    np.testing.assert_allclose(by_time, expected, rtol=2e-5, atol=1e-15 * vector[0] / h)  # rounding of L


def test_power_laws_by_hand():
    tau = COSINE.tau
    np.testing.assert_allclose(
        LAWS["power"].evaluate(COSINE, np.array([2.5, 0.7, 0.4]), 0.1)[0], 2.5 + 0.7 * (tau - 0.1) ** -0.4
    )
    np.testing.assert_allclose(
        LAWS["two-channel"].evaluate(COSINE, np.array(VALUES["two-channel"]), 0.0)[0],
        2.5 + 0.6 * tau**-0.4 + 200.0 * COSINE.learning_rate * tau**-0.1,
    )


def test_finite_beta_star_is_the_closed_form():
    n, star = 1000, 5e3
    tau = np.geomspace(1e3, 1e14, 40)
    exact = finite_beta_star_law(tau, star, n)
    from peakedtheory import low_temperature_expansion

    c2 = low_temperature_expansion(n).coefficients[2]
    at = Times(np.arange(1.0, 41.0), None, "")
    law = LAWS["finite-beta-star"]
    phi = law.basis(at, tau, np.array([n * star**3 / c2]))[0][1]
    np.testing.assert_allclose(c2 / star * phi, exact.loss, rtol=1e-8)


@pytest.mark.parametrize("ratio", [1e-18, 1e-9, 3e-4, 0.02, 1.0, 30.0, 400.0])
def test_the_end_solves_its_equation(ratio):
    from peakedtheory.dynamics.approach import artanh_of_end

    y = mp.findroot(lambda v: v - mp.tanh(v) - mp.mpf(ratio), float(artanh_of_end(np.array(ratio))))
    assert abs(float(artanh_of_end(np.array(ratio))) / float(y) - 1.0) < 1e-10


def test_student_law_is_the_flow():
    law = parse_law("student:n=500,beta_star=9")
    loss = law.predict(COSINE, {"loss_floor": 1.5, "c_eff": 3e4})
    flow = student_flow(3e4 * COSINE.tau, 9.0, 500)
    np.testing.assert_allclose(loss, 1.5 + flow.loss, rtol=1e-6)


def naive_s2(rates, warmup, end, memory):
    total = momentum = 0.0
    for i in range(1, end):
        momentum = memory * momentum + (rates[i - 1] - rates[i] if i >= max(warmup, 1) else 0.0)
        total += momentum
    return total


SCHEDULES = {
    "cosine": warmup_cosine(3e-4, 3000, 100, 3e-5).rates,
    "cosine to zero": warmup_cosine(3e-4, 3000, 100).rates,
    "wsd": wsd(1e-3, 2500, 100, 0.3).rates,
    "jump": as_schedule([(0, 3e-4), (1300, 9e-5)], 2500).rates,
    "staircase": as_schedule([(0, 3e-4), (700, 2e-4), (701, 1e-4), (1500, 2e-4)], 2500).rates,
    "constant": np.full(2000, 1e-3),
    "restarts": np.tile(warmup_cosine(3e-4, 600, 20, 3e-5).rates, 4),
    "ragged": 1e-3 * np.exp(0.1 * np.random.default_rng(0).standard_normal(1500)),
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("memory", [0.9, 0.999])
def test_annealing_area_against_two_loops(name, memory):
    rates = SCHEDULES[name]
    at = times_of(
        rates,
        [1, 2, 90, 101, 700, 1299, 1300, 1301, 1302, 1490, rates.size][: 11 if rates.size > 1490 else 8],
    )
    area = -LAWS["s1-s2"].basis(at, at.tau, np.array([0.5, memory]))[0][2]
    expected = [naive_s2(rates, at.warmup, int(end), memory) for end in at.step]
    np.testing.assert_allclose(area, expected, rtol=1e-8, atol=1e-9 * rates.max() / (1 - memory))


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("shape", [(2.0, 0.6, 0.6), (1e-3, 1.0, 1.3), (300.0, 0.1, 0.0)])
def test_compressed_sums_against_direct_ones(name, shape):
    rates = SCHEDULES[name]
    step = np.unique(np.concatenate([np.arange(1, rates.size, 37), [rates.size]]))
    reductions = Reductions(Clock(rates), step)
    speed, exponent, power = shape
    times = np.concatenate([[0.0], np.cumsum(rates)])
    fall = -np.diff(rates, prepend=0.0)
    weight, rate, distance, _ = reductions.nodes
    gain = 1.0 - (1.0 + speed * np.exp(-power * rate) * distance) ** -exponent
    for value, end in zip(reductions.sum_over_nodes(weight * gain), step, strict=True):
        x = speed * np.maximum(rates[:end], LOWEST * rates.max()) ** -power * (times[end] - times[:end])
        terms = fall[:end] * (1.0 - (1.0 + x) ** -exponent)
        assert abs(value - terms.sum()) <= 3e-5 * np.abs(terms).sum() + 1e-18


def test_compression_is_worth_it():
    step = np.arange(1000, 40001, 200)
    reductions = Reductions(warmup_cosine(3e-4, 40000, 1000, 3e-5), step)
    assert reductions.nodes[0].size < 0.01 * step.sum()


def test_constant_rate_leaves_no_annealing():
    at = times_of(np.full(500, 1e-3), [10, 100, 500])
    assert (LAWS["s1-s2"].basis(at, at.tau, np.array([0.5, 0.99]))[0][2] == 0).all()


def test_laws_are_parsed():
    law = parse_law("power:alpha=1/3")
    assert law.free == ("loss_floor", "amplitude")
    assert parse_law(law) is law
    assert parse_law("multi-power-held").free == (
        "loss_floor",
        "amplitude",
        "annealing_amplitude",
        "alpha",
        "annealing_speed",
    )
    for law in LAWS.values():
        assert law.formula.startswith("L = L_\\infty")
        assert law.source
        assert len(set(law.names)) == len(law.names)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cubic", "must be one of power"),
        ("power:alpha", "name=number"),
        ("power:alpha=1/0", "name=number"),
        ("power:gamma=1", "has the parameters loss_floor, amplitude, alpha"),
        ("power:alpha=-1", "must be from"),
        ("student:n=100", "needs n and beta_star"),
        ("student:n=1,beta_star=3", "n"),
    ],
)
def test_bad_laws_say_so(text, words):
    with pytest.raises(ValueError, match=words):
        parse_law(text)


def test_missing_parameters_say_so():
    with pytest.raises(ValueError, match="no alpha"):
        LAWS["power"].predict(COSINE, {"loss_floor": 1.0, "amplitude": 1.0})
