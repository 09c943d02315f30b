import math

import numpy as np
import pytest
from scipy.special import beta as beta_function, gamma, zeta

from peakedtheory import Discrete, loss, thermodynamics
from peakedtheory.dynamics.aligned_path import aligned_path
from peakedtheory.dynamics.gap_law import (
    exponent_of_edge,
    exponent_of_gap,
    predict_exponent,
)
from peakedtheory.dynamics.interpolant import interpolant
from peakedtheory.dynamics.regimes import (
    phase_diagram,
    regime,
)
from peakedtheory.energies.reading import as_energies
from peakedtheory.exact.entropy import match_entropy


@pytest.mark.parametrize(
    ("energies", "kappa", "alpha"),
    [
        (None, 1.0, 1 / 3),
        ("uniform", 1.0, 1 / 3),
        ("laplace", 1.0, 1 / 3),
        ("t:df=5", 1.0, 1 / 3),
        ("finite-width:m=32", 1.0, 1 / 3),
        ("gamma:a=0.4", 0.8, 0.8 / 2.8),
        ("beta:a=0.3,b=1", 0.6, 0.3 / 1.3),
        ("dgamma:a=0.3", 0.6, 0.3 / 1.3),
        ("atoms:0=0.3,1=0.7", math.inf, 1.0),
    ],
)
def test_exponent_follows_from_the_gap_law(energies, kappa, alpha):
    prediction = predict_exponent(4, energies)
    assert prediction.gap_exponent == pytest.approx(kappa, rel=1e-4)
    assert prediction.exponent == pytest.approx(alpha, rel=1e-4)


@pytest.mark.parametrize("n", [2, 128, 50304, 10**9])
def test_gaussian_coefficient_is_a_multiple_of_the_mean_maximum(n):
    c0 = interpolant(n).slope
    assert predict_exponent(n).coefficient == pytest.approx(math.pi**2 / 12 * c0, rel=1e-10)


@pytest.mark.parametrize("energies", ["uniform", "laplace", "expon", "normal:loc=1,scale=2", "t:df=5"])
def test_regular_coefficient_is_the_limit_of_the_loss(energies):
    prediction = predict_exponent(8, energies)
    # S = L + β g and g = L/β asymptotically, so S β → 2 c2; one step of extrapolation in 1/β.
    near, far = (thermodynamics(b, 8, energies).entropy * b / 2 for b in (500.0, 1000.0))
    assert 2 * far - near == pytest.approx(prediction.coefficient, rel=2e-4)


@pytest.mark.parametrize(("energies", "n"), [("beta:a=0.3,b=1", 2), ("dgamma:a=0.3", 3)])
def test_singular_coefficient_is_the_limit_of_the_loss(energies, n):
    prediction = predict_exponent(n, energies)
    kappa = prediction.gap_exponent
    ratios = [
        thermodynamics(b, n, energies).entropy * b**kappa / (1 + kappa) / prediction.coefficient
        for b in (1e3, 1e5)
    ]
    assert abs(ratios[1] - 1) < 0.01
    assert abs(ratios[1] - 1) < 0.3 * abs(ratios[0] - 1)


@pytest.mark.parametrize("name", ["weibull_min", "weibull_max"])
@pytest.mark.parametrize("c", [0.1, 0.2, 0.35])
def test_edges_with_slow_corrections(name, c):
    """Density δ^(c-1) e^(-δ^c): the power shows only within e^(-1/c) of the edge; c = k, at either end for n = 2."""
    prediction = predict_exponent(2, f"{name}:c={c}")
    assert prediction.gap_exponent == pytest.approx(2.0 * c, rel=1e-6)
    assert prediction.exponent == pytest.approx(c / (1.0 + c), rel=1e-6)
    # c²B(2c, 1-c)·2 s^(2c-1) is the density of the gap, and ∫ ln(1 + e^(-βs)) of it the loss at large β
    mass = 2.0 * c**2 * beta_function(2.0 * c - c, 1.0 - 2.0 * c) / (2.0 * c)
    assert prediction.coefficient == pytest.approx(
        mass * gamma(2 * c + 1) * (1.0 - 2.0 ** (-2 * c)) * zeta(2 * c + 1), rel=1e-6
    )


@pytest.mark.parametrize("n", [10**9, 10**12])
def test_losses_of_far_tails_reach_their_coefficient(n):
    # levels are so far apart and so high that rounding of the energies tells no parts of 1/β apart
    coefficient = predict_exponent(n, "dweibull:c=0.3").coefficient
    losses = loss([5.0, 50.0], math.inf, n, "dweibull:c=0.3") * [5.0, 50.0]
    assert losses[1] == pytest.approx(coefficient, rel=1e-5)
    assert abs(losses[1] - coefficient) < 0.2 * abs(losses[0] - coefficient)


def test_logarithmic_edge_is_flagged():
    prediction = predict_exponent(4, "beta:a=0.5,b=1")
    assert prediction.logarithmic
    assert prediction.exponent == pytest.approx(1 / 3)


