import numpy as np
import pytest
from scipy import stats

from peakedtheory import (
    Discrete,
    FiniteWidth,
    Gaussian,
    Mixture,
    Sample,
    as_energies,
    parse_energies,
)
from peakedtheory.energies.base import Energies
from peakedtheory.energies.normal import STANDARD_NORMAL


@pytest.mark.parametrize(
    "text",
    [
        "laplace",
        "t:df=9",
        "beta:a=0.3,b=1",
        "gamma:a=2.5",
        "expon:loc=1,scale=3",
        "poisson:mu=3",
        "gumbel_r",
        "triang:c=0.3",
    ],
)
def test_moments_agree_with_scipy(text):
    energies = parse_energies(text)
    name, _, tail = text.partition(":")
    parameters = {k: float(v) for k, v in (item.split("=") for item in filter(None, tail.split(",")))}
    mean, variance, skewness, kurtosis = getattr(stats, name)(**parameters).stats("mvsk")
    found = energies.central_moments(4)
    expected = [mean, 0, variance, skewness * variance**1.5, (kurtosis + 3) * variance**2]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    assert energies.mean == pytest.approx(float(mean), abs=1e-12)
    assert energies.variance == pytest.approx(float(variance), rel=1e-12)


def test_moments_that_do_not_exist_are_infinite():
    moments = parse_energies("t:df=2.5").central_moments(4)
    assert moments[2] == pytest.approx(5.0, rel=1e-6)
    assert np.isinf(moments[3:]).all()
    assert np.isinf(parse_energies("pareto:b=0.6").mean)


@pytest.mark.parametrize(
    "energies",
    [
        STANDARD_NORMAL,
        Gaussian(1.0, 2.0),
        as_energies("laplace"),
        as_energies("expon:loc=1,scale=2"),
        Mixture([(0.4, "normal"), (0.6, "gamma:a=2")]),
        as_energies(stats.Normal()),
        as_energies(stats.make_distribution(stats.gamma)(a=2.0)),
    ],
    ids=lambda e: e.name,
)
def test_samples_follow_the_distribution(energies):
    draws = energies.sample(np.random.default_rng(1), 4000)
    assert stats.kstest(draws, energies.cdf).pvalue > 1e-3
    q = np.array([1e-6, 0.1, 0.5, 0.9])
    np.testing.assert_allclose(energies.cdf(energies.ppf(q)), q, rtol=1e-8)
    assert stats.kstest(draws, lambda e: energies.cdf(e + 0.3)).pvalue < 1e-6


def test_discrete_energies():
    energies = Discrete([2.0, 0.0, 2.0], [0.2, 0.5, 0.3])
    np.testing.assert_array_equal(energies.values, [0.0, 2.0])
    np.testing.assert_allclose(energies.weights, [0.5, 0.5])
    assert energies.is_discrete
    assert not as_energies("laplace").is_discrete
    np.testing.assert_allclose(energies.cdf([-1.0, 0.0, 1.0, 2.0]), [0.0, 0.5, 0.5, 1.0])
    draws = energies.sample(np.random.default_rng(0), 2000)
    assert set(np.unique(draws)) == {0.0, 2.0}
    assert as_energies({0.0: 0.3, 1.0: 0.7}).mean == pytest.approx(0.7)


def test_files_of_samples(tmp_path):
    values = np.array([0.5, 1.0, -2.0])
    np.save(tmp_path / "e.npy", values)
    np.savetxt(tmp_path / "e.csv", values[:, None], delimiter=",")
    for name in ("e.npy", "e.csv"):
        loaded = parse_energies(str(tmp_path / name))
        assert isinstance(loaded, Sample)
        np.testing.assert_allclose(loaded.values, np.sort(values))
    (tmp_path / "bad.csv").write_text("a,b\n")
    with pytest.raises(ValueError, match="energies: must name a readable file of numbers"):
        parse_energies(str(tmp_path / "bad.csv"))
    with pytest.raises(ValueError, match="energies: must name a readable file of numbers"):
        parse_energies(str(tmp_path / "missing.npy"))


def test_pickled_files_are_refused(tmp_path):
    np.save(tmp_path / "p.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="readable file"):
        parse_energies(str(tmp_path / "p.npy"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t:df=-1", "energies: t takes the parameters df, loc, scale"),
        ("t:nu=3", "energies: t takes the parameters df, loc, scale"),
        ("t", "energies: t takes the parameters df, loc, scale"),
        ("t:df=__import__('os')", "energies: must list parameters as name=number"),
        ("atoms:0=-1", "energies: weights"),
        ("finite-width:m=2.5", "width: must be a whole number"),
        ("finite-width:k=2", "energies: finite-width takes m"),
        ("os.system", "energies: must name a scipy.stats distribution"),
    ],
)
def test_text_that_means_nothing(text, message):
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        parse_energies(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Gaussian(std=0.0),
        lambda: Discrete([]),
        lambda: Discrete([1.0, np.nan]),
        lambda: Discrete([1.0, 2.0], [1.0]),
        lambda: Mixture([]),
        lambda: Mixture([(0.5, FiniteWidth(3)), (0.5, "normal")]),
        lambda: as_energies(stats.zipf(1.5)).components,
        lambda: as_energies(stats.vonmises(1.0)).components,  # SciPy's winds around the circle without end
    ],
)
def test_invalid_distributions(make):
    with pytest.raises(ValueError, match=r"^[^\n]+; [^\n]+$"):
        make()


def test_names_are_read_back():
    for text in ("laplace", "t:df=5", "atoms:0=0.25,1=0.75", "finite-width:m=32", "normal:loc=1,scale=2"):
        energies = parse_energies(text)
        assert isinstance(energies, Energies)
        assert parse_energies(energies.name).name == energies.name
    assert parse_energies("normal") is STANDARD_NORMAL
    assert as_energies(None) is STANDARD_NORMAL
