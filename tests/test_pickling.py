"""Laws and results go to other processes and files whatever was asked of them before."""

import copy
import dataclasses
import functools
import inspect
import pickle

import made_curves
import numpy as np
import pytest
from scipy import stats

import peakedtheory as pt
from peakedtheory.energies.normal import STANDARD_NORMAL, StandardNormal

LAWS = {
    "normal": lambda: STANDARD_NORMAL,
    "gaussian": lambda: pt.Gaussian(1.0, 2.0),
    "continuous": lambda: pt.as_energies("t:df=5"),
    "located": lambda: pt.as_energies("laplace:loc=1,scale=2"),
    "new-style": lambda: pt.as_energies(stats.Uniform(a=0.0, b=1.0)),
    "atoms": lambda: pt.Discrete([0.0, 1.0], [0.3, 0.7]),
    "sample": lambda: pt.Sample([0.3, -1.0, 2.0, 0.1]),
    "mixture": lambda: pt.Mixture([(0.4, "normal"), (0.6, "gamma:a=2")]),
    "finite-width": lambda: pt.FiniteWidth(16),
}


def again(value):
    return pickle.loads(pickle.dumps(value))


def leaves(value):
    """The numbers and words in a result, in order."""
    if isinstance(value, pt.Energies):
        return [value.name, *leaves(value.cdf(np.linspace(-2.0, 3.0, 6)))]
    if dataclasses.is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        value = [part for pair in value.items() for part in pair]
    if isinstance(value, (list, tuple)):
        return [leaf for part in value for leaf in leaves(part)]
    if isinstance(value, np.ndarray):
        return [value.shape, *value.ravel().tolist()]
    if value is None or isinstance(value, (bool, int, float, str, np.generic, type)):
        return [value]
    return leaves(vars(value)) if hasattr(value, "__dict__") else [type(value)]


def same(one, other):
    assert type(one) is type(other)
    first, second = leaves(one), leaves(other)
    assert len(first) == len(second)
    assert all(a == b or (a != a and b != b) for a, b in zip(first, second, strict=True))


def ask(result):
    """Call everything that needs no argument, so that whatever is kept for later is there."""
    repr(result)
    for name, member in inspect.getmembers(type(result)):
        if name.startswith("_") or name == "plot":
            continue
        try:
            value = getattr(result, name)
            if inspect.isfunction(member) and not inspect.signature(value).parameters:
                value()
        except ValueError:
            pass  # one line says what this result does not have


def use(energies):
    """Every public call that takes energies."""
    atoms = energies.is_discrete
    pt.thermodynamics([0.5, 3.0], 20, energies)
    pt.low_temperature_expansion(20, energies, 1 if atoms else 2).valid_range  # noqa: B018
    pt.high_temperature_expansion(20, energies)
    pt.loss(1.0, 2.0, 20, energies)
    pt.loss_gradient(1.0, 2.0, 20, energies)
    pt.loss_with_error(1.0, np.inf, 20, energies)
    pt.match_entropy(2.9 if atoms else 1.0, 20, energies)
    pt.estimate(1.0, 20, energies, samples=200, rng=1)
    pt.estimate(1.0, 100, energies, samples=200, rng=1)
    pt.predict_exponent(20, energies)
    pt.regime(6.0, 20, energies)
    pt.testing.violation("F = U - S/β", 1.0, 20, energies)
    ask(energies)
    energies.sample(np.random.default_rng(1), 3)
    energies.ppf(np.array([0.2]))
    energies.components  # noqa: B018


@functools.cache
def used(name):
    energies = LAWS[name]()
    use(energies)
    return energies


@pytest.mark.parametrize("name", LAWS)
def test_laws_after_every_call(name):
    energies = used(name)
    back = again(energies)
    same(energies, back)
    same(energies, copy.copy(energies))
    ours, theirs = (pt.thermodynamics([0.5, 3.0], 20, e) for e in (energies, back))
    assert np.array_equal(ours.log_partition, theirs.log_partition)
    assert np.array_equal(energies.central_moments(3), back.central_moments(3))
    assert vars(again(energies)).keys() == vars(LAWS[name]()).keys()  # nothing that was worked out goes along


