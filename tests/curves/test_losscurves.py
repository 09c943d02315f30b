import dataclasses
import pickle

import numpy as np
import pytest
from made_curves import PLANS, STEPS, TRUE, autoregressive, curve

from peakedtheory.curves.choices import automatic_start, thinned
from peakedtheory.curves.comparison import compare_laws
from peakedtheory.curves.curve import LossCurve
from peakedtheory.curves.fits import fit_loss_curve
from peakedtheory.curves.forecasts import forecast
from peakedtheory.curves.law_registry import LAWS, law_name, parse_law
from peakedtheory.curves.solver import Problem, improve, solve


@pytest.mark.parametrize("law", ["power", "power-steps", "finite-beta-star"])
def test_exact_curves_give_their_parameters_back(law):
    fit = fit_loss_curve(curve(law), law)
    for name, value in TRUE[law].items():
        assert fit.parameters[name] == pytest.approx(value, rel=1e-4), name
    assert np.abs(fit.residuals).max() < 1e-7
    assert fit.notes == ()


@pytest.mark.parametrize("law", ["two-channel", "s1-s2", "multi-power"])
def test_several_schedules_give_their_parameters_back(law):
    runs = [curve(law, plan, count=80) for plan in ("constant", "cosine", "drop")]
    fit = fit_loss_curve(runs, law)
    for name, value in TRUE[law].items():
        assert fit.parameters[name] == pytest.approx(value, rel=2e-2), name
    other = curve(law, "wsd", count=60)
    np.testing.assert_allclose(fit.predict(other.step, other.rates), other.loss, rtol=2e-5)


def test_student_law_is_fitted():
    rates = PLANS["constant"]
    step = np.linspace(450, STEPS, 60).round()
    law = parse_law("student:n=1000,beta_star=20")
    loss = law.predict(LossCurve(step, np.ones(60), rates), {"loss_floor": 1.5, "c_eff": 3e5})
    fit = fit_loss_curve(LossCurve(step, loss, rates), law)
    assert fit.parameters["c_eff"] == pytest.approx(3e5, rel=1e-4)
    assert fit.parameters["amplitude"] == 1.0
    assert "amplitude" not in fit.standard_errors


def test_fitted_origin_is_found():
    run = curve()
    moved = LossCurve(run.step, 2.5 + 0.8 * (run.tau - 0.15) ** -0.4, run.rates)
    fit = fit_loss_curve(moved, "power", origin="fit")
    assert fit.parameters["origin"] == pytest.approx(0.15, rel=1e-3)
    assert fit.parameters["alpha"] == pytest.approx(0.4, rel=1e-3)
    np.testing.assert_allclose(fit.predict(), moved.loss, rtol=1e-6)
    known = fit_loss_curve(moved, "power", origin=0.15)
    assert known.parameters["alpha"] == pytest.approx(0.4, rel=1e-4)
    assert known.uncertainty["alpha"].origin == 0.0


def test_outliers_do_not_move_a_robust_fit():
    run = curve(noise=autoregressive(150, 0.0, 2e-4, np.random.default_rng(1)))
    spoiled = run.loss.copy()
    spoiled[::12] *= 1.05
    robust = fit_loss_curve(LossCurve(run.step, spoiled, run.rates))
    squares = fit_loss_curve(LossCurve(run.step, spoiled, run.rates), loss="squares")
    clean = fit_loss_curve(run).parameters["alpha"]
    assert abs(robust.parameters["alpha"] - clean) < 0.1 * abs(squares.parameters["alpha"] - clean) + 5e-3


def test_objective_is_hubers():
    run = curve()
    problem = Problem(LAWS["power"], (run,), np.log(run.loss), (0.0,), 1e-3)
    residual = np.array([0.0, 5e-4, -1e-3, 4e-3, -0.1])
    by_hand = 0.5 * 5e-4**2 + 0.5 * 1e-3**2 + 1e-3 * (4e-3 - 5e-4) + 1e-3 * (0.1 - 5e-4)
    assert problem.objective(residual) == pytest.approx(by_hand, rel=1e-12)
    np.testing.assert_allclose(problem.weights(residual), [1, 1, 1, 0.25, 0.01])
    assert problem.objective(np.array([np.nan])) == np.inf


