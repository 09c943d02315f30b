"""Sampled labels: their noise, entropy and floor, and the flows of all optimizers beside training."""

import math

import numpy as np
import pytest
import simulator
from scipy.integrate import solve_ivp

from peakedtheory.dynamics.force import student_force
from peakedtheory.dynamics.mean_sign import mean_ratio
from peakedtheory.dynamics.noise import noise_variance
from peakedtheory.dynamics.optimizers import SGD, Adam, GradientFlow, SignGD
from peakedtheory.dynamics.student import student_flow
from peakedtheory.exact.thermodynamics import thermodynamics
from peakedtheory.schedules import MovingAverage, TailAverage
from peakedtheory.validation import Case, train

INF = math.inf


@pytest.mark.parametrize(
    ("n", "d", "rho", "star"), [(2, 1.0, 0.5, 2.0), (16, 3.0, 1.0, 5.0), (128, 8.0, 2.0, 10.0)]
)
def test_noise_of_drawn_labels_by_plain_sampling(n, d, rho, star):
    """⟨Σ(p - e)²⟩ = V + Φ'(β*)/β*."""
    rng = np.random.default_rng(5)
    z, w = rng.standard_normal((2, 2_000_000 // n, n))
    error = np.exp(simulator.log_softmax(d * z + rho * w)) - simulator.drawn_labels(star * z, rng)
    squares = (error**2).sum(axis=1)
    expected = noise_variance(d, rho, star, n) + student_force(star, float(n)).label_noise
    assert expected == pytest.approx(squares.mean(), abs=4.0 * squares.std() / math.sqrt(squares.size))


@pytest.mark.parametrize("star", [0.7, 3.0, 20.0])
def test_of_gaussian_logits_labels_are_known_exactly(star):
    force, exact = student_force(star, 128.0), thermodynamics(star, 128)
    assert force.label_noise == pytest.approx(-exact.internal_energy / star, rel=1e-9)
    assert force.label_entropy == pytest.approx(exact.entropy, rel=1e-7)


def test_labels_of_finite_width_by_plain_sampling():
    rng, width, n = np.random.default_rng(4), 16, 32
    entries = rng.uniform(-1, 1, (40_000, n, width)) * math.sqrt(3 / width)
    x = rng.standard_normal((40_000, width))
    y = np.einsum("snm,sm->sn", entries, x * np.sqrt(width / (x * x).sum(axis=1))[:, None])
    for star in (2.0, 8.0):
        force, log_q = student_force(star, float(n), float(width)), simulator.log_softmax(star * y)
        noise, entropy = 1.0 - np.exp(2.0 * log_q).sum(axis=1), -(np.exp(log_q) * log_q).sum(axis=1)
        for found, values in ((force.label_noise, noise), (force.label_entropy, entropy)):
            error = 4.0 * values.std() / math.sqrt(values.size)
            assert found == pytest.approx(values.mean(), abs=error + 0.005 * values.mean())


def test_infinitely_cold_teachers_have_one_kind_of_labels():
    flows = [
        student_flow([1e3], INF, 128, optimizer=SGD(4.0, 64), labels=kind)
        for kind in ("soft", "hard", "sampled")
    ]
    assert {flow.labels for flow in flows} == {"hard"}
    assert len({float(flow.loss[0]) for flow in flows}) == 1
    assert flows[0].label_entropy == 0.0
    assert student_force(INF, 128.0, 32.0).label_noise == 0.0


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("noisy", "labels: must be soft, hard or sampled, got 'noisy'"),
        (None, "labels: must be soft, hard or sampled"),
        ("hard", "labels: must be soft or sampled at a finite beta_star, got 'hard' at 10"),
    ],
)
def test_impossible_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        student_flow([1.0], 10.0, 128, labels=labels)


def test_the_mean_gradient_is_that_of_soft_labels():
    tau = np.geomspace(1.0, 1e5, 9)
    for optimizer in (GradientFlow(), GradientFlow(width=32), SGD(1e-9, 64, 32)):
        soft, drawn = (
            student_flow(tau, 10.0, 128, optimizer=optimizer, labels=k) for k in ("soft", "sampled")
        )
        np.testing.assert_allclose(drawn.loss, soft.loss, rtol=1e-4, atol=1e-6)


