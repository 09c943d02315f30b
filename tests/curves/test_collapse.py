import itertools
import math

import numpy as np
import pytest
from made_curves import autoregressive
from matplotlib.figure import Figure

from peakedtheory.curves.collapse import compare_collapse, measure_collapse
from peakedtheory.curves.curve import LossCurve
from peakedtheory.figures.curves import plot_collapse

STEP = np.unique(np.geomspace(20, 8000, 120).round())


def curves(shifts, *, sigma=0.0, correlation=0.0, seed=0, law=lambda t: 2.0 + 3.0 * (1.0 + t) ** -0.5):
    """Runs of rates 1, 2, 4, … whose losses are one function of τ exp(shift), with noise in ln L."""
    rng = np.random.default_rng(seed)
    found = []
    for i, shift in enumerate(shifts):
        rate = 1e-3 * 2**i
        noise = autoregressive(STEP.size, correlation, sigma, rng)
        loss = law(rate * STEP * math.exp(shift)) * np.exp(noise)
        found.append(LossCurve(STEP, loss, np.full(8000, rate), name=f"run {i}"))
    return found


@pytest.mark.parametrize("count", [8, 9])
def test_the_fewest_records_allowed(count):
    step = np.unique(np.geomspace(100, 8000, count).round())
    noise = 1e-3 * np.random.default_rng(0).standard_normal((2, step.size))
    runs = [
        LossCurve(step, 3.0 * (rate * step) ** -0.5 * np.exp(noise[i]), np.full(8000, rate), name=str(i))
        for i, rate in enumerate((1e-3, 2e-3))
    ]
    found = measure_collapse(runs)
    assert found.spread <= 4 * found.standard_error + 1e-3


def test_constant_factors_are_measured_exactly():
    shifts = np.array([-0.3, 0.1, 0.15, 0.4])
    runs = curves(shifts)
    assert measure_collapse(runs).spread == pytest.approx(np.std(shifts, ddof=1), rel=2e-3)
    # Against steps the rates themselves are factors.
    total = shifts + math.log(2.0) * np.arange(4)
    against_steps = measure_collapse(runs, "step")
    assert against_steps.spread == pytest.approx(np.std(total, ddof=1), rel=2e-3)
    assert against_steps.factor == pytest.approx(math.exp(np.std(total, ddof=1)), rel=2e-3)


def test_perfect_collapse_is_zero():
    assert measure_collapse(curves(np.zeros(3))).spread < 1e-3


@pytest.mark.parametrize(
    "change", [lambda loss: loss - 1.99, lambda loss: 7.0 * loss**3, lambda loss: np.exp(loss) + 40.0]
)
def test_monotone_changes_of_the_loss_do_not_matter(change):
    runs = curves([-0.3, 0.1, 0.4])
    changed = [LossCurve(c.step, change(c.loss), c.rates) for c in runs]
    assert measure_collapse(changed).spread == pytest.approx(measure_collapse(runs).spread, rel=3e-3)


def test_units_of_the_rate_do_not_matter():
    runs = curves([-0.3, 0.1, 0.4], sigma=0.003)
    scaled = [LossCurve(c.step, c.loss, 1e4 * c.rates) for c in runs]
    one, other = measure_collapse(runs), measure_collapse(scaled)
    assert other.spread == pytest.approx(one.spread, rel=1e-10)
    assert other.standard_error == pytest.approx(one.standard_error, rel=1e-8)


def naive_spread(runs):
    """Pairwise definition on noiseless records by linear interpolation of ln τ in ln L."""
    variances = []
    for a, b in itertools.combinations(runs, 2):
        low, high = max(a.loss.min(), b.loss.min()), min(a.loss.max(), b.loss.max())
        levels = np.exp(np.linspace(math.log(low), math.log(high), 400)[1:-1])
        x = [np.interp(-levels, -run.loss, np.log(run.tau)) for run in (a, b)]
        # Levels are spread evenly over the curves in ln(step).
        weight = np.abs(np.gradient(x[0])) + np.abs(np.gradient(x[1]))
        variances.append(np.average(0.5 * (x[0] - x[1]) ** 2, weights=weight))
    return math.sqrt(np.mean(variances))


def test_shapes_that_differ():
    runs = curves([0.0]) + curves([0.1], law=lambda t: 2.0 + 3.0 * (1.0 + t) ** -0.46)
    assert measure_collapse(runs).spread == pytest.approx(naive_spread(runs), rel=0.05)


def test_curves_that_share_only_some_losses():
    runs = curves(np.zeros(4))
    parts = [runs[0].window(20, 900), runs[1].window(100), runs[2].window(100, 4000), runs[3]]
    result = measure_collapse(parts)
    assert result.spread < 2e-3
    assert np.isnan(result.position).any()