def test_improving_never_makes_worse_and_ends_at_a_minimum():
    run = curve(noise=autoregressive(150, 0.5, 3e-3, np.random.default_rng(2)))
    problem = Problem(LAWS["power"], (run,), np.log(run.loss), (0.0,), 1e-3)
    best = solve(problem)
    from scipy.optimize import minimize

    def value(u):
        return 1e6 * problem.objective(
            problem.log_model(np.clip(u, problem.lower, problem.upper))[0] - problem.log_loss
        )

    peer = minimize(
        value, best.u, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 4000}
    )
    assert 1e6 * best.objective <= peer.fun * (1 + 1e-6)
    far = problem.inner({"loss_floor": 1.0, "amplitude": 3.0, "alpha": 2.0})
    last = np.inf
    for steps in range(1, 8):
        now = improve(problem, far, steps).objective
        assert now <= last
        last = now


def test_rescaling_the_rates_only_rescales_the_amplitude():
    run = curve(noise=autoregressive(150, 0.3, 1e-3, np.random.default_rng(3)))
    a = fit_loss_curve(run)
    b = fit_loss_curve(LossCurve(run.step, run.loss, 100.0 * run.rates))
    assert b.parameters["alpha"] == pytest.approx(a.parameters["alpha"], rel=1e-5)
    assert b.parameters["amplitude"] == pytest.approx(
        a.parameters["amplitude"] * 100 ** a.parameters["alpha"], rel=1e-4
    )
    assert b.uncertainty["alpha"].total == pytest.approx(a.uncertainty["alpha"].total, rel=1e-2)


