"""Standard errors away from where they were tuned: ±1, 2 and 3 of them hold the exact value as often as Student's t says.

Heavy tails, tiny β, the cold, few samples, atoms of little weight, samples of data. Each setting has its own seeds,
and every number of a result is tested.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from peakedtheory import Discrete, Mixture, Sample, as_energies, estimate, thermodynamics

QUANTITIES = ("log_partition", "internal_energy", "entropy", "energy_variance", "loss", "loss_gradient")
DATA = np.random.default_rng(5)


@dataclass(frozen=True)
class Setting:
    energies: object
    n: int
    beta: float
    beta_star: float
    method: str
    samples: int

    def __str__(self):
        name = self.energies if isinstance(self.energies, str) else as_energies(self.energies).name
        return f"{name[:40]}, n={self.n}, β={self.beta:g}, {self.method}, {self.samples}"


SETTINGS = [
    Setting(stats.t(3), 3000, 0.03, 1.0, "order-statistics", 2000),
    Setting(stats.t(3), 3000, 0.03, 1.0, "auto", 5000),
    Setting(stats.t(2.5), 500, 0.3, 3.0, "auto", 1000),
    Setting(stats.t(3), 10, 0.1, 1.0, "auto", 500),
    Setting(stats.t(4), 3, 3.0, 1.0, "auto", 500),
    Setting(stats.t(7), 40, 0.7, 3.0, "plain", 3000),
    Setting(stats.triang(0.5), 3000, 37.0, 10.0, "auto", 500),
    Setting(stats.triang(0.3), 300, 3.7, 10.0, "plain", 300),
    Setting("normal", 77, 2.0, 10.0, "auto", 200),
    Setting("normal", 3000, 37.0, 10.0, "qmc", 64 * 16),
    Setting("normal", 77, 11.0, 4.0, "qmc", 64 * 8),
    Setting("normal", 5, 3.0, 10.0, "plain", 150),
    Setting("normal", 128, 300.0, 10.0, "auto", 4000),
    Setting("normal:loc=1e6,scale=3", 33, 0.4, 1.0, "plain", 200),
    Setting("laplace", 1000, 0.5, 3.0, "auto", 200),
    Setting("laplace", 9, 1.7, 0.2, "plain", 1000),
    Setting("laplace", 200, 7.0, 2.0, "qmc", 64 * 16),
    Setting("expon", 300, 37.0, 3.0, "auto", 300),
    Setting("expon", 5, 3.0, 10.0, "plain", 300),
    Setting("gumbel_l", 1000, 0.9, 3.0, "auto", 500),
    Setting("gumbel_r", 70, 6.0, 2.0, "qmc", 64 * 16),
    Setting("logistic", 10**7, 0.6, 2.0, "auto", 300),
    Setting("uniform", 12, 9.0, 1.0, "plain", 500),
    Setting(stats.weibull_max(0.7), 500, 0.3, 3.0, "auto", 500),
    Setting("gamma:a=2.5", 60, 4.0, 9.0, "plain", 700),
    Setting(Discrete([0.0, 1.0, 2.0], [1e-4, 0.3, 0.6999]), 20, 5.0, 2.0, "auto", 500),
    Setting(Discrete([0.0, 0.5], [0.02, 0.98]), 7, 3.0, 1.0, "auto", 500),
    Setting("poisson:mu=3", 100, 2.0, 1.0, "auto", 500),
    Setting(Sample(DATA.exponential(size=200)), 77, 3.0, 1.0, "auto", 200),
    Setting(Sample(DATA.normal(size=1000)), 77, 3.0, 1.0, "auto", 300),
    Setting(Sample(DATA.standard_t(4, size=150)), 50, 0.5, 1.0, "order-statistics", 500),
    Setting("finite-width:m=6", 30, 2.0, 5.0, "plain", 1000),
    Setting(Mixture([(0.1, "normal"), (0.9, "normal:loc=2,scale=0.3")]), 90, 3.0, 1.0, "auto", 500),
]


def truth(setting):
    energies = as_energies(setting.energies)
    here, star = (thermodynamics(b, setting.n, energies) for b in (setting.beta, setting.beta_star))
    exact = {name: getattr(here, name) for name in QUANTITIES[:4]}
    gap = setting.beta - setting.beta_star
    exact["loss"] = here.log_partition - star.log_partition + gap * star.internal_energy
    exact["loss_gradient"] = star.internal_energy - here.internal_energy
    return exact


def distances(setting, seeds):
    """How far each estimate is from the truth, in standard errors beyond its bias bound, shape (seeds,)."""
    energies, exact = as_energies(setting.energies), truth(setting)
    found = {name: [] for name in QUANTITIES}
    for seed in seeds:
        result = estimate(
            setting.beta, setting.n, energies, beta_star=setting.beta_star, samples=setting.samples, rng=seed,
            method=setting.method,
        )  # fmt: skip
        for name in QUANTITIES:
            one = result.estimates()[name]
            away = max(abs(one.mean - exact[name]) - one.bias_bound, 0.0)
            found[name].append(
                away / one.standard_error if one.standard_error > 0 else np.inf * (away > 1e-12)
            )
    return {name: np.nan_to_num(values, posinf=np.inf) for name, values in found.items()}, result


def shortfalls(setting, seeds, deviations=3.0):
    """The numbers, and how often how many errors held them, where that is too rarely or too often."""
    found, result = distances(setting, seeds)
    wrong = []
    for name, z in found.items():
        for level in (1, 2, 3):
            due = 1 - 2 * stats.t(result.degrees_of_freedom).sf(level)
            slack = deviations * np.sqrt(due * (1 - due) / len(z))
            held = float(np.mean(z < level))
            if not due - slack <= held <= due + slack and not np.all(z == 0):
                wrong.append((name, level, round(held, 3), round(due, 3)))
    return wrong


#: Scramblings of few points: ±2 errors of the loss were seen to hold 90 % of cases. Results say so in `cautions`.
SPARSE = [s for s in SETTINGS if s.method == "qmc" and s.samples < 64 * 64]


@pytest.mark.nightly
@pytest.mark.parametrize(
    "setting",
    [
        pytest.param(s, marks=[pytest.mark.xfail(reason="few points")] if s in SPARSE else [])
        for s in SETTINGS
    ],
    ids=str,
)
def test_errors_hold_in_settings_of_every_kind(setting):
    """Of some six hundred fractions one or two miss three deviations by chance: these are counted afresh."""
    wrong = shortfalls(setting, range(10_000, 10_300))
    if wrong:
        again = shortfalls(setting, range(11_000, 12_200))
        wrong = [miss for miss in again if miss[:2] in {miss[:2] for miss in wrong}]
    assert not wrong


@pytest.mark.parametrize("setting", [SETTINGS[i] for i in (2, 8, 14, 25, 28)], ids=str)
def test_errors_hold(setting):
    assert not shortfalls(setting, range(20_000, 20_100), deviations=4.0)


def test_what_plain_samples_cannot_know_is_said():
    heavy = estimate(0.03, 3000, stats.t(3), samples=200, rng=1, method="plain")
    assert any("no moment of order 3" in line for line in heavy.cautions)
    assert "caution" in repr(heavy)
    rare = estimate(5.0, 20, SETTINGS[25].energies, samples=200, rng=1, method="plain")
    assert any("the lowest energy changes in some" in line for line in rare.cautions)
    few = estimate(1000.0, 20, samples=300, rng=1, method="plain")
    assert any("few of the samples decide" in line for line in few.cautions)
    assert not estimate(2.0, 20, samples=2000, rng=1, method="plain").cautions
    assert not estimate(2.0, 2000, samples=2000, rng=1).cautions
    sparse = estimate(2.0, 100, samples=64 * 16, rng=1, method="qmc")
    assert any("each scrambling has 16 points" in line for line in sparse.cautions)


def test_importance_leaves_the_mean_as_it_is():
    """The same averages from spacings as they are and by importance, weights of mean one."""
    from peakedtheory.sampling.importance import favour_rare, weights_of

    drawn = np.random.default_rng(1).standard_exponential((200_000, 3))
    plain = drawn.copy()
    favour_rare(drawn)
    w = weights_of(drawn)
    assert abs(w.mean() - 1.0) < 5 * w.std() / np.sqrt(w.size)
    assert w.max() <= 1.0 / (1.0 - 0.26) / (1.0 - 0.1) + 1e-12
    for f in (
        lambda e: e[:, 0],
        lambda e: np.exp(-e[:, 0] - e[:, 1]),
        lambda e: e[:, 1] ** 2,
        lambda e: e[:, 2],
    ):
        change = w * f(drawn)
        error = np.hypot(change.std(), f(plain).std()) / np.sqrt(w.size)
        assert abs(change.mean() - f(plain).mean()) < 5 * error
    np.testing.assert_array_equal(drawn[:, 2], plain[:, 2])
    assert np.sum(drawn[:, 0] < 1e-4) > 20 * np.sum(plain[:, 0] < 1e-4)
