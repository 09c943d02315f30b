import numpy as np
import pytest
from scipy import special, stats

from peakedtheory import (
    Discrete,
    FiniteWidth,
    Gaussian,
    Mixture,
    Sample,
    as_energies,
    parse_energies,
    thermodynamics,
)
from peakedtheory.energies.base import Energies, Located
from peakedtheory.energies.central_moments import central_moments
from peakedtheory.energies.normal import STANDARD_NORMAL
from peakedtheory.testing import violation


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
        FiniteWidth(1),
        FiniteWidth(8),
    ],
    ids=lambda e: e.name,
)
def test_samples_follow_the_distribution(energies):
    draws = energies.sample(np.random.default_rng(1), (4000, 1))[:, 0]
    assert stats.kstest(draws, energies.cdf).pvalue > 1e-3
    q = np.array([1e-6, 0.1, 0.5, 0.9])
    np.testing.assert_allclose(energies.cdf(energies.ppf(q)), q, rtol=1e-8)
    assert stats.kstest(draws, lambda e: energies.cdf(e + 0.3)).pvalue < 1e-6


@pytest.mark.parametrize("width", [1, 2, 3, 32, 10**6])
def test_one_energy_of_finite_width(width):
    """Its density is a Bessel function, of which the average over normal laws knows nothing."""
    energies, x = FiniteWidth(width), np.array([1e-9, 0.01, 0.3, 1.0, 4.0, 20.0])
    ((weight, law),) = energies.components
    assert weight == 1.0
    if width < 100:  # beyond, SciPy's function overflows
        z, order = np.sqrt(width) * x, 0.5 * (width - 1)
        bessel = np.exp(
            order * np.log(0.5 * z) - z + 0.5 * np.log(width / np.pi) - special.gammaln(0.5 * width)
        )
        np.testing.assert_allclose(law.pdf(x), bessel * special.kve(order, z), rtol=1e-13)
    else:
        np.testing.assert_allclose(law.pdf(x[:5]), stats.norm.pdf(x[:5]), rtol=1e-4)
    np.testing.assert_array_equal(law.pdf(-x), law.pdf(x))
    nodes, weights = np.polynomial.legendre.leggauss(40)
    between = x[2:, None] * (1.0 + 0.05 * nodes)
    mass = 0.05 * x[2:] * (law.pdf(between) @ weights)
    found = energies.cdf(-0.95 * x[2:]) - energies.cdf(-1.05 * x[2:])
    np.testing.assert_allclose(found, mass, rtol=1e-9 if width > 100 else 1e-12)
    np.testing.assert_allclose(energies.cdf(x) + energies.cdf(-x), 1.0, rtol=1e-15)
    np.testing.assert_allclose(
        central_moments(energies.components, 6), energies.central_moments(6), atol=1e-11, rtol=1e-11
    )
    q = np.array([1e-300, 1e-100, 1e-8, 0.2, 0.5, 0.9])
    np.testing.assert_allclose(energies.cdf(energies.ppf(q)), q, rtol=1e-12)
    assert np.array_equal(energies.ppf(np.array([0.0, 1.0])), [-np.inf, np.inf])


def test_energies_share_a_scale_where_they_are_not_independent():
    energies = FiniteWidth(4)
    assert not energies.independent
    assert energies.unscaled is STANDARD_NORMAL
    assert STANDARD_NORMAL.independent
    assert STANDARD_NORMAL.scale_moment(-7.0) == 1.0
    assert energies.scale_moment(2.0) == pytest.approx(1.0, rel=1e-14)
    assert energies.scale_moment(-3.0) == pytest.approx(
        4**1.5 * special.gamma(0.5) / special.gamma(2.0) / 2**1.5
    )
    assert energies.scale_moment(-4.0) == np.inf
    moved = Located(energies, 1.0, 2.0, "moved")
    assert not moved.independent
    inner, outer = thermodynamics(3.0, 20, energies), thermodynamics(1.5, 20, moved)
    assert outer.free_energy == pytest.approx(1.0 + 2.0 * inner.free_energy, rel=1e-14)
    with pytest.raises(
        ValueError, match=r"^energies: must be independent to be moved, got finite-width:m=4; "
    ):
        violation("F[2 + 3ε](β) = 2 + 3 F[ε](3β)", 1.0, 10, energies)


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("laplce", "did you mean laplace"),
        ("poison:mu=3", "did you mean poisson"),
        (
            "atoms:0=0.5,1=0.7",
            "weights of atoms must sum to one, got 1.2 .*; write atoms:0=0.416667,1=0.583333",
        ),
        ("finite-width:m=1e400", "width: must be a whole number"),
        ("x" * 100_000, "must name a scipy.stats distribution"),
    ],
)
def test_what_was_meant_is_suggested(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        parse_energies(text)
    assert len(str(caught.value)) < 600
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: parse_energies(5), "energies: must be text"),
        (lambda: Mixture(3), "parts: must be .weight, energies. pairs"),
        (lambda: Gaussian("a"), "mean: must be real numbers"),
        (lambda: Discrete([0.0, "b"]), "energies: must be real numbers"),
        (lambda: Discrete([-1e308, 1e308]), "energies: must lie within 1e.150"),
        (lambda: as_energies(stats.norm([0.0, 1.0])), "energies: must be one number"),
        (lambda: as_energies(np.ma.masked), "energies: must not be empty"),
    ],
)
def test_laws_of_anything_else_are_refused_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert str(caught.value).isprintable()