def test_window_follows_its_rule():
    run = curve()
    assert automatic_start(run, LAWS["power"]) == 800
    assert automatic_start(run, LAWS["s1-s2"]) == 450  # the first record after the warmup
    short = run.window(0, 1000)
    assert automatic_start(short, LAWS["power"]) <= short.step[len(short) // 3]
    bare = LossCurve(run.step, run.loss, np.full(STEPS, 1e-3))
    assert automatic_start(bare, LAWS["power"]) == 450
    fit = fit_loss_curve(run, window=(2000, 9000))
    assert fit.window[0] >= 2000
    assert fit.window[1] <= 9000


def test_long_logs_are_averaged():
    rng = np.random.default_rng(6)
    step = np.arange(1.0, 12001.0)
    run = LossCurve(
        step,
        (2.5 + 0.8 * (1e-3 * step) ** -0.4) * np.exp(0.01 * rng.standard_normal(12000)),
        np.full(12000, 1e-3),
    )
    short = thinned(run)
    assert len(short) <= 400
    assert set(short.step) <= set(step)
    fit = fit_loss_curve(run)
    assert abs(fit.parameters["alpha"] - 0.4) < 4 * fit.standard_errors["alpha"] + 0.01


def test_comparison_prefers_the_law_that_made_the_curve():
    rng = np.random.default_rng(8)
    runs = [curve("s1-s2", plan, autoregressive(150, 0.3, 2e-4, rng), 100) for plan in ("constant", "cosine")]
    unseen = curve("s1-s2", "wsd", autoregressive(150, 0.3, 2e-4, rng), 80, "unseen")
    result = compare_laws(runs, ["power", "s1-s2", "two-channel"], held_out=unseen)
    assert result.best == "s1-s2"
    assert "power" not in result.indistinguishable
    assert result.held_out == "unseen"
    assert result.scores[0].excess == 0.0
    assert "s1-s2" in repr(result)
    assert result.to_xarray()["error"].size == 3


def test_laws_that_cannot_be_told_apart_are_named():
    noise = autoregressive(150, 0.5, 5e-3, np.random.default_rng(9))
    result = compare_laws(curve(noise=noise), ["power", "power:alpha=1/3", "power:alpha=1/2"])
    assert len(result.indistinguishable) > 1
    assert "cannot be told apart on this window" in result.verdict


def test_laws_without_grounds_are_listed_with_the_reason():
    result = compare_laws(curve(), ["power", "multi-power"])
    assert result.best == "power"
    assert "falling learning rates" in result.scores[-1].note
    assert np.isnan(result.scores[-1].error)
    assert "not fitted" in repr(result)
    assert result.verdict.startswith("Only power could be fitted")


def test_forecast_ahead_covers_the_truth():
    rng = np.random.default_rng(10)
    hits = 0
    for _ in range(4):
        run = curve(noise=autoregressive(150, 0.5, 5e-4, rng))
        ahead = forecast(run.window(0, 4000), steps=[STEPS])
        hits += ahead.lower[0] < run.loss[-1] < ahead.upper[0]
        assert ahead.upper[0] - ahead.lower[0] < 0.5
    assert hits == 4


def test_forecast_under_another_schedule():
    rng = np.random.default_rng(13)
    runs = [
        curve("s1-s2", plan, autoregressive(150, 0.3, 2e-4, rng), 100)
        for plan in ("constant", "cosine", "drop")
    ]
    unseen = curve("s1-s2", "wsd", count=40)
    ahead = forecast(runs, steps=unseen.step, schedule=unseen.rates)
    assert ((ahead.lower < unseen.loss) & (unseen.loss < ahead.upper)).mean() > 0.9
    fixed = forecast(fit_loss_curve(runs, "s1-s2"), schedule=unseen.rates)
    assert fixed.law == "s1-s2"
    assert fixed.steps[-1] == STEPS
    assert "held" not in fixed.explanation
    assert np.abs(np.interp(unseen.step, fixed.steps, fixed.loss) - unseen.loss).max() < 0.01
    assert set(fixed.to_xarray()) >= {"loss", "lower", "upper", "window"}


def test_curves_are_read_with_their_rates():
    run = LossCurve.from_records([10, 20, 40], [4.0, 3.5, 3.2], learning_rate=[0.1, 0.1, 0.3])
    assert run.rates.size == 40
    np.testing.assert_allclose(run.rates[[0, 9, 19, 29, 39]], [0.1, 0.1, 0.1, 0.2, 0.3])
    rising = LossCurve.from_records([10, 20, 40], [4.0, 3.5, 3.2], learning_rate=[0.1, 0.2, 0.2])
    np.testing.assert_allclose(rising.rates[[0, 4, 9]], [0.01, 0.05, 0.1])
    assert rising.warmup == 20
    planned = LossCurve.from_records([10, 20, 40], [4.0, 3.5, 3.2], schedule="constant:peak=0.5,warmup=10")
    assert planned.tau[-1] == pytest.approx(0.5 * (5.5 + 30))
    assert not planned.is_annealed
    assert curve(plan="cosine").is_annealed


BAD = [
    ({"step": [1, 3, 2], "loss": [3, 2, 1]}, "step: must increase from record to record, got 2 after 3"),
    ({"step": [-1, 3], "loss": [3, 2]}, "step: must be finite and >= 0"),
    ({"step": [1, 2], "loss": [3, 0]}, "loss: must be finite and > 0, got 0 at step 2"),
    ({"step": [1, 2], "loss": [3, np.inf]}, "loss: must be finite"),
    ({"step": [1, 2], "loss": [3, 2, 1]}, "loss: must have one value per record"),
    ({"step": [1, 200], "loss": [3, 2], "rates": np.ones(100)}, "rates: must cover every step up to 200"),
    ({"step": [1, 2], "loss": [3, np.nan]}, "must not contain NaN"),
    ({"step": [1, 2], "loss": [3, 2], "entropy": [1]}, "entropy: must have one value per record"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD)
def test_bad_curves_say_so(arguments, words):
    with pytest.raises(ValueError, match=words.replace("(", "\\(")):
        LossCurve(**arguments)


def test_rates_of_another_length_say_so():
    with pytest.raises(ValueError, match="learning_rate: must have one value per record"):
        LossCurve.from_records([10, 20, 40], [4.0, 3.5, 3.2], learning_rate=[0.1, 0.1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda: fit_loss_curve(curve().window(0, 900)), "window: must hold 9 records"),
        (lambda: fit_loss_curve(curve(), "multi-power"), "falling learning rates"),
        (lambda: fit_loss_curve(curve(), window=(9, 3)), "must end after it begins"),
        (lambda: fit_loss_curve(curve(), window=(20000, 30000)), "must hold records between"),
        (lambda: fit_loss_curve(curve(), window="all"), 'must be "auto"'),
        (lambda: fit_loss_curve(curve(), origin=5.0), "origin: must lie before the window"),
        (lambda: fit_loss_curve(curve(), origin="late"), "origin: must be"),
        (lambda: fit_loss_curve(curve(), loss="lad"), "loss: must be"),
        (lambda: fit_loss_curve(curve(), delta=0.0), "delta: must be"),
        (lambda: fit_loss_curve(curve(), bootstrap=-1), "bootstrap: must be"),
        (lambda: fit_loss_curve(curve(), starts=[{"alpha": 0.3}]), "starts: must give"),
        (lambda: fit_loss_curve("run"), "curves: must be one LossCurve"),
        (lambda: fit_loss_curve(LossCurve([100, 200], [5, 4], PLANS["constant"])), "beyond their warmup"),
        (
            lambda: fit_loss_curve(LossCurve(np.arange(1, 40), np.linspace(4, 3, 39))),
            "needs the learning rates",
        ),
        (lambda: fit_loss_curve(curve()).interval("gamma"), "must be one of loss_floor"),
        (lambda: fit_loss_curve(curve()).interval("alpha", 1.5), "level: must lie"),
        (lambda: fit_loss_curve(curve()).predict([5, 4]), "steps: must be positive and increase"),
        (lambda: fit_loss_curve(curve(plan="cosine")).predict([20000]), "must not go beyond the schedule"),
        (lambda: forecast(curve()), "must be given where the schedule ends"),
        (lambda: forecast(curve(), steps=[20000], level=0.0), "level: must lie"),
        (lambda: forecast(fit_loss_curve(curve()), steps=[20000], law="power"), "comes with the fit"),
        (lambda: compare_laws(curve(), held_out=2.0), "held_out: must be a fraction"),
        (lambda: compare_laws(curve(), []), "must name at least one"),
        (lambda: compare_laws(curve(), ["multi-power"]), "must hold one that can be fitted"),
    ],
)
def test_bad_input_says_so(change, words):
    with pytest.raises(ValueError, match=words) as error:
        change()
    assert "\n" not in str(error.value)


def test_results_are_labelled():
    fit = fit_loss_curve(curve(noise=autoregressive(150, 0.0, 1e-3, np.random.default_rng(3))))
    data = fit.to_xarray()
    np.testing.assert_allclose(data["loss"], fit.parts[0].loss, rtol=1e-12)
    assert list(data["parameter"].values) == ["loss_floor", "amplitude", "alpha"]
    assert "alpha" in repr(fit)
    steep = fit_loss_curve(curve().window(450, 3000), "power:loss_floor=0")
    assert "loss_floor            0 (held)" in repr(steep)


def test_a_parameter_at_its_bound_is_noted():
    step = np.arange(500.0, 12001.0, 200.0)
    run = LossCurve(step, 4.0 - 0.1 * np.log(1e-3 * step), np.full(STEPS, 1e-3))
    fit = fit_loss_curve(run, window=None)
    assert any("lies at its bound" in note for note in fit.notes)
    assert np.isfinite(list(fit.parameters.values())).all()


def test_errors_at_a_bound_are_not_zero():
    step = np.arange(500.0, 12001.0, 200.0)
    noise = 1e-3 * np.random.default_rng(4).standard_normal(step.size)
    run = LossCurve(step, 3.0 * (1e-3 * step) ** -0.102 * np.exp(noise), np.full(STEPS, 1e-3))
    fit = fit_loss_curve(run, "power:alpha=0.1", window=None)
    assert fit.parameters["loss_floor"] == 0.0
    parts = fit.uncertainty["loss_floor"]
    assert parts.statistical > 0
    assert parts.profile[0] == 0.0
    assert 0 < parts.profile[1] < 1.0


def test_schedules_without_an_end_end_with_the_curve():
    step = np.arange(10.0, 101.0, 10.0)
    loss = 3.0 * step**-0.2
    expected = np.where(np.arange(100) < 50, 1e-3, 1e-4)
    for schedule in ([(0, 1e-3), (50, 1e-4)], lambda t: 1e-3 if t < 50 else 1e-4, "steps:0=1e-3,50=1e-4"):
        np.testing.assert_array_equal(LossCurve.from_records(step, loss, schedule=schedule).rates, expected)


@pytest.mark.parametrize(
    ("law", "plan"),
    [
        ("power", "constant"),
        ("power:alpha=1/3", "constant"),
        ("s1-s2:memory=0.998", "cosine"),
        ("student:n=1000,beta_star=20", "constant"),
        ("student:n=1000,beta_star=20,amplitude=0.9", "constant"),
    ],
)
def test_fits_survive_a_pickle(law, plan):
    fit = fit_loss_curve(
        curve(plan=plan, noise=autoregressive(150, 0.3, 1e-3, np.random.default_rng(4))), law
    )
    before = repr(fit)
    again = pickle.loads(pickle.dumps(fit))
    assert repr(again) == before
    np.testing.assert_array_equal(again.predict([5000, 9000]), fit.predict([5000, 9000]))
    ahead = pickle.loads(pickle.dumps(forecast(fit, schedule=PLANS[plan])))
    assert ahead.law == forecast(fit, schedule=PLANS[plan]).law


def test_parts_of_a_curve_share_its_clock():
    run = curve(plan="cosine")
    assert run.window(1000, 4000).clock is run.clock
    assert LossCurve(run.step, run.loss, run.clock).clock is run.clock
    assert run.rates is run.clock.rates
    fit = fit_loss_curve(run)
    assert all(part.clock is run.clock for part in fit.parts)
    np.testing.assert_array_equal(run.time_at(run.step), run.tau)


def test_names_of_laws_are_read_back():
    held = "student:n=1000,beta_star=20,amplitude=0.9"
    for name in (
        *LAWS,
        "power:alpha=0.25",
        "multi-power-held:alpha=0.5",
        "student:n=1000,beta_star=20",
        held,
    ):
        assert law_name(parse_law(name)) == name


def test_choices_are_kept():
    fit = fit_loss_curve(curve(), window=(2000, 9000), origin=0.01, loss="squares")
    assert fit.choices.options == {"window": (2000, 9000), "origin": 0.01, "loss": "squares", "delta": 1e-3}
    assert fit.origin == 0.01


def test_a_curve_with_other_losses_keeps_its_clock():
    curve = LossCurve([1, 2, 4], [3.0, 2.0, 1.5], rates=[0.1] * 6, entropy=[1.0, 0.9, 0.8], name="run")
    other = dataclasses.replace(curve, loss=curve.loss + 1.0)
    assert other.clock is curve.clock
    assert (other.name, other.loss.tolist(), other.entropy.tolist()) == (
        "run",
        [4.0, 3.0, 2.5],
        [1.0, 0.9, 0.8],
    )
