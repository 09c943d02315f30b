"""Analysis of training curves on curves made by hand, whose exponents, rates and errors are known."""

import math

import numpy as np
import pytest
import xarray

from peakedtheory.dynamics.optimizers import SGD
from peakedtheory.dynamics.student import student_flow
from peakedtheory.schedules.clock import Clock
from peakedtheory.validation.experiments import selection
from peakedtheory.validation.experiments.base import RunContext
from peakedtheory.validation.experiments.claims import FAILS, HOLDS, OPEN
from peakedtheory.validation.experiments.flows import aligned_flow, flow_claim
from peakedtheory.validation.experiments.hard_labels import analysis as analysis_hard
from peakedtheory.validation.experiments.registry import experiment
from peakedtheory.validation.experiments.scans import claims as scan_claims
from peakedtheory.validation.experiments.schedules import analysis as analysis_budgets, experiment as budgets
from peakedtheory.validation.experiments.starts import analysis as analysis_starts

STEPS = np.unique(np.round(np.geomspace(1, 2000, 40)).astype(int))


def run(loss, beta=lambda star, rate, step: np.zeros(step.size), **axes):
    """Return a run over the product of its axes; curves are functions of the first two axes and the step."""
    grid = np.array(np.meshgrid(*axes.values(), indexing="ij")).reshape(len(axes), -1)
    columns = {name: ("case", grid[i]) for i, name in enumerate(axes)}
    both = [(loss(*case[:2], STEPS), beta(*case[:2], STEPS)) for case in grid.T]
    rates = columns["learning_rate"][1]
    return xarray.Dataset(
        {
            "loss": (("case", "time"), np.array([a for a, _ in both])),
            "loss_standard_error": (("case", "time"), np.full((grid.shape[1], STEPS.size), 1e-9)),
            "beta": (("case", "time"), np.array([b for _, b in both])),
            "tau": (("case", "time"), rates[:, None] * STEPS),
            "step": ("time", STEPS),
            "diverged": ("case", np.zeros(grid.shape[1], bool)),
        },
        coords=columns,
    )


def scan(optimizer, c_eff=1.2):
    """A scan whose cold losses fall as τ^-0.36 and β grows as t^0.39, and whose warm β relaxes at c_eff/n."""

    def loss(star, rate, step):
        left = star - beta(star, rate, step)
        return (rate * step) ** -0.36 if star > 100 else 0.5 * left**2

    def beta(star, rate, step):
        if star > 100:
            return step**0.39
        return star * (1 - np.exp(-c_eff * rate * step / 128))

    rates = np.array([1e-3, 3e-3, 1e-2]) * (100 if optimizer == "sgd" else 1)
    data = run(loss, beta, beta_star=[0.5, 500.0], learning_rate=rates, teacher=[0, 1])
    names = np.full(data.sizes["case"], optimizer)
    return data.assign_coords(optimizer=("case", names))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_claims_of_a_scan_measure_what_was_planted(optimizer):
    data = scan(optimizer)
    theory = data.assign(loss=1.03 * data["loss"], beta=0.98 * data["beta"])
    claims = scan_claims.claims(data, theory, optimizer)
    error_loss, error_beta, one_third, as_theory, growth, in_tau = claims[:6]
    assert error_loss.measured == pytest.approx(0.03, rel=1e-6)
    assert error_beta.measured == pytest.approx(0.02, rel=1e-6)
    assert error_beta.rule.startswith("at most 5 %")
    assert one_third.measured == pytest.approx(0.36, abs=1e-6)
    assert one_third.predicted == pytest.approx(0.36, abs=1e-6)
    rate = {"adam": "0.01", "sgd": "1"}[optimizer]
    assert f"η = {rate}, β* = 500, steps 200 to 2000" in one_third.text
    assert as_theory.measured == pytest.approx(0.0, abs=1e-6)
    assert growth.measured == pytest.approx(0.39, abs=1e-6)
    assert growth.verdict == (HOLDS if optimizer == "adam" else FAILS)
    assert in_tau.measured == pytest.approx(0.0, abs=1e-9)
    spread = float(in_tau.text.rpartition(" ")[2].rstrip(")"))
    assert spread > 0.2


