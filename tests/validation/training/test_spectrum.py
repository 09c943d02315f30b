"""Teachers with given singular values."""

import numpy as np
import pytest

from peakedtheory.dynamics.optimizers import SGD
from peakedtheory.validation.training.cases import Case, with_spectrum
from peakedtheory.validation.training.train import train

SMALL = SGD(1.0, batch=16, width=4)


@pytest.mark.parametrize("spectrum", [0.0, 0.5, 2.0, (4.0, 3.0, 3.0, 0.0)])
def test_singular_values_are_replaced_and_nothing_else(spectrum):
    plain = Case(beta_star=10.0, optimizer=SMALL, teacher=3).teacher_weights(12)
    changed = Case(beta_star=10.0, optimizer=SMALL, teacher=3, spectrum=spectrum).teacher_weights(12)
    left, _, right = np.linalg.svd(plain, full_matrices=False)
    diagonal = left.T @ changed @ right.T
    wanted = np.arange(1, 5.0) ** -spectrum if np.isscalar(spectrum) else np.array(spectrum)
    np.testing.assert_allclose(diagonal, np.diag(np.diag(diagonal)), atol=1e-12)
    np.testing.assert_allclose(np.diag(diagonal) / diagonal[0, 0], wanted / wanted[0], atol=1e-12)
    assert np.linalg.norm(changed) == pytest.approx(np.linalg.norm(plain))
    np.testing.assert_allclose(left @ (left.T @ changed), changed, atol=1e-12)


def test_own_singular_values_change_nothing():
    plain = Case(beta_star=10.0, optimizer=SMALL).teacher_weights(12)
    np.testing.assert_allclose(with_spectrum(plain, np.linalg.svd(plain)[1]), plain, atol=1e-12)


def test_spectra_of_one_teacher_are_teachers_of_their_own():
    """Cases that differ in nothing else share no labels; together they train as each does alone."""
    cases = [Case(beta_star=10.0, optimizer=SMALL, spectrum=a) for a in (None, 0.0, 1.5)]
    options = {"n": 8, "record": 3, "test_samples": 64}
    together = train(cases, 20, **options)
    assert len(set(together["loss"].values[:, -1])) == 3
    for k, case in enumerate(cases):
        alone = train(case, 20, **options)
        np.testing.assert_array_equal(together["loss"].values[k], alone["loss"].values[0])


@pytest.mark.parametrize(
    "spectrum", [-1.0, float("nan"), (1.0, 2.0), (1.0, -1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 0.0), "steep"]
)
def test_impossible_spectra_get_one_line(spectrum):
    with pytest.raises(ValueError, match="spectrum") as refused:
        Case(beta_star=10.0, optimizer=SMALL, spectrum=spectrum)
    assert "\n" not in str(refused.value)
