import math

import numpy as np
import pytest
import simulator
from scipy.integrate import solve_ivp

from peakedtheory import loss, misaligned_loss, thermodynamics
from peakedtheory._common.panels import gauss_panels
from peakedtheory.dynamics.boundary import boundary_noise
from peakedtheory.dynamics.closed_forms import (
    exponential_end,
    finite_beta_star_law,
    linear_start,
    power_law,
)
from peakedtheory.dynamics.force import student_force
from peakedtheory.dynamics.interpolant import Interpolant, interpolant
from peakedtheory.dynamics.noise import noise_table, noise_variance
from peakedtheory.dynamics.optimizers import SGD, Adam, GradientFlow, SignGD
from peakedtheory.dynamics.softmax_overlap import softmax_overlap
from peakedtheory.dynamics.student import student_flow
from peakedtheory.energies.atoms import Discrete
from peakedtheory.energies.normal import STANDARD_NORMAL
from peakedtheory.schedules.families import constant, warmup_cosine, wsd

INF = math.inf


@pytest.mark.parametrize("n", [2, 128, 50304, 10**12])
def test_interpolant_is_as_accurate_as_it_says(n):
    table = Interpolant(n, STANDARD_NORMAL)
    beta = np.geomspace(1e-3, min(0.9 * table.top, 1e4), 37)
    exact = thermodynamics(beta, n)
    assert table.error < 1e-10
    np.testing.assert_allclose(table.variance(beta), exact.energy_variance, rtol=3e-10)
    np.testing.assert_allclose([table.drive(b) for b in beta], table.drives(beta), rtol=1e-13)
    np.testing.assert_allclose(table.slope - table.drives(beta), -exact.internal_energy, rtol=1e-10)
    np.testing.assert_allclose(table.slope * beta + table.hard_loss(beta), exact.log_partition, rtol=1e-11)
    np.testing.assert_allclose(table.hard_loss(beta) + beta * table.drives(beta), exact.entropy, rtol=1e-9)


@pytest.mark.parametrize(("n", "rtol"), [(2, 5e-10), (64, 5e-10), (128, 5e-10), (10**12, 5e-10)])
def test_interpolant_keeps_the_loss_to_its_top(n, rtol):
    table = Interpolant(n, STANDARD_NORMAL)
    beta = np.array([10.0, 100.0, 0.1 * table.top, 0.999 * table.top])
    np.testing.assert_allclose(table.hard_loss(beta), loss(beta, np.inf, n), rtol=rtol)


def test_interpolant_of_degenerate_atoms_leaves_no_entropy_of_the_ground_state():
    energies = Discrete([0.0, 1.0], [0.3, 0.7])
    beta = np.array([1.0, 5.0, 20.0])
    table = interpolant(8, energies)
    np.testing.assert_allclose(table.hard_loss(beta), loss(beta, np.inf, 8, energies), rtol=3e-3)


def test_interpolant_knows_the_mean_maximum():
    assert interpolant(128).slope == pytest.approx(2.5945973686, abs=1e-10)
    assert interpolant(50304).slope == pytest.approx(4.2318320420, abs=1e-10)


def test_interpolant_of_a_gapped_spectrum():
    energies = Discrete([0.0, 1.0])
    table = Interpolant(16, energies)
    beta = np.array([0.5, 3.0, 10.0])
    np.testing.assert_allclose(
        table.variance(beta), thermodynamics(beta, 16, energies).energy_variance, rtol=1e-3
    )
    assert table.drive(200.0) < 1e-20


def test_aligned_loss_keeps_its_digits():
    table = interpolant(128)
    for beta, star in ((0.0, 5.0), (2.0, 50.0), (49.0, 50.0), (60.0, 50.0)):
        expected = loss(beta, star, 128)
        assert float(table.aligned_loss(np.array(beta), star)) == pytest.approx(expected, rel=1e-7)
    tiny = float(table.aligned_loss(np.array(50.0 * (1 - 1e-8)), 50.0))
    assert tiny == pytest.approx(0.5 * float(table.variance(np.array(50.0))) * (50e-8) ** 2, rel=1e-6)