def test_relaxation_is_the_rate_of_the_exponential():
    data = scan("sgd", c_eff=1.7)
    case = int(selection.select(data, beta_star=0.5, learning_rate=1.0, teacher=0)[0])
    assert scan_claims.relaxation(data, data["beta"].values[case], case) == pytest.approx(1.7, rel=1e-6)
    # nothing of the range has been seen
    assert math.isnan(scan_claims.relaxation(data, np.zeros(STEPS.size), case))


def test_the_constant_of_the_aligned_flow_is_found():
    flow = aligned_flow(500.0)

    def loss(star, rate, step):
        return flow.loss_at(300 * rate * step)

    np.testing.assert_allclose(flow.time_of(flow.loss_at(np.array([3.0, 300.0]))), [3.0, 300.0])
    data = run(loss, beta_star=[500.0], learning_rate=[1e-3, 1e-2], teacher=[0])
    fitted, fixed = (scan_claims._aligned(data, name) for name in ("adam", "sgd"))
    assert "c_eff = 300 fitted" in fitted.text
    assert fitted.measured < 1e-3
    assert fixed.measured > 1
    # losses that have not begun to fall say nothing of c_eff
    still = scan_claims._aligned(data.assign(loss=0 * data["loss"] + math.log(128)), "adam")
    assert still.verdict == OPEN
    assert math.isnan(still.measured)


def test_a_diverged_rate_is_never_the_best():
    data = run(
        lambda star, rate, step: step**-rate if rate < 0.9 else np.full(step.size, np.nan),
        beta_star=[1.0],
        learning_rate=[0.1, 0.5, 1.0],
        teacher=[0, 1],
    )
    rate, cases = selection.best_rate(data, beta_star=1.0)
    assert rate == 0.5
    assert data["learning_rate"].values[cases].tolist() == [0.5, 0.5]
    assert selection.best_rate(data, among=np.array([0.1, 1.0]))[0] == 0.1
    # at the first record all finite losses are equal
    assert selection.best_rate(data, at=0)[0] == 0.1


def test_the_closest_value_is_so_by_its_logarithm():
    assert selection.closest(np.array([0.01, 0.1, 1.0]), 0.04) == 0.1
    assert selection.closest(np.array([0.01, 0.1, 1.0]), 0.03) == 0.01


def test_rates_shown_under_decay():
    rates = np.logspace(-3, 0, 13)
    data = run(lambda star, rate, step: (1 + step) * abs(np.log(rate / 0.05)) + 1.0, beta_star=[11.5],
               learning_rate=rates, teacher=[0])  # fmt: skip
    shown = analysis_starts.shown_decay_rates(data)
    assert shown == pytest.approx([0.001, 0.0056234, 0.1, 0.56234], rel=1e-4)
    assert analysis_starts.best_decay_rate(data) == pytest.approx(0.056234, rel=1e-4)
    assert analysis_starts.best_decay_rate(data, shown) == pytest.approx(0.1)
    assert analysis_starts.decay_window(data) == (30.0, 1000.0)
    short = data.isel(time=data["step"].values <= 40)
    assert analysis_starts.decay_window(short) == pytest.approx(
        (0.1 * short.step.values[-1], short.step.values[-1])
    )