def test_two_variables_with_drawn_labels_at_infinite_width():
    """dD/dt and dρ²/dt of Eqs. 3, 4, 9 and 51 by another integrator, with V by its quadrature."""
    star, n, ratio = 5.0, 16, 0.8
    exact = thermodynamics(star, n)
    top, extra = -float(exact.internal_energy), -float(exact.internal_energy) / star

    def rates(tau, y):
        beta = math.hypot(y[0], math.sqrt(max(y[1], 0.0)))
        rise = -float(thermodynamics(beta, n).internal_energy) if beta > 1e-6 else (1 - 1 / n) * beta
        k = rise / max(beta, 1e-6) / n
        v = noise_variance(y[0], math.sqrt(max(y[1], 0.0)), star, n) + extra
        # The common shift of all rows takes no part, so that the other directions gain and relax the faster.
        return [top / n - k * y[0], (ratio * v / n - 2 * k * y[1]) / (1 - 1 / n)]

    tau = np.array([3.0, 20.0, 100.0, 300.0])
    y = solve_ivp(rates, (0.0, 300.0), [0.0, 0.0], t_eval=tau, rtol=1e-6, atol=1e-8).y
    wide = 1e9
    flow = student_flow(tau, star, n, optimizer=SGD(1.0, wide / ratio, wide), labels="sampled")
    np.testing.assert_allclose(flow.alignment, y[0], rtol=1e-3)
    np.testing.assert_allclose(flow.residual, np.sqrt((1 - 1 / n) * y[1]), rtol=1e-3)


@pytest.mark.parametrize("star", [2.0, 10.0])
def test_constant_rates_settle_on_a_floor(star):
    """ρ² = ηm/2B and L = (ηm/4B) Φ'(β*)/β* to first order in ηm/B, whatever the spectrum of rates (Eq. 53)."""
    noise = student_force(star, 128.0, 32.0).label_noise
    for ratio in (0.01, 0.1):
        flow = student_flow([1e7], star, 128, optimizer=SGD(2.0 * ratio, 64, 32), labels="sampled")
        assert flow.residual[0] ** 2 == pytest.approx((1 - 1 / 128) * ratio / 2, rel=0.7 * ratio)
        assert flow.loss[0] == pytest.approx(0.25 * ratio * noise, rel=0.7 * ratio)


@pytest.mark.parametrize("star", [2.0, 5.0, 30.0])
def test_next_order_of_the_floor(star):
    """Eq. 54: what V(ρ), the slope of Φ'/β and the shift of D add; the rest is of third order in ηm/B."""
    n, h = 128, 1e-3 * star
    near = thermodynamics(np.array([star - h, star, star + h]), n)
    gain = -np.asarray(near.internal_energy) / np.array([star - h, star, star + h])
    slope, variance = (gain[2] - gain[0]) / (2 * h), float(np.asarray(near.energy_variance)[1])
    curvature = noise_variance(star, 0.01, star, n) / 0.01**2
    second = 0.5 * (curvature / gain[1] - slope / (4 * star * variance))
    for ratio in (0.1, 0.4):
        flow = student_flow([1e9], star, n, optimizer=SGD(1.0, 1e9 / ratio, 1e9), labels="sampled")
        relative = flow.loss[0] / (0.25 * ratio * gain[1]) - 1.0
        assert relative == pytest.approx(second * ratio, abs=0.1 * ratio**2 + 2e-4)


