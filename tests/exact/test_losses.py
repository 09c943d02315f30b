import math

import mpmath as mp
import numpy as np
import pytest
from scipy.special import logsumexp

from peakedtheory import (
    FiniteWidth,
    loss,
    loss_gradient,
    loss_with_error,
    low_temperature_expansion,
    misaligned_loss,
    thermodynamics as exact,
)


def pair_loss(beta, beta_star):
    """Two standard normal energies, 30 digits: Φ is one integral, and so are its derivatives."""
    with mp.workdps(40):
        beta = mp.mpf(beta)

        def phi(b, derivative):
            def integrand(d):
                bell = mp.exp(-d * d / 4) / mp.sqrt(4 * mp.pi)
                if derivative:
                    return bell * d / 2 * mp.tanh(b * d / 2)
                return bell * (b * d / 2 + mp.log1p(mp.exp(-b * d)))

            return 2 * mp.quad(
                integrand, sorted({0, 24, *(min(24, mp.mpf(2) ** k / b) for k in range(-2, 8))})
            )

        if beta_star == np.inf:
            return phi(beta, False) - beta / mp.sqrt(mp.pi)
        star = mp.mpf(beta_star)
        return phi(beta, False) - phi(star, False) - (beta - star) * phi(star, True)


@pytest.mark.parametrize(
    ("beta", "beta_star"),
    [
        (0.5, 2.0),
        (2.0, 0.5),
        (0.001, 0.0011),
        (10.0, 10.0001),
        (300.0, 301.0),
        (1.0, 400.0),
        (0.1, np.inf),
        (5.0, np.inf),
        (500.0, np.inf),
    ],
)
def test_loss_keeps_its_digits(beta, beta_star):
    truth = pair_loss(beta, beta_star)
    value, error = loss_with_error(beta, beta_star, 2)
    assert abs(value - truth) <= error
    assert abs(value - truth) <= 1e-10 * truth


def test_zero_at_the_teacher_alone():
    beta = np.array([0.0, 1.0, 9.0])
    assert (loss(beta, beta, 50) == 0).all()
    assert (loss(beta[:, None], beta + 1e-6, 50)[~np.eye(3, dtype=bool)] > 0).all()


def test_gradient_is_the_derivative():
    beta, star, h = 4.0, 30.0, 1e-3
    slope = (loss(beta + h, star, 128) - loss(beta - h, star, 128)) / (2 * h)
    assert loss_gradient(beta, star, 128) == pytest.approx(slope, rel=1e-6)
    assert loss_gradient(star, star, 128) == 0.0
    near = loss_gradient(1e3, 1e3 + 1e-4, 128)
    assert near == pytest.approx(-1e-4 * exact(1e3, 128).energy_variance, rel=1e-6)


def test_hard_labels():
    c0 = low_temperature_expansion(128).coefficients[0]
    beta = np.array([0.0, 1.0, 5.0])
    assert loss(beta, np.inf, 128) == pytest.approx(exact(beta, 128).log_partition - beta * c0, rel=1e-12)
    # Degenerate ground states: the teacher is uniform over them, and the loss still ends at zero.
    assert loss(200.0, np.inf, 5, "atoms:0=0.5,1=0.5") == pytest.approx(0.0, abs=1e-12)


def test_misaligned_student_against_sampling():
    """Student D z + ρ w, teacher β* z: KL divergence by direct sampling."""
    rng = np.random.default_rng(5)
    z, w = rng.standard_normal((2, 40_000, 20))
    for d, rho, star in ((2.0, 1.0, 4.0), (-0.5, 0.8, 3.0), (0.0, 2.0, 1.0)):
        teacher, student = star * z, d * z + rho * w
        log_q = teacher - logsumexp(teacher, axis=1, keepdims=True)
        log_p = student - logsumexp(student, axis=1, keepdims=True)
        samples = (np.exp(log_q) * (log_q - log_p)).sum(axis=1)
        result = misaligned_loss(d, rho, star, 20)
        assert abs(result.total - samples.mean()) < 4 * samples.std() / 200
        assert result.total == pytest.approx(result.radial + result.tangential)
        assert result.tangential >= 0
    aligned = misaligned_loss([1.0, 3.0], 0.0, 5.0, 20)
    assert (aligned.tangential == 0).all()
    assert aligned.total == pytest.approx(loss([1.0, 3.0], 5.0, 20))


