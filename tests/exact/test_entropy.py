import numpy as np
import pytest

from peakedtheory import match_entropy, thermodynamics


@pytest.mark.parametrize(
    ("n", "beta_star"), [(32000, 6.7730082285), (50304, 6.9723692854), (128256, 7.3697137934)]
)
def test_reference_values(n, beta_star):
    assert match_entropy(1.69, n).beta_star == pytest.approx(beta_star, abs=6e-11)


@pytest.mark.parametrize("energies", [None, "laplace", "normal:scale=5", "atoms:0=0.2,1=0.5,4=0.3", "expon"])
def test_round_trip(energies):
    beta = np.array([0.01, 0.7, 3.0])
    entropy = thermodynamics(beta, 40, energies).entropy
    match = match_entropy(entropy, 40, energies)
    assert (np.abs(match.beta_star - beta) <= match.error + 1e-12 * beta).all()
    assert (match.error < 1e-8).all()
    assert "beta_star" in repr(match_entropy(entropy[1], 40, energies))


def test_broadcasting():
    match = match_entropy([[0.5], [1.0]], [10, 100])
    assert match.beta_star.shape == (2, 2)
    assert match.beta_star[1, 0] == match_entropy(1.0, 10).beta_star


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 10), "entropy: must lie strictly between 0 and ln n"),
        ((2.4, 10), "entropy: must lie strictly between 0 and ln n"),
        ((np.nan, 10), "entropy: must not contain NaN"),
        ((1.0, 1), "entropy: must lie strictly between"),
        ((0.1, 10, "atoms:0=0.5,1=0.5"), "entropy: must lie strictly between 1.5"),
        ((1e-9, 10), "entropy: must be reached below beta"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=r"^[^\n]+; [^\n]+$") as caught:
        match_entropy(*arguments)
    assert str(caught.value).startswith(message)