def test_best_rates_of_a_sweep_follow_the_planted_law():
    """η* = 2 B^0.8 (D/1000)^-0.3 and L = D^-1/3 [1 + ln²(η/η*)/4]."""
    batches, shifts, teachers = [16.0, 64.0, 256.0], np.arange(-4.0, 5.0), [0.0, 1.0]
    rows = [(b, 2 * b**0.8 * 2.0**s, t) for b in batches for s in shifts for t in teachers]
    batch, rate, teacher = np.array(rows).T
    amount = batch[:, None] * STEPS
    best = 2 * batch[:, None] ** 0.8 * (amount / 1000) ** -0.3
    loss = amount ** (-1 / 3) * (1 + 0.25 * np.log(rate[:, None] / best) ** 2)
    data = xarray.Dataset(
        {"loss": (("case", "time"), loss), "step": ("time", STEPS)},
        coords={
            "batch": ("case", batch), "learning_rate": ("case", rate), "teacher": ("case", teacher),
            "optimizer": ("case", np.full(batch.size, "sgd")),
        },
    )  # fmt: skip
    assert analysis_hard.optimizers_of(data) == ["sgd"]
    found = analysis_hard.rate_exponents(analysis_hard.best_rates(data, loss, "sgd"))
    assert found["data"][0] == pytest.approx(-0.3, abs=0.02)
    assert found["batch"][0] == pytest.approx(0.8, abs=0.02)
    grid, lowest = analysis_hard.envelope(data, loss, "sgd")
    assert lowest.shape == (2, grid.size)
    np.testing.assert_allclose(lowest, np.broadcast_to(grid ** (-1 / 3), lowest.shape), rtol=0.04)
    cases = analysis_hard.middle_run(data, "sgd")
    assert set(batch[cases]) == {64.0}
    few = analysis_hard.rate_exponents(np.ones((3, 3)))
    assert math.isnan(few["data"][0])
    assert math.isnan(few["batch"][1])


def test_losses_outside_a_run_are_unknown():
    data = xarray.Dataset({"step": ("time", STEPS)}, coords={"batch": ("case", [10.0, 10.0])})
    values = np.stack([STEPS**-0.5, np.full(STEPS.size, np.nan)])
    grid = np.array([10 * (analysis_hard.EARLIEST - 1), 1000.0, 20_000.0, 20_100.0])
    found = analysis_hard.losses_at(data, values, np.array([0, 1]), grid)
    np.testing.assert_allclose(found[0, 1:3], [0.1, 2000**-0.5], rtol=1e-9)
    assert np.isnan(found[0, [0, 3]]).all()
    assert np.isnan(found[1]).all()


def test_tuned_losses_of_schedules_are_read_at_the_best_height():
    """L = T^-0.7 [1 + ln²(h/h*)/3], h* between the heights scanned, the second teacher 10 % above the first."""
    rows = [(t, 2.0**k, j) for t in (100, 200, 400) for k in (-2, -1, 0, 1, 2) for j in (0, 1)]
    budget, height, teacher = np.array(rows).T
    loss = budget**-0.7 * (1 + np.log(height / 1.3) ** 2 / 3) * (1 + 0.1 * teacher)
    data = xarray.Dataset(
        {"loss": ("case", loss)},
        coords={
            "budget": ("case", budget.astype(int)), "height": ("case", height), "teacher": ("case", teacher),
            "family": ("case", np.full(budget.size, "linear")), "beta_star": ("case", np.full(budget.size, np.inf)),
            "optimizer": ("case", np.full(budget.size, "sgd")),
        },
    )  # fmt: skip
    assert analysis_budgets.groups(data) == [("sgd", math.inf)]
    assert analysis_budgets.families_of(data, "sgd", math.inf) == ["linear"]
    found = analysis_budgets.tuned(data, data, "sgd", math.inf, "linear")
    assert found.inside
    np.testing.assert_allclose(found.trained, found.budgets**-0.7 * np.array([[1.0], [1.1]]), rtol=0.02)
    np.testing.assert_array_equal(found.flow, found.trained[0])
    both = analysis_budgets.exponents(data, data, "sgd", math.inf, "linear")
    assert both.trained.value == pytest.approx(-0.7, abs=1e-6)
    assert both.predicted.value == pytest.approx(-0.7, abs=1e-6)
    assert (both.span, both.inside) == ((100, 400), True)
    lowest = data.isel(case=height <= 1)
    assert not analysis_budgets.tuned(lowest, lowest, "sgd", math.inf, "linear").inside