COVERAGE = {
    "white, collapsed": (0.0, 0.004, 0.0),
    "white, apart": (0.2, 0.004, 0.0),
    "correlated, collapsed": (0.0, 0.004, 0.7),
    "correlated, apart": (0.2, 0.004, 0.7),
}


@pytest.mark.parametrize("case", COVERAGE)
def test_standard_errors_are_honest(case):
    size, sigma, correlation = COVERAGE[case]
    shifts = size * np.array([-1.0, -0.3, 0.4, 0.9])
    truth = np.std(shifts, ddof=1) if size else 0.0
    inside = []
    for seed in range(20):
        result = measure_collapse(curves(shifts, sigma=sigma, correlation=correlation, seed=seed))
        inside.append(abs(result.spread - truth) <= (2.0 + 1e-6) * result.standard_error)
    assert np.mean(inside) >= 0.8  # 20 draws at 95 %: below this in fewer than 1 of 100 sets


def test_error_falls_with_the_noise():
    loud = measure_collapse(curves([0.0, 0.2], sigma=0.02))
    soft = measure_collapse(curves([0.0, 0.2], sigma=0.002))
    assert 5 < loud.standard_error / soft.standard_error < 20
    assert 5 < loud.noise / soft.noise < 20


def test_same_seed_same_bits():
    runs = curves([0.0, 0.2], sigma=0.01)
    assert measure_collapse(runs, rng=5).standard_error == measure_collapse(runs, rng=5).standard_error
    assert measure_collapse(runs, rng=5).standard_error != measure_collapse(runs, rng=6).standard_error


def test_comparison():
    constant = compare_collapse(curves(np.zeros(3), sigma=0.003))
    assert constant.better == "tau"
    assert constant.verdict.startswith("τ collapses the curves better")
    # The same losses at the same steps, whatever the rates: steps are the better abscissa.
    by_steps = [LossCurve(STEP, 2 + 9 * STEP**-0.5, np.full(8000, rate)) for rate in (1e-3, 4e-3)]
    assert compare_collapse(by_steps).better == "step"
    # Equal rates cannot tell.
    equal = [LossCurve(c.step, c.loss, np.full(8000, 1e-3)) for c in curves([0.0, -math.log(2)], sigma=0.01)]
    answer = compare_collapse(equal)
    assert answer.better is None
    assert "equally well" in answer.verdict
    assert answer.tau.spread == pytest.approx(answer.step.spread)


def test_long_logs_are_binned():
    step = np.arange(1, 30001)
    rng = np.random.default_rng(0)
    noise = [np.exp(0.05 * rng.standard_normal(step.size)) for _ in range(2)]
    runs = [
        LossCurve(step, (1 + 5 * (r * step) ** -0.3) * e, np.full(step.size, r))
        for r, e in zip((0.1, 0.3), noise, strict=True)
    ]
    answer = compare_collapse(runs)
    assert answer.better == "tau"
    assert answer.step.spread == pytest.approx(math.log(3) / math.sqrt(2), abs=4 * answer.step.standard_error)


def test_warmup_at_zero_rate_is_left_out():
    rates = np.concatenate([np.zeros(30), np.full(7970, 1e-3)])
    delayed = LossCurve(STEP, 2 + 3 * (1 + np.cumsum(rates)[STEP.astype(int) - 1]) ** -0.5, rates)
    assert measure_collapse([delayed, *curves([0.0, 0.0])]).spread < 3e-3


def test_figures(tmp_path):
    runs = curves([0.0, 0.1, 0.2], sigma=0.003)
    answer = compare_collapse(runs)
    figure = answer.plot(runs)
    assert isinstance(figure, Figure)
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "dynamic time τ",
        "steps",
        "loss (nats)",
        "loss (nats)",
    ]
    figure.savefig(tmp_path / "collapse.png")
    assert answer.tau.plot().get_ylabel().startswith("τ")
    apart = [runs[0].window(20, 300), runs[1].window(100, 900), runs[2].window(450)]
    plot_collapse(measure_collapse(apart)).figure.savefig(tmp_path / "apart.png")


def test_repr():
    text = repr(compare_collapse(curves([0.0, 0.1], sigma=0.003)))
    assert "Collapse of 2 curves against τ: spread of ln x" in text
    assert "steps" in text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: measure_collapse(curves([0.0])), "curves: must be at least two"),
        (lambda: measure_collapse(curves([0.0, 0.0]), "epochs"), "against: must be tau or step"),
        (lambda: measure_collapse([c.window(20, 24) for c in curves([0.0, 0.0])]), "at least 8 records"),
        (lambda: measure_collapse([LossCurve(STEP, 1 + 1 / STEP, name="x")] * 2), "dynamic time of x"),
        (
            lambda: measure_collapse([curves([0.0])[0], LossCurve(STEP, 9 + 1 / STEP, np.ones(8000))]),
            "common losses",
        ),
        (lambda: measure_collapse([1, 2]), "LossCurve"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()