def test_published_slopes():
    """Liu et al. 2026, Fig. 3: exponents 1.15 ± 0.04 (loss) and 2.26 ± 0.01 (gradient) at β* = 100, n = 128, m = 32."""
    beta = 100.0 * np.arange(1, 60) / 99
    gradient = -loss_gradient(beta[1:], 100.0, 128, FiniteWidth(32))
    value = loss(beta[:9], 100.0, 128, FiniteWidth(32))
    assert np.polyfit(np.log(beta[1:]), np.log(gradient), 1)[0] == pytest.approx(-2.261, abs=0.001)
    assert np.polyfit(np.log(beta[:9]), np.log(value), 1)[0] == pytest.approx(-1.151, abs=0.001)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: loss(np.inf, 1.0, 10), "beta: must be finite"),
        (lambda: loss(1.0, -1.0, 10), "beta_star: must be >= 0"),
        (lambda: loss([1.0, 2.0], [1.0, 2.0, 3.0], 10), "beta, beta_star, n: must broadcast"),
        (lambda: misaligned_loss(1.0, -0.1, 2.0, 10), "residual: must be >= 0"),
        (lambda: misaligned_loss(np.inf, 0.1, 2.0, 10), "alignment: must be finite"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=r"^[^\n]+; [^\n]+$") as caught:
        call()
    assert str(caught.value).startswith(message)


def test_hard_labels_of_a_sharp_edge_agree_with_plain_sampling():
    """Λ ~ β^-0.2 here: rules made for 1/β see a part of it and would not know."""
    gaps = np.abs(np.diff(np.random.default_rng(1).beta(1.0, 0.1, (2, 400_000)), axis=0))[0]
    sample = np.log1p(np.exp(-100.0 * gaps))
    value, error = loss_with_error(100.0, np.inf, 2, "beta:a=1,b=0.1")
    assert error < 1e-6 * value
    assert abs(value - sample.mean()) < 4.0 * sample.std() / math.sqrt(sample.size)
    slope = -100.0 * gaps / (1.0 + np.exp(100.0 * gaps)) / 100.0
    gradient = loss_gradient(100.0, np.inf, 2, "beta:a=1,b=0.1")
    assert abs(gradient - slope.mean()) < 4.0 * slope.std() / math.sqrt(slope.size)


@pytest.mark.parametrize("beta", [1e3, 1e7])
def test_hard_labels_of_a_sharp_edge_are_exact(beta):
    """Two energies 1 - u¹⁰, u uniform: Λ = ⟨ln(1 + exp(-β|u¹⁰ - v¹⁰|))⟩, by tanh-sinh over v/u = s and u."""

    def inner(limit):  # ∫_0^limit y^-0.8 ln(1 + e^-y) dy
        return 5 * mp.quad(
            lambda t: mp.log1p(mp.exp(-(t**5))), [0, *(e for e in (1, 2, 3) if e**5 < limit), limit**0.2]
        )

    whole = inner(mp.mpf(10) ** 3)

    def outer(w):  # s = 1 - w
        drop = -beta * mp.expm1(10 * mp.log1p(-w))
        return drop ** mp.mpf(-0.2) * (whole if drop > 10**3 else inner(drop))

    edges = [0, *(10.0**k / beta for k in range(-1, 8) if 10.0**k < beta), 1]
    exact_loss = float(0.2 * mp.quad(outer, edges))
    value, error = loss_with_error(beta, np.inf, 2, "beta:a=1,b=0.1")
    assert abs(value - exact_loss) <= error < 1e-6 * value


@pytest.mark.parametrize("energies", [None, "laplace", "gamma:a=0.25", "atoms:0=0.3,1=0.5,2.5=0.2"])
@pytest.mark.parametrize("step", [1e-8, -1e-3, 0.02])
def test_next_to_the_teacher(energies, step):
    """∫ (β - b) Φ'' db and ∫ Φ'' db by a rule of thirty-two nodes."""
    star, n = 4.0, 60
    beta = star * (1.0 + step)
    nodes, weights = np.polynomial.legendre.leggauss(32)
    at = star + 0.5 * (beta - star) * (1.0 + nodes)
    variance = exact(at, n, energies).energy_variance
    weights = 0.5 * (beta - star) * weights * variance
    value, error = loss_with_error(beta, star, n, energies)
    assert abs(value - weights @ (beta - at)) <= error + 1e-15 * value
    assert error <= 1e-10 * value
    assert loss_gradient(beta, star, n, energies) == pytest.approx(weights.sum(), rel=1e-10)