def test_budgets_at_which_the_teacher_is_reached_have_no_part_in_exponents():
    budgets_, heights = (100, 200, 400, 800), (0.5, 1.0, 2.0)
    budget, height = (v.ravel() for v in np.meshgrid(budgets_, heights, indexing="ij"))
    loss = budget**-0.7 * (1 + np.log(height) ** 2)
    count = budget.size
    data = xarray.Dataset(
        {"loss": ("case", loss)},
        coords={
            "budget": ("case", budget), "height": ("case", height), "teacher": ("case", np.zeros(count, int)),
            "family": ("case", np.full(count, "linear")), "beta_star": ("case", np.full(count, 10.0)),
            "optimizer": ("case", np.full(count, "sgd")),
        },
    )  # fmt: skip
    flow = data.assign(loss=("case", np.where(budget == 800, 0.0, loss)))
    both = analysis_budgets.exponents(data, flow, "sgd", 10.0, "linear")
    assert both.span == (100, 400)
    assert both.predicted.value == pytest.approx(-0.7, abs=1e-6)
    # a dip: beside the best height the flow loses twelve times as much
    dip = flow.assign(
        loss=("case", np.where((budget == 400) & (height == 1), loss / 12, flow["loss"].values))
    )
    assert np.isnan(analysis_budgets.tuned(data, dip, "sgd", 10.0, "linear").trained[0]).tolist() == [
        False, False, True, True,
    ]  # fmt: skip
    assert analysis_budgets.exponents(data, dip, "sgd", 10.0, "linear") is None


def test_a_dip_of_the_loss_is_judged_by_the_height_at_which_beta_meets_its_teacher():
    """The students' β is 10 (h/h*)^.8, h* = 1.1 of the flow's; each teacher's β* is its own."""
    heights, teachers = np.array([0.5, 1.0, 2.0]), np.array([0.97, 1.0, 1.03])
    height, teacher = (v.ravel() for v in np.meshgrid(heights, np.arange(3), indexing="ij"))
    count = height.size
    data = xarray.Dataset(
        {"loss": ("case", np.log(height / 1.1) ** 2), "beta": ("case", 10 * (height / 1.1) ** 0.8 * teachers[teacher])},
        coords={
            "budget": ("case", np.full(count, 100)), "height": ("case", height), "teacher": ("case", teacher),
            "family": ("case", np.full(count, "linear")), "beta_star": ("case", np.full(count, 10.0)),
            "optimizer": ("case", np.full(count, "sgd")),
        },
    )  # fmt: skip
    flow = xarray.Dataset(
        {
            "loss": ("case", np.log(height) ** 2 + 1e-4), "beta": ("case", 10 * height**0.8),
            "beta_sensitivity": ("case", np.full(count, 0.8)),
        }
    )  # fmt: skip
    (place,) = analysis_budgets.matched_heights(data, flow, "sgd", 10.0)
    assert (place.family, place.budget, place.reached) == ("linear", 100, True)
    np.testing.assert_allclose(np.exp(place.log_ratios), 1.1 * teachers ** (-1 / 0.8), rtol=1e-12)
    (claim,) = (one for one in budgets.claims(data, flow) if "β meets β*" in one.text)
    assert claim.measured == pytest.approx(1.1, rel=1e-3)
    assert claim.error == pytest.approx(1.1 * 0.0375 / math.sqrt(3), rel=0.02)
    assert (claim.low, claim.high, claim.verdict) == (0.95, 1.05, "fails")
    still = flow.assign(beta_sensitivity=("case", np.full(count, 0.01)))
    assert analysis_budgets.matched_heights(data, still, "sgd", 10.0) == []
    assert not [one for one in budgets.claims(data, still) if "β meets β*" in one.text]


@pytest.mark.parametrize(("family", "exponent"), [("constant", 1 / 3), ("linear", 2 / 3), ("optimal", 1.0)])
def test_asymptotic_exponents_of_schedules(family, exponent):
    assert analysis_budgets.asymptotic(family) == pytest.approx(exponent)


def test_a_claim_about_the_flow_takes_the_median_over_cases():
    measured = np.ones((5, 7))
    predicted = np.ones((5, 7)) * np.array([1.01, 1.02, 1.03, 0.5, np.nan])[:, None]
    claim = flow_claim("text", measured, predicted, 0.15, " (late)")
    assert claim.measured == pytest.approx(0.025)
    assert claim.error == pytest.approx(1.25 * np.std([0.01, 0.02, 0.03, 0.5], ddof=1) / 2)
    assert (claim.low, claim.high, claim.rule) == (-math.inf, 0.15, "at most 15 % (late)")
    assert math.isnan(flow_claim("text", measured, np.full((5, 7), np.nan), 0.15).measured)


