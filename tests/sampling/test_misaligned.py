"""Monte Carlo averages over misaligned students against closed forms and the noise table."""

import math

import numpy as np
import pytest

from peakedtheory import estimate_misaligned, loss, loss_gradient, misaligned_loss, thermodynamics
from peakedtheory.dynamics.noise import noise_table

INF = math.inf
D = np.array([0.0, 0.5, 3.0, 10.0, -1.0, 3.0])
RHO = np.array([0.0, 2.0, 1.0, 4.0, 1.0, 0.0])
STAR = np.array([3.0, 10.0, 10.0, 100.0, 2.0, 3.0])


@pytest.mark.parametrize("n", [2, 128, 5000])
def test_closed_forms_lie_within_the_errors(n):
    samples = 20_000 if n < 1000 else 3000
    found = estimate_misaligned(D, RHO, STAR, n, samples=samples, rng=3)
    assert found.samples == samples
    expected = misaligned_loss(D, RHO, STAR, n).total
    assert (np.abs(found.loss.mean - expected) <= 4.5 * found.loss.standard_error + 1e-12).all()
    beta = np.hypot(D, RHO)
    safe = np.maximum(beta, 1e-9)
    squares = 1 + thermodynamics(safe, n).internal_energy / safe
    error = found.participation.standard_error
    assert (
        np.abs(found.participation.mean - np.where(beta > 0, squares, 1 / n)) <= 4.5 * error + 1e-12
    ).all()
    teacher = 1 + thermodynamics(STAR, n).internal_energy / STAR
    error = found.teacher_participation.standard_error
    assert (np.abs(found.teacher_participation.mean - teacher) <= 4.5 * error).all()
    parts = found.participation.mean + found.teacher_participation.mean - 2 * found.overlap.mean
    np.testing.assert_allclose(found.squared_difference.mean, parts, atol=1e-12)
    # Aligned, at the teacher's temperature: nothing differs and nothing fluctuates.
    for value in (found.loss.mean, found.loss.standard_error, found.squared_difference.mean):
        assert abs(value[-1]) < 1e-15


def test_gradient_along_the_scale_of_an_aligned_student():
    beta = np.array([0.5, 2.0, 6.0])
    found = estimate_misaligned(beta, 0.0, 5.0, 200, samples=20_000, rng=1)
    expected = beta * loss_gradient(beta, 5.0, 200)
    assert (np.abs(found.scale_gradient.mean - expected) < 4.5 * found.scale_gradient.standard_error).all()
    error = found.loss.standard_error
    assert (np.abs(found.loss.mean - loss(beta, 5.0, 200)) < 4.5 * error).all()


def test_hard_labels_and_the_noise_table():
    d, rho = np.array([5.0, 40.0, 40.0]), np.array([1.0, 0.0, 2.0])
    found = estimate_misaligned(d, rho, INF, 128, samples=100_000, rng=2)
    assert (found.beta_star == INF).all()
    assert (np.abs(found.teacher_participation.mean - 1.0) < 1e-4).all()
    expected = misaligned_loss(d, rho, INF, 128).total
    assert (np.abs(found.loss.mean - expected) < 4.5 * found.loss.standard_error + 1e-5 * expected).all()
    table = noise_table(128, INF)
    noise = [table(a, b) for a, b in zip(d, rho, strict=True)]
    error = found.squared_difference.standard_error
    assert (np.abs(found.squared_difference.mean - noise) < 4.5 * error + 0.005 * np.array(noise)).all()


def test_errors_are_honest_and_seeds_fix_every_bit():
    found = [estimate_misaligned(3.0, 1.0, 10.0, 50, samples=500, rng=seed) for seed in range(200)]
    truth = misaligned_loss(3.0, 1.0, 10.0, 50).total
    off = np.array([(f.loss.mean - truth) / f.loss.standard_error for f in found])
    assert 0.91 <= (np.abs(off) < 2).mean() <= 0.985
    again = estimate_misaligned([3.0, 1.0], [1.0, 0.0], 10.0, 50, samples=500, rng=7)
    assert again.loss.mean[0] == found[7].loss.mean
    assert again.squared_difference.mean[0] == found[7].squared_difference.mean


def test_tolerance_resume_file_and_dataset(tmp_path):
    path = tmp_path / "run.npz"
    found = estimate_misaligned(3.0, 1.0, 10.0, 50, rtol=5e-3, rng=1, checkpoint=path)
    assert found.converged
    assert found.loss.standard_error <= 5e-3 * found.loss.mean
    again = estimate_misaligned(3.0, 1.0, 10.0, 50, rtol=5e-3, rng=1, checkpoint=path)
    assert again.loss == found.loss
    with pytest.raises(ValueError, match=r"^checkpoint: must belong to the same estimate, got .*triples"):
        estimate_misaligned(4.0, 1.0, 10.0, 50, rtol=5e-3, rng=1, checkpoint=path)
    data = estimate_misaligned([[1.0], [2.0]], [0.0, 1.0], 5.0, 20, samples=100, rng=1).to_xarray()
    assert data.sizes == {"point": 4}
    np.testing.assert_array_equal(data["alignment"], [1.0, 1.0, 2.0, 2.0])
    assert data.attrs["samples"] == 100
    assert "squared_difference" in repr(found)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((1.0, -1.0, 2.0, 10), "^residual: must be >= 0, got -1; "),
        ((INF, 1.0, 2.0, 10), "^alignment: must be finite, got inf; "),
        ((1.0, 1.0, -2.0, 10), "^beta_star: "),
        ((1.0, 1.0, 2.0, [10, 20]), "^n: must be one number"),
        (([1.0, 2.0], [1.0, 2.0, 3.0], 2.0, 10), "^alignment, residual, beta_star: must broadcast"),
    ],
)
def test_bad_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        estimate_misaligned(*arguments, samples=100)