def test_the_standard_normal_is_one():
    assert again(STANDARD_NORMAL) is STANDARD_NORMAL
    assert copy.deepcopy(STANDARD_NORMAL) is STANDARD_NORMAL
    assert StandardNormal() is STANDARD_NORMAL
    assert again(used("gaussian")).core is STANDARD_NORMAL
    assert again(used("finite-width")).unscaled is STANDARD_NORMAL
    assert again(used("mixture")).parts[0] is STANDARD_NORMAL


@functools.cache
def estimates():
    grid = np.linspace(2.0, 20.0, 12)
    return pt.estimate(grid, 20, used("continuous"), samples=2000, rng=1, covariance=True)


@functools.cache
def curves():
    rng = np.random.default_rng(3)
    noise = [made_curves.autoregressive(150, 0.5, 0.002, rng) for _ in range(3)]
    return tuple(made_curves.curve("power", "constant", n, name=f"run {i}") for i, n in enumerate(noise))


@functools.cache
def fit():
    return pt.fit_loss_curve(curves()[0], "power", bootstrap=10, rng=1)


@functools.cache
def comparison():
    return pt.compare_laws(curves()[0], ["power", "power:alpha=1/3"])


@functools.cache
def schedule():
    return pt.optimal_schedule(100, np.inf, 128, optimizer=pt.SGD(batch=64), families=("wsd",), refine=False)


RESULTS = {
    "Thermodynamics": lambda: pt.thermodynamics([1.0, 2.0], 20, used("located")),
    "ErrorEstimate": lambda: pt.thermodynamics(1.0, 20, used("normal")).error,
    "LowTemperatureExpansion": lambda: pt.low_temperature_expansion(20, used("normal"), 4),
    "HighTemperatureExpansion": lambda: pt.high_temperature_expansion(20, used("continuous"), 3),
    "MisalignedLoss": lambda: pt.misaligned_loss(3.0, 1.0, 10.0, 20),
    "EntropyMatch": lambda: pt.match_entropy(1.0, 20, used("mixture")),
    "Estimate": lambda: estimates().entropy,
    "MonteCarloResult": estimates,
    "MisalignedEstimates": lambda: pt.estimate_misaligned(3.0, 1.0, 10.0, 20, samples=500, rng=1),
    "ExpansionFit": lambda: pt.fit_low_temperature(estimates(), 1),
    "Clock": lambda: pt.Clock([0.1, 0.1, 0.05], batches=[64, 64, 128]),
    "Exponent": lambda: pt.predict_exponent(20, used("finite-width")),
    "Regime": lambda: pt.regime(100.0, 20, used("normal")),
    "Window": lambda: pt.regime(1e4, 20, used("normal")).window,
    "PhaseDiagram": lambda: pt.phase_diagram([50.0, 100.0], 20, used("normal")),
    "StudentFlow": lambda: pt.student_flow([1.0, 10.0], 5.0, 20, optimizer=pt.SGD(0.1, 64, 32)),
    "GradientFlow": lambda: pt.GradientFlow(width=32),
    "SGD": lambda: pt.SGD(0.1, 64, 32),
    "Adam": pt.Adam,
    "SignGD": pt.SignGD,
    "Muon": pt.Muon,
    "OptimalRate": lambda: pt.optimal_learning_rate(64, 32, 128),
    "OptimalSchedule": schedule,
    "FamilyOptimum": lambda: schedule().families[0],
    "LossCurve": lambda: curves()[0],
    "LossCurveFit": fit,
    "Uncertainty": lambda: next(iter(fit().uncertainty.values())),
    "LawComparison": comparison,
    "LawScore": lambda: comparison().scores[0],
    "Forecast": lambda: pt.forecast(curves()[0], 20_000, law="power"),
    "Reached": lambda: pt.forecast(curves()[0], 20_000).reached(2.5),
    "CurveRegime": lambda: pt.curve_regime(curves()[0], n=50304, entropy=2.0),
    "Collapse": lambda: pt.measure_collapse(list(curves())),
    "CollapseComparison": lambda: pt.compare_collapse(list(curves())),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_after_every_call(name):
    result = RESULTS[name]()
    assert type(result).__name__ == name
    before = leaves(result)
    ask(result)
    back = again(result)
    assert len(before) == len(leaves(back))
    same(result, back)
    assert repr(back) == repr(result)


def test_every_result_type_of_the_root_is_tried():
    kinds = {name for name in pt.__all__ if inspect.isclass(getattr(pt, name))}
    kinds -= {name for name in kinds if issubclass(getattr(pt, name), pt.Energies)}
    assert kinds == set(RESULTS)