def test_gap_of_a_discrete_spectrum_sets_the_rate():
    energies = Discrete([0.0, 0.7, 2.0], [0.2, 0.3, 0.5])
    assert predict_exponent(5, energies).gap == pytest.approx(0.7)
    # Ties of the lowest atoms leave ⟨ln multiplicity⟩; the rest of S is (1 + β gap) exp(-β gap) times a
    # constant.
    left = thermodynamics(200.0, 5, energies).entropy
    s1, s2 = ((thermodynamics(b, 5, energies).entropy - left) / (1 + 0.7 * b) for b in (15.0, 20.0))
    assert math.log(s1 / s2) / 5 == pytest.approx(0.7, abs=0.01)


def test_exponents_of_edges_and_gaps():
    assert exponent_of_gap(1.0) == pytest.approx(1 / 3)
    assert exponent_of_gap(3.0) == pytest.approx(3 / 5)
    np.testing.assert_allclose(exponent_of_edge([0.25, 0.5, 2.0]), [0.2, 1 / 3, 1 / 3])


def test_no_window_for_a_language_model_teacher():
    answer = regime(6.87, 32000)
    assert answer.window is None
    assert "no" in answer.name
    assert answer.onset == pytest.approx(4.1286122121)
    by_entropy = regime(entropy=1.69, n=32000)
    assert by_entropy.beta_star == pytest.approx(6.7730082285, rel=1e-9)
    assert by_entropy.window is None


def test_window_of_a_cold_teacher_holds_the_exponent():
    answer = regime(1000.0, 32000)
    path = aligned_path(interpolant(32000), 1000.0)
    inside = (path.beta > answer.window.beta[0]) & (path.beta < answer.window.beta[1])
    assert inside.sum() > 10
    assert np.abs(path.exponent[inside] * 3 - 1).max() <= 0.1
    assert answer.window.decades > 2


def test_hard_labels_have_an_endless_window():
    assert math.isinf(regime(math.inf, 128).window.decades)


@pytest.mark.parametrize(
    ("beta", "name"), [(0.5, "start"), (30.0, "power law"), (2000.0, "end"), (1000.0, "end"), (900.0, "end")]
)
def test_moments_of_a_run(beta, name):
    assert regime(1000.0, 128, beta=beta).name == name


def test_moment_by_time_agrees_with_moment_by_beta():
    path = aligned_path(interpolant(128), math.inf)
    i = 300
    by_time = regime(math.inf, 128, tau=path.tau[i])
    assert by_time.exponent == pytest.approx(path.exponent[i], rel=1e-6)


def test_path_by_naive_quadrature():
    from scipy.integrate import quad

    path = aligned_path(interpolant(16), 5.0)
    u_star = thermodynamics(5.0, 16).internal_energy
    for i in (100, 400, 600):
        expected = quad(
            lambda b: 16 / (thermodynamics(b, 16).internal_energy - u_star), 0, path.beta[i], epsrel=1e-9
        )[0]
        assert path.tau[i] == pytest.approx(expected, rel=1e-7)


def test_regime_of_other_energies():
    answer = regime(50.0, 16, Discrete([0.0, 1.0]))
    assert answer.onset > 0
    assert "β" in answer.explanation


def test_onset_is_in_the_unit_of_the_energies():
    """Exponential energies: the lowest of n averages 1/n, the variance is one; moving and scaling by 3 divides by 3."""
    assert regime(200.0, 128, "expon").onset == pytest.approx(1.0 - 1.0 / 128, rel=1e-5)
    moved = regime(200.0, 128, "expon:loc=-2,scale=3")
    assert moved.onset == pytest.approx((1.0 - 1.0 / 128) / 3.0, rel=1e-5)
    assert moved.name == "no power law"


def test_phase_diagram_has_the_shape_of_its_axes():
    diagram = phase_diagram([2.0, 100.0, 1e4], 128)
    assert diagram.local_exponent.shape == (3, 60)
    assert np.isfinite(diagram.local_exponent).all()
    middle = diagram.local_exponent[2, np.searchsorted(diagram.fraction, 0.01)]
    assert middle == pytest.approx(1 / 3, rel=0.05)
    assert diagram.to_xarray()["local_exponent"].shape == (3, 60)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: predict_exponent(128, "t:df=1"), "lowest value"),
        (lambda: predict_exponent(1), "n: must be"),
        (lambda: predict_exponent(5, {1.0: 1.0}), "at least two values"),
        (lambda: exponent_of_gap(0.0), "gap_exponent"),
        (lambda: exponent_of_edge([-1.0]), "edge_exponent"),
        (lambda: regime(10.0), "n: must be given"),
        (lambda: regime(n=128), "exactly one"),
        (lambda: regime(10.0, 128, entropy=1.0), "exactly one"),
        (lambda: regime(10.0, 128, beta=1.0, tau=1.0), "at most one"),
        (lambda: regime(entropy=9.0, n=128), "ln n"),
        (lambda: regime(-1.0, 128), "beta_star"),
        (lambda: regime(0.0, 128), "beta_star"),
        (lambda: regime(10.0, 128, tau=-1.0), "tau"),
        (lambda: phase_diagram([10.0], 128, fraction=[2.0]), "fraction"),
    ],
)
def test_bad_input_gets_one_line(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name", ["gamma:a=0.25", "expon", pytest.param("beta:a=0.1,b=1", marks=pytest.mark.slow)]
)
def test_tables_of_other_energies_end_at_the_exact_loss(name):
    energies = as_energies(name)
    table = interpolant(4, energies)
    beta = np.array([0.1, 1.0]) * table.top
    exact = np.array(loss(beta, math.inf, 4, energies))
    np.testing.assert_allclose(table.hard_loss(beta), exact, rtol=1e-3)
    # Λ' = -g and g' = -Φ'' just below the top and beyond it
    for at in (0.99 * table.top, 1.5 * table.top):
        step = 1e-4 * at
        losses, drives = (f(np.array([at - step, at + step])) for f in (table.hard_loss, table.drives))
        assert -np.diff(losses)[0] / (2 * step) == pytest.approx(table.drive(at), rel=0.03)
        assert drives[1] < drives[0]