def test_settings_of_a_copy_differ_at_every_scale():
    changed = experiment("sgd-scan").at(steps=7)
    assert {scale["steps"] for scale in changed.settings.values()} == {7}
    assert experiment("sgd-scan").settings["paper"]["steps"] == 2000


def test_schedules_are_scanned_about_the_heights_that_theory_holds_best():
    rates = np.array([1.0, 4.0, 2.0])
    part = {"optimizer": "sgd", "beta_star": None, "families": ["constant", "optimal"], "shifts": [-3, 3]}
    settings = {"batch": 16, "budgets": [3], "parts": [part]}
    best = budgets.Tuned({"constant": 5.0}, rates)
    plans = budgets.plans(settings, {("sgd", math.inf, 3): best})
    assert [(plan["family"], plan["height"]) for plan in plans] == [
        ("constant", 0.625), ("constant", 40.0), ("optimal", 0.5), ("optimal", 32.0),
    ]  # fmt: skip
    for plan in plans[2:]:
        np.testing.assert_allclose(plan["schedule"].rates, plan["height"] / 4 * rates)
    assert len({plan["schedule"].name for plan in plans}) == 4


@pytest.mark.parametrize(("optimizer", "star"), [("sgd", None), ("adam", 10.0)])
def test_tuned_heights_lie_within_the_scan(optimizer, star):
    part = {"optimizer": optimizer, "beta_star": star, "families": ["constant", "wsd"], "shifts": [-1, 0, 1]}
    settings = {"parts": [part], "budgets": [100], "batch": 16, "teachers": 2, "test_samples": 2048}
    ((key, best),) = budgets.tune(settings, RunContext()).items()
    assert key == (optimizer, math.inf if star is None else star, 100)
    assert list(best.heights) == ["constant", "wsd"]
    assert best.rates is None
    data = budgets.simulate(settings, RunContext())
    flow = budgets.predict(data)
    for family in best.heights:
        assert analysis_budgets.tuned(data, flow, *key[:2], family).inside
    assert np.isnan(flow["beta_sensitivity"]).all() == (star is None)
    if star is not None:
        # β against height, between the heights of the scan and at their middle one
        chosen = data["family"].values == "constant"
        (low, middle, high), x = (
            np.unique(flow["beta"].values[chosen]),
            np.unique(data["height"].values[chosen]),
        )
        slopes = np.diff(np.log([low, middle, high])) / np.diff(np.log(x))
        at_middle = chosen & np.isclose(data["height"].values, x[1])
        slope = float(flow["beta_sensitivity"].values[at_middle][0])
        assert slopes.min() < slope < slopes.max()


def test_predictions_from_results_use_the_optima_that_were_trained(monkeypatch):
    settings = {
        "parts": [
            {"optimizer": "sgd", "beta_star": None, "families": ["constant", "optimal"], "shifts": [0]}
        ],
        "budgets": [12, 20],
        "batch": 16,
        "teachers": 1,
        "test_samples": 64,
    }
    shape = {12: np.linspace(2.0, 0.5, 12), 20: np.linspace(3.0, 0.2, 20)}
    known = {
        ("sgd", math.inf, budget): budgets.Tuned({"constant": 2.0}, rates) for budget, rates in shape.items()
    }
    monkeypatch.setattr(budgets, "tune", lambda settings, context: known)
    data = budgets.simulate(settings, RunContext())
    monkeypatch.delattr(budgets, "tune")  # nothing is computed again
    assert budgets._restored(data).keys() == known.keys()
    for key, rates in budgets._restored(data).items():
        np.testing.assert_array_equal(rates, known[key].rates)
    found = budgets.predict(data)["loss"].values
    chosen = (data["family"].values == "optimal") & (data["budget"].values == 20)
    for height, loss in zip(data["height"].values[chosen], found[chosen], strict=True):
        plan = Clock(shape[20] * height / 3.0, "same")
        flow = student_flow([plan.tau[-1]], math.inf, 128, optimizer=SGD(height, 16, 32), schedule=plan)
        assert loss == pytest.approx(float(flow.loss[0]), rel=1e-6)