def naive_flow(tau, beta_star, n, alignment0, residual0, decay):
    """The two-variable flow in plain τ, from the exact engine."""
    slope_star = -thermodynamics(beta_star, n).internal_energy

    def rhs(_, y):
        beta = max(math.hypot(*y), 1e-9)
        ratio = -thermodynamics(beta, n).internal_energy / beta
        return [(slope_star - ratio * y[0]) / n - decay * y[0], -ratio * y[1] / n - decay * y[1]]

    return solve_ivp(
        rhs, (0, tau[-1]), [alignment0, residual0], t_eval=tau, rtol=1e-8, atol=1e-10, method="LSODA"
    ).y


@pytest.mark.parametrize(("start", "decay"), [((0.0, 0.0), 0.0), ((0.0, 6.0), 0.0), ((12.0, 0.5), 2e-3)])
def test_flow_by_naive_integration(start, decay):
    tau = np.array([1.0, 30.0, 400.0, 2000.0])
    flow = student_flow(tau, 9.0, 32, alignment0=start[0], residual0=start[1], weight_decay=decay)
    expected = naive_flow(tau, 9.0, 32, *start, decay)
    np.testing.assert_allclose(flow.alignment, expected[0], rtol=1e-6)
    np.testing.assert_allclose(flow.residual, expected[1], rtol=1e-5, atol=1e-8)
    exact = misaligned_loss(flow.alignment, flow.residual, 9.0, 32)
    np.testing.assert_allclose(flow.loss, exact.total, rtol=1e-8)
    np.testing.assert_allclose(flow.tangential_loss, exact.tangential, rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize(("star", "residual"), [(INF, 0.0), (100.0, 50.0), (1e4, 0.0), (0.3, 2.0)])
def test_twelve_decades_of_time(star, residual):
    tau = np.geomspace(1.0, 1e12, 200)
    flow = student_flow(tau, star, 50304, residual0=residual)
    for value in (flow.beta, flow.loss, flow.local_exponent):
        assert np.isfinite(value).all()
    assert (np.diff(flow.loss) <= 1e-12).all()
    if math.isinf(star):
        assert flow.local_exponent[-1] == pytest.approx(1 / 3, abs=1e-3)


def test_local_exponent_is_the_slope_of_the_loss():
    step = 3e-3
    tau = np.geomspace(10, 1e5, 40)[:, None] * np.exp([-step, 0.0, step])
    for start, optimizer in ((10.0, SGD(0.5, 256, 32)), (0.0, Adam(0.05, 64, 32)), (3.0, GradientFlow())):
        flow = student_flow(tau.ravel(), 30.0, 128, residual0=start, optimizer=optimizer)
        loss = np.log(flow.loss).reshape(tau.shape)
        slope = (loss[:, 0] - loss[:, 2]) / (2 * step)
        np.testing.assert_allclose(flow.local_exponent[1::3], slope, rtol=5e-3, atol=1e-3)


def test_student_beyond_its_teacher_relaxes_back():
    flow = student_flow([0.0, 1e3, 1e6], 5.0, 128, alignment0=20.0)
    assert flow.beta[0] == pytest.approx(20.0)
    assert flow.beta[0] > flow.beta[1] > 5.0
    assert flow.beta[2] == pytest.approx(5.0, rel=1e-6)


def test_sharp_drop_dip_and_collapse():
    tau = np.geomspace(1, 1e7, 300)
    runs = [student_flow(tau, 96.2, 128, residual0=r * 96.2) for r in (0.0, 0.2, 0.5)]
    assert runs[2].beta.min() < 0.6 * runs[2].beta[0]
    late = [run.loss[-20] for run in runs]
    assert max(late) / min(late) < 1.1


def test_closed_forms_meet_the_flow():
    flow = student_flow([1e-3], INF, 128)
    assert linear_start(1e-3, INF, 128).beta == pytest.approx(flow.beta[0], rel=1e-4)
    assert linear_start(1e-3, INF, 128).loss == pytest.approx(flow.loss[0], rel=1e-8)
    late = student_flow([1e9], INF, 128)
    assert power_law(1e9, 128).beta == pytest.approx(late.beta[0], rel=2e-2)
    assert power_law(1e9, 128).loss == pytest.approx(late.loss[0], rel=2e-2)
    star, start = 5.0, 4.99
    end = student_flow([3e3], star, 128, alignment0=start)
    closed = exponential_end(3e3, star, 128, star - start)
    assert closed.beta - star == pytest.approx(end.beta[0] - star, rel=5e-3)
    assert closed.loss == pytest.approx(end.loss[0], rel=1e-2)


def test_finite_teacher_law_crosses_from_power_to_exponential():
    star, n = 3e3, 128
    c2 = math.pi**2 / 12 * interpolant(n).slope
    unit = n * star**3 / c2
    tau = unit * np.array([1e-4, 1e-2, 0.3, 2.0])
    law = finite_beta_star_law(tau, star, n)
    b = law.beta / star
    np.testing.assert_allclose(np.arctanh(b) - b, tau / unit, rtol=1e-8)
    np.testing.assert_allclose(law.loss, c2 / star * (1 - b) ** 2 / b, rtol=1e-6)
    flow = student_flow(tau, star, n)
    np.testing.assert_allclose(law.loss, flow.loss, rtol=2e-2)


@pytest.mark.parametrize("star", [INF, 100.0, 10.0])
@pytest.mark.parametrize(("d", "rho"), [(1.0, 0.5), (3.0, 3.0), (10.0, 0.1), (30.0, 5.0)])
def test_noise_variance_by_plain_sampling(star, d, rho):
    rng = np.random.default_rng(5)
    z, w = rng.standard_normal((2, 20_000, 128))
    p = np.exp(simulator.log_softmax(d * z + rho * w))
    q = simulator.labels(star * z if math.isfinite(star) else z, math.isinf(star))
    values = ((p - q) ** 2).sum(axis=1)
    assert abs(noise_variance(d, rho, star, 128) - values.mean()) < 4 * values.std() / math.sqrt(values.size)


def test_noise_of_many_classes_by_plain_sampling():
    rng = np.random.default_rng(6)
    z, w = rng.standard_normal((2, 3000, 2000))
    for d, rho in ((0.5, 0.2), (3.0, 0.5), (3.0, 3.0), (10.0, 1.0)):
        p = np.exp(simulator.log_softmax(d * z + rho * w))
        values = ((p - simulator.labels(z, True)) ** 2).sum(axis=1)
        error = values.std() / math.sqrt(values.size)
        assert abs(noise_variance(d, rho, INF, 2000) - values.mean()) < 4 * error


@pytest.mark.parametrize("n", [2, 128, 50304, 10**9])
@pytest.mark.parametrize("star", [0.2, 1.0, 5.0, 100.0])
def test_overlap_of_equal_softmaxes(n, star):
    """⟨Σ p²⟩ = 1 - Φ'(β)/β, which the exact engine knows."""
    exact = 1.0 + thermodynamics(star, n).internal_energy / star
    assert softmax_overlap(star, 0.0, star, n) == pytest.approx(exact, abs=5e-8)


@pytest.mark.parametrize("star", [INF, 20.0, 0.5])
@pytest.mark.parametrize(("d", "rho"), [(0.0, 1.0), (0.005, 0.0), (0.7, 0.3), (6.0, 2.0), (50.0, 9.0)])
def test_overlap_of_two_classes_by_quadrature(d, rho, star):
    """p = σ(D u + ρ v) with u, v of variance two; u > 0 by symmetry."""
    x, weight = np.polynomial.legendre.leggauss(400)
    u, du = 6.0 * (1.0 + x), 6.0 * weight * np.exp(-9.0 * (1.0 + x) ** 2) / math.sqrt(math.pi)
    v = np.linspace(-12.0, 12.0, 1601)
    dv = 0.015 * np.exp(-0.25 * v * v) / math.sqrt(4.0 * math.pi)
    with np.errstate(over="ignore"):
        p = 1.0 / (1.0 + np.exp(-d * u[:, None] - rho * v))
        q = 1.0 / (1.0 + np.exp(-star * u[:, None]))
    expected = du @ (p * q + (1.0 - p) * (1.0 - q)) @ dv
    assert softmax_overlap(d, rho, star, 2) == pytest.approx(expected, abs=1e-6)


def soft_boundary_noise(alignment, residual, beta_star):
    """V/p_Δ(0) of the two-class layer for a soft teacher: ∫⟨(σ(DΔ + √2ρξ) - σ(β*Δ))²⟩ dΔ (docs/dynamics.md Eq. 13)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    reach = 45.0 / min(alignment, beta_star) + 12.0 * residual / alignment
    x, w = (a.ravel() for a in gauss_panels(np.linspace(0.0, 1.0, 41)))
    gap = reach * np.concatenate([-(x[::-1] ** 3), x**3])
    weight = reach * 3.0 * np.concatenate([(w * x**2)[::-1], w * x**2])
    a = alignment * gap[:, None] + math.sqrt(2.0) * residual * nodes
    with np.errstate(over="ignore"):
        p = 1.0 / (1.0 + np.exp(-a))
        q = 1.0 / (1.0 + np.exp(-beta_star * gap))
    return float(weight @ ((p - q[:, None]) ** 2 @ weights / weights.sum()))


def test_noise_meets_the_boundary_layer():
    c0 = interpolant(128).slope
    for rho in (0.0, 1.0, 4.0):
        expected = c0 * boundary_noise(rho) / math.hypot(2500.0, rho)
        assert noise_variance(2500.0, rho, INF, 128) == pytest.approx(expected, rel=0.0015)
    assert soft_boundary_noise(1.0, 0.7, 1e6) == pytest.approx(boundary_noise(0.7), rel=1e-4)
    expected = c0 * soft_boundary_noise(3000.0, 1.0, 5000.0)
    assert noise_variance(3000.0, 1.0, 5000.0, 128) == pytest.approx(expected, rel=0.0015)


def test_noise_table_interpolates_the_exact_average():
    table = noise_table(128, 100.0)
    rng = np.random.default_rng(1)
    for _ in range(12):
        d, rho = np.exp(rng.uniform([-1, -3], [4.8, 4]))
        assert table(d, rho) == pytest.approx(noise_variance(d, rho, 100.0, 128), rel=0.01)


def test_residual_settles_where_noise_and_restoring_force_balance():
    flow = student_flow([1e9], INF, 128, optimizer=SGD(2.0, 64e4, 32e4))
    rho = flow.residual[0]
    assert rho**2 == pytest.approx(0.5 * 2.0 * 32 / 64 * boundary_noise(rho), rel=0.03)
    c0 = interpolant(128).slope
    a = math.pi**2 / 12 * c0 + c0 * rho**2 / 2
    assert flow.loss[0] == pytest.approx(a / np.cbrt(3 * a * 1e9 / 128), rel=0.02)


def test_constant_schedule_is_the_constant_rate():
    plan = constant(0.7, 2000)
    tau = plan.tau[[20, 200, 2000]]
    for optimizer in (SGD(0.7, 64, 32), Adam(0.7, 64, 32), SignGD(0.7, 64, 32)):
        a = student_flow(tau, INF, 128, optimizer=optimizer)
        b = student_flow(tau, INF, 128, optimizer=optimizer, schedule=plan)
        np.testing.assert_allclose(a.loss, b.loss, rtol=1e-5)


def test_decay_pays_off_only_with_noise():
    high, low = wsd(8.0, 2000, decay=0.3), constant(8.0, 2000)
    tau = [high.tau[-1]]
    decayed = student_flow(tau, INF, 128, optimizer=SGD(1.0, 64, 32), schedule=high)
    steady = student_flow(tau, INF, 128, optimizer=SGD(1.0, 64, 32), schedule=low)
    assert decayed.loss[0] < 0.8 * steady.loss[0]
    quiet = student_flow(tau, INF, 128, schedule=high)
    assert quiet.loss[0] == pytest.approx(student_flow(tau, INF, 128).loss[0], rel=1e-6)


def test_schedule_gives_its_own_times():
    plan = warmup_cosine(1.0, 500, warmup=10)
    flow = student_flow(None, 50.0, 128, optimizer=SGD(1.0, 64, 32), schedule=plan)
    assert flow.tau[-1] == pytest.approx(plan.tau[-1])
    assert "StudentFlow" in repr(flow)
    assert flow.to_xarray()["loss"].dims == ("tau",)


def test_scalar_time_gives_scalars():
    flow = student_flow(10.0, 5.0, 128)
    assert isinstance(flow.loss, float)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: student_flow([-1.0], 5.0, 128), "tau"),
        (lambda: student_flow([2.0, 1.0], 5.0, 128), "ascending"),
        (lambda: student_flow([INF], 5.0, 128), "tau"),
        (lambda: student_flow(None, 5.0, 128), "tau"),
        (lambda: student_flow([10.0], 5.0, 128, schedule=[1.0, 1.0]), "schedule"),
        (lambda: student_flow([1.0], 5.0, 1), "n: must be"),
        (lambda: student_flow([1.0], 0.0, 128), "beta_star"),
        (lambda: student_flow([1.0], [1.0, 2.0], 128), "must be one number"),
        (lambda: student_flow([1.0], 5.0, 128, residual0=-1.0), "residual0"),
        (lambda: student_flow([1.0], 5.0, 128, weight_decay=-1.0), "weight_decay"),
        (lambda: student_flow([1.0], 5.0, 128, optimizer="sgd"), "optimizer"),
        (lambda: SGD(0.0, 64, 32), "learning_rate"),
        (lambda: Adam(0.1, 64, 32, beta2=1.0), "beta2"),
        (lambda: GradientFlow(-1.0), "c_eff"),
        (lambda: GradientFlow(width=0.0), "width"),
        (lambda: power_law(-1.0, 128), "tau"),
        (lambda: finite_beta_star_law(1.0, INF, 128), "beta_star"),
    ],
)
def test_bad_input_gets_one_line(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_exponents_of_adam():
    steps = np.geomspace(1e7, 1e9, 9)
    quiet = student_flow(1e-6 * steps, INF, 128, optimizer=Adam(1e-6, 4, 32))
    slope = np.gradient(np.log(quiet.beta), np.log(steps))
    assert quiet.residual[-1] < 0.1
    assert slope[-2] == pytest.approx(2 / 5, abs=0.03)
    steps = np.geomspace(1e6, 1e9, 13)
    loud = student_flow(0.1 * steps, INF, 128, optimizer=Adam(0.1, 64, 32))
    slope = np.gradient(np.log(loud.beta), np.log(steps))
    assert slope[-2] == pytest.approx(1 / 2, abs=0.02)
    assert np.gradient(np.log(loud.residual), np.log(steps))[-2] == pytest.approx(1 / 6, abs=0.02)
    assert loud.local_exponent[-1] == pytest.approx(1 / 6, abs=0.02)


def test_force_at_infinite_width_by_its_definition():
    """Eqs. 3 and 4: dD/dτ = [Φ'(β*) - Φ'(β)D/β]/n and k = Φ'(β)/(nβ), with Φ' from the exact engine."""
    alignment = np.array([0.0, 1e-7, 3.0, 19.999, 25.0, -1.0])
    square = np.array([0.0, 1e-16, 4.0, 1e-6, 0.0, 9.0])
    beta = np.maximum(np.hypot(alignment, np.sqrt(square)), 1e-9)
    slope, star = (-np.asarray(thermodynamics(b, 128).internal_energy) for b in (beta, 20.0))
    pull, push, stiffness, ratio = student_force(20.0, 128.0).forces(alignment, square)
    np.testing.assert_allclose(pull, (star - slope * alignment / beta) / 128, rtol=1e-7, atol=1e-13)
    np.testing.assert_allclose(stiffness[1:], (slope / beta)[1:] / 128, rtol=1e-8)
    assert stiffness[0] == pytest.approx((1 - 1 / 128) / 128)
    np.testing.assert_array_equal(push, 0.0)
    np.testing.assert_array_equal(ratio, 1.0)


@pytest.mark.parametrize(
    ("d", "rho"),
    [(60.0, 4.0), (100.0, 5.0), (150.0, 8.0), (300.0, 2.0), (150.0, 60.0), (10.0, 200.0), (100.0, 150.0)],
)
def test_noise_beyond_the_table_of_a_soft_teacher(d, rho):
    table = noise_table(128, 20.0)
    expected = noise_variance(d, rho, 20.0, 128)
    assert table(d, rho) == pytest.approx(expected, rel=0.03)