@pytest.mark.parametrize(
    ("n", "d", "rho", "star"),
    [(32, 0.5, 1.0, 5.0), (32, 3.0, 0.7, 4.0), (128, 3.0, 5.0, 10.0), (128, 0.3, 0.5, 3.0)],
)
def test_mean_sign_of_drawn_labels_by_plain_sampling_of_batches(n, d, rho, star):
    batch, rng = 24, np.random.default_rng(8)
    z, w = rng.standard_normal((2, 128000 // n, batch, n))
    error = np.exp(simulator.log_softmax(d * z + rho * w)) - simulator.drawn_labels(star * z, rng)
    size = np.sqrt((error**2).sum(axis=1))
    along = -(error * z).sum(axis=1) / size
    across = (error * w).sum(axis=1) / size / rho
    for value, expected in zip(mean_ratio(d, rho, star, n, batch, True), (along, across), strict=True):
        noise = expected.mean(axis=1).std() / math.sqrt(expected.shape[0])
        assert value == pytest.approx(expected.mean(), abs=5 * noise, rel=0.05)


def trained(star, rate, batch, steps, optimizer="sgd", teachers=4):
    weights = simulator.teachers(128, 32, star, range(teachers))
    return simulator.train(
        weights,
        np.full(steps[-1], rate),
        batch,
        sampled=True,
        optimizer=optimizer,
        record=steps,
        seed=1,
        samples=4096,
    )


@pytest.mark.parametrize(("star", "rate"), [(5.0, 4.0), (10.0, 1.0)])
def test_sgd_on_drawn_labels_against_training(star, rate):
    run = trained(star, rate, 64, [30, 100, 300])
    flow = student_flow(run.tau, star, 128, optimizer=SGD(rate, 64, 32), labels="sampled")
    np.testing.assert_allclose(flow.beta, run.beta.mean(axis=1), rtol=0.05)
    np.testing.assert_allclose(flow.loss, run.loss.mean(axis=1), rtol=0.10)


def test_adam_on_drawn_labels_against_training():
    run = trained(5.0, 0.03, 64, [30, 100, 300], "adam")
    flow = student_flow(run.tau, 5.0, 128, optimizer=Adam(0.03, 64, 32), labels="sampled")
    np.testing.assert_allclose(flow.beta, run.beta.mean(axis=1), rtol=0.10)
    np.testing.assert_allclose(flow.loss, run.loss.mean(axis=1), rtol=0.20)


@pytest.mark.slow
def test_sign_descent_on_drawn_labels_against_training():
    run = trained(10.0, 0.003, 512, [30, 100, 300], "signgd", teachers=2)
    flow = student_flow(run.tau, 10.0, 128, optimizer=SignGD(0.003, 512, 32), labels="sampled")
    np.testing.assert_allclose(flow.beta, run.beta.mean(axis=1), rtol=0.05)
    np.testing.assert_allclose(flow.loss, run.loss.mean(axis=1), rtol=0.10)


def test_efficiency_is_what_the_loss_has_used():
    flow = student_flow([0.0, 100.0, 4000.0], 5.0, 128, optimizer=SGD(4.0, 64, 32), labels="sampled")
    np.testing.assert_allclose(flow.examples, [0.0, 1600.0, 64000.0])
    np.testing.assert_allclose(flow.efficiency[1:], 127 * 32 / (2 * flow.examples[1:] * flow.loss[1:]))
    assert flow.efficiency[0] == INF
    assert flow.to_xarray().efficiency.values[2] == flow.efficiency[2]
    assert student_flow(1.0, 5.0, 128).examples is None
    with pytest.raises(ValueError, match="optimizer: must draw examples, got GradientFlow"):
        student_flow(1.0, 5.0, 128).efficiency  # noqa: B018


def test_one_relaxation_rate_uses_every_example():
    """η = 1/(kt) from near the teacher: L = nm/(2Bt), whose efficiency is 1 - 1/n, where rates are all alike (Eq. 55)."""
    star, n, batch, steps = 5.0, 128, 1e6, 4000
    k = student_force(star, float(n)).label_noise / n
    rates = 1.0 / (k * (np.arange(1, steps + 1) + 100.0))
    wide = 1e4
    flow = student_flow(
        [rates.sum()],
        star,
        n,
        optimizer=SGD(1.0, batch, wide),
        alignment0=star,
        schedule=rates,
        labels="sampled",
    )
    assert flow.efficiency[0] == pytest.approx(1.0, rel=0.08)


@pytest.mark.parametrize("average", [MovingAverage(1.0), TailAverage(1e-9)])
@pytest.mark.parametrize("optimizer", [SGD(4.0, 64, 32), Adam(0.02, 64, 32)])
def test_averages_of_one_step_are_the_weights(average, optimizer):
    tau = np.array([50.0, 200.0]) * optimizer.learning_rate
    own, mean = (student_flow(tau, 5.0, 128, optimizer=optimizer, average=a) for a in (None, average))
    for name in ("loss", "beta", "residual"):
        np.testing.assert_allclose(getattr(mean, name), getattr(own, name), rtol=2e-4)
    # An averaged run has an end, where the slope is taken on one side.
    np.testing.assert_allclose(mean.local_exponent, own.local_exponent, rtol=5e-3)


@pytest.mark.parametrize("average", [MovingAverage(60.0), TailAverage(0.5)])
@pytest.mark.parametrize("optimizer", [SGD(4.0, 64, 32), Adam(0.02, 64, 32)])
def test_averaged_weights_against_training(average, optimizer):
    steps = np.array([100, 400])
    cases = [Case(5.0, optimizer, labels="sampled", average=average, teacher=t, seed=t) for t in range(4)]
    run = train(cases, 400, record=steps, test_samples=2048)
    flow = student_flow(
        steps * optimizer.learning_rate, 5.0, 128, optimizer=optimizer, labels="sampled", average=average
    )
    np.testing.assert_allclose(flow.beta, run.beta.mean("case"), rtol=0.05)
    np.testing.assert_allclose(flow.loss, run.loss.mean("case"), rtol=0.10)


def test_averages_need_steps_that_are_followed():
    for optimizer in (GradientFlow(width=32), SignGD(0.01)):
        with pytest.raises(
            ValueError, match="average: must be a MovingAverage or TailAverage, by SGD or Adam"
        ):
            student_flow([1.0], 5.0, 128, optimizer=optimizer, average=TailAverage(0.5))
