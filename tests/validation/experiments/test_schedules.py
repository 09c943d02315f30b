"""Schedules: tuned losses, exponents, matched heights, and the scans that they come from."""

import math

import numpy as np
import pytest
import xarray

from peakedtheory.dynamics.optimizers import SGD
from peakedtheory.dynamics.student import student_flow
from peakedtheory.schedules.clock import Clock
from peakedtheory.validation.experiments.base import RunContext
from peakedtheory.validation.experiments.claims import OPEN
from peakedtheory.validation.experiments.comparison import small_sample
from peakedtheory.validation.experiments.schedules import analysis as study, experiment as module


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
    assert study.groups(data) == [("sgd", math.inf)]
    assert study.families_of(data, "sgd", math.inf) == ["linear"]
    found = study.tuned(data, data, "sgd", math.inf, "linear")
    assert found.inside
    np.testing.assert_allclose(found.trained, found.budgets**-0.7 * np.array([[1.0], [1.1]]), rtol=0.02)
    np.testing.assert_array_equal(found.flow, found.trained[0])
    both = study.exponents(data, data, "sgd", math.inf, "linear")
    assert both.trained.value == pytest.approx(-0.7, abs=1e-6)
    assert both.predicted.value == pytest.approx(-0.7, abs=1e-6)
    assert (both.span, both.inside) == ((100, 400), True)
    lowest = data.isel(case=height <= 1)
    assert not study.tuned(lowest, lowest, "sgd", math.inf, "linear").inside


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
    both = study.exponents(data, flow, "sgd", 10.0, "linear")
    assert both.span == (100, 400)
    assert both.predicted.value == pytest.approx(-0.7, abs=1e-6)
    # a dip: beside the best height the flow loses twelve times as much
    dip = flow.assign(
        loss=("case", np.where((budget == 400) & (height == 1), loss / 12, flow["loss"].values))
    )
    assert np.isnan(study.tuned(data, dip, "sgd", 10.0, "linear").trained[0]).tolist() == [
        False, False, True, True,
    ]  # fmt: skip
    assert study.exponents(data, dip, "sgd", 10.0, "linear") is None


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
    (place,) = study.matched_heights(data, flow, "sgd", 10.0)
    assert (place.family, place.budget, place.reached) == ("linear", 100, True)
    np.testing.assert_allclose(np.exp(place.log_ratios), 1.1 * teachers ** (-1 / 0.8), rtol=1e-12)
    (claim,) = (one for one in module.claims(data, flow) if "β meets β*" in one.text)
    assert claim.measured == pytest.approx(1.1, rel=1e-3)
    assert claim.error == pytest.approx(small_sample(3) * 1.1 * 0.0375 / math.sqrt(3), rel=0.02)
    assert (claim.low, claim.high, claim.verdict) == (0.95, 1.05, OPEN)  # three teachers tell too little
    still = flow.assign(beta_sensitivity=("case", np.full(count, 0.01)))
    assert study.matched_heights(data, still, "sgd", 10.0) == []
    assert not [one for one in module.claims(data, still) if "β meets β*" in one.text]


@pytest.mark.parametrize(("family", "exponent"), [("constant", 1 / 3), ("linear", 2 / 3), ("optimal", 1.0)])
def test_asymptotic_exponents_of_schedules(family, exponent):
    assert study.asymptotic(family) == pytest.approx(exponent)


def test_schedules_are_scanned_about_the_heights_that_theory_holds_best():
    rates = np.array([1.0, 4.0, 2.0])
    part = {"optimizer": "sgd", "beta_star": None, "families": ["constant", "optimal"], "shifts": [-3, 3]}
    settings = {"batch": 16, "budgets": [3], "parts": [part]}
    best = module.Tuned({"constant": 5.0}, rates)
    plans = module.plans(settings, {("sgd", math.inf, 3): best})
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
    ((key, best),) = module.tune(settings, RunContext()).items()
    assert key == (optimizer, math.inf if star is None else star, 100)
    assert list(best.heights) == ["constant", "wsd"]
    assert best.rates is None
    data = module.simulate(settings, RunContext())
    flow = module.predict(data)
    for family in best.heights:
        assert study.tuned(data, flow, *key[:2], family).inside
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
        ("sgd", math.inf, budget): module.Tuned({"constant": 2.0}, rates) for budget, rates in shape.items()
    }
    monkeypatch.setattr(module, "tune", lambda settings, context: known)
    data = module.simulate(settings, RunContext())
    monkeypatch.delattr(module, "tune")  # nothing is computed again
    assert module._restored(data).keys() == known.keys()
    for key, rates in module._restored(data).items():
        np.testing.assert_array_equal(rates, known[key].rates)
    found = module.predict(data)["loss"].values
    chosen = (data["family"].values == "optimal") & (data["budget"].values == 20)
    for height, loss in zip(data["height"].values[chosen], found[chosen], strict=True):
        plan = Clock(shape[20] * height / 3.0, "same")
        flow = student_flow([plan.tau[-1]], math.inf, 128, optimizer=SGD(height, 16, 32), schedule=plan)
        assert loss == pytest.approx(float(flow.loss[0]), rel=1e-6)