def test_the_teacher_of_an_entropy_is_the_same_everywhere():
    for energies, entropy in (("beta:a=0.3,b=1", 1.0), ("t:df=5", 1.5)):
        star = match_entropy(entropy, 128, energies).beta_star
        assert regime(None, 128, energies, entropy=entropy).beta_star == pytest.approx(star, rel=1e-12)


@pytest.mark.parametrize(("n", "kappa"), [(2, 0.2), (3, 0.3), (5, 0.5), (12, 1.0)])
def test_all_energies_meet_at_a_sharp_upper_edge(n, kappa):
    """At the highest energy κ = nk as long as this is below one; S falls with the same power."""
    prediction = predict_exponent(n, "beta:a=1,b=0.1")
    assert prediction.gap_exponent == pytest.approx(kappa, rel=1e-6)
    assert (prediction.coefficient is None) == (2 < n < 10)
    near, far = (float(thermodynamics(b, n, "beta:a=1,b=0.1").entropy) for b in (1e5, 1e6))
    assert math.log10(near / far) == pytest.approx(kappa, abs=0.01)


def test_coefficients_of_several_edges_add_up():
    # f ~ 1/(π√δ) at both edges: n(n-1) ΣA² π²/12 = 1/3
    prediction = predict_exponent(2, "beta:a=0.5,b=0.5")
    assert prediction.logarithmic
    assert prediction.coefficient == pytest.approx(1 / 3, rel=1e-6)


@pytest.mark.parametrize("n", [128, 50304, 10**12])
def test_of_two_singular_edges_the_lower_one_decides_at_any_size(n):
    # at the higher edge all n would have to meet; f ~ 1/(π√δ) at the lower: n(n-1) A² π²/12 = n(n-1)/12
    prediction = predict_exponent(n, "arcsine")
    assert prediction.logarithmic
    assert prediction.coefficient == pytest.approx(n * (n - 1) / 12, rel=1e-6)
    assert predict_exponent(n, "beta:a=0.3,b=0.3").gap_exponent == pytest.approx(0.6, rel=1e-4)


def test_other_energies_reach_their_power_law_at_any_size():
    answer = regime(math.inf, 32000, "uniform")
    assert math.isinf(answer.window.decades)
    assert 1e4 < answer.window.beta[0] < 4e4  # levels are 1/n apart
    table = interpolant(32000, as_energies("uniform"))
    for beta in (1e2, 1e4, 1e6, 1e8):
        exact = float(thermodynamics(beta, 32000, "uniform").energy_variance)
        assert float(table.variance(np.array(beta))) == pytest.approx(exact, rel=0.01)
    late = regime(math.inf, 10**8, "weibull_min:c=0.5")
    assert late.window is None
    assert "in the end, but not below" in late.explanation


def test_a_gap_ends_in_an_endless_window():
    assert math.isinf(regime(math.inf, 32000, "atoms:0=0.3,1=0.7").window.decades)


def test_a_window_that_ends_with_the_table_says_so():
    answer = regime(math.inf, 128, "gamma:a=0.25")
    assert math.isfinite(answer.window.decades)
    assert "the furthest that could be computed" in answer.explanation


def test_the_end_of_the_flow_looks_alike_for_any_cold_teacher():
    rows = phase_diagram([1e5, 1e7], 128, fraction=[0.1, 0.5, 0.9, 0.99]).local_exponent
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-3)


def test_energies_that_share_a_scale():
    energies = as_energies("finite-width:m=32")
    given, mean = predict_exponent(64), predict_exponent(64, energies)
    assert mean.exponent == given.exponent
    assert mean.coefficient == pytest.approx(given.coefficient * energies.scale_moment(-1.0), rel=1e-12)
    assert predict_exponent(64, "finite-width:m=1").logarithmic
    table, beta = interpolant(64, energies), np.array([0.3, 5.0, 100.0])
    np.testing.assert_allclose(table.hard_loss(beta), loss(beta, math.inf, 64, energies), rtol=1e-6)
