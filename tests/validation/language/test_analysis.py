import json
import math

import numpy as np
import pytest
import xarray

from peakedtheory.curves.curve import LossCurve
from peakedtheory.exact.entropy import match_entropy
from peakedtheory.schedules.families import warmup_cosine
from peakedtheory.schedules.reading import parse_schedule
from peakedtheory.validation.experiments.claims import FAILS, HOLDS
from peakedtheory.validation.experiments.language_models import experiment as experiment
from peakedtheory.validation.language.analysis import (
    collapse,
    combine_runs,
    fits,
    from_evaluations,
    growth,
    law_comparison,
    load_runs,
    loss_curves,
    summarise,
)
from peakedtheory.validation.language.figures import draw_evaluation
from peakedtheory.validation.language.revisions import to_dataset
from peakedtheory.validation.language.totals import HISTOGRAM_BINS, STATISTICS, Totals

N = 512
STEPS = 3000


def synthetic_run(rate, alpha=1 / 3, gamma=1 / 3, records=40, steps=STEPS, vocabulary=N, optimizer="adamw"):
    """A curve as `train` returns it, whose loss and logit scale are exact powers of τ."""
    schedule = f"constant:peak={rate},steps={steps}"
    step = np.unique(np.append(0, np.round(np.geomspace(1, steps, records)).astype(int)))
    tau = parse_schedule(schedule).tau[step]
    values = {name: np.ones(step.size) for name in STATISTICS}
    values |= {f"{name}_standard_error": np.full(step.size, 0.01) for name in STATISTICS}
    values["loss"] = 2.0 + np.maximum(tau, rate) ** -alpha
    values["logit_std"] = np.maximum(tau, rate) ** gamma
    values["entropy"] = np.linspace(6.0, 2.0, step.size)
    variables = {name: ("step", value) for name, value in values.items()}
    variables |= {"tau": ("step", tau), "learning_rate": ("step", np.full(step.size, rate))}
    variables |= {"head_norm": ("step", np.ones(step.size))}
    variables["entropy_histogram"] = (("step", "entropy_bin"), np.ones((step.size, HISTOGRAM_BINS), int))
    attributes = {"vocabulary": vocabulary, "parameters": 1, "device": "none", "torch_version": "0"}
    attributes |= {"transformers_version": "0", "corpus": "{}", "setting_schedule": schedule}
    return xarray.Dataset(variables, {"step": step}, attributes | {"setting_optimizer": optimizer})


@pytest.fixture(scope="module")
def table():
    return combine_runs({"a": synthetic_run(0.001), "b": synthetic_run(0.003, steps=1000, records=30)})


def test_table_of_runs(table):
    assert table.sizes["run"] == 2
    assert np.isnan(table.loss.values[1, -1])  # the shorter one is padded
    assert json.loads(str(table.settings.values[0]))["optimizer"] == "adamw"
    for run, k in ((0, 3), (1, 20)):
        h = float(table.entropy[run, k])
        assert float(table.beta_star[run, k]) == pytest.approx(match_entropy(h, N).beta_star)


def test_curves_have_the_runs_rates(table):
    curves = loss_curves(table)
    assert curves["a"].step[0] == 1
    assert curves["b"].step[-1] == 1000
    np.testing.assert_allclose(curves["b"].tau, 0.003 * curves["b"].step)
    np.testing.assert_allclose(curves["a"].logit_std, (0.001 * curves["a"].step) ** (1 / 3))


def test_exponents_of_exact_powers(table):
    for name, curve in loss_curves(table).items():
        grown = growth(curve)
        assert grown.exponent == pytest.approx(1 / 3, abs=1e-6)
        assert grown.standard_error < 1e-6
        assert str(grown).startswith("0.333")
        # the origin of τ is among the uncertainties, so that the error is not zero
        alpha = fits(table)[name].parameters["alpha"]
        assert alpha == pytest.approx(1 / 3, abs=1e-3)


def test_growth_error_covers_noise_and_bends():
    """Over many noisy curves the truth lies within two errors at least as often as for Gaussian errors."""
    rng = np.random.default_rng(0)
    step = np.round(np.geomspace(10, 3000, 40))
    inside = 0
    for _ in range(60):
        scale = step**0.4 * np.exp(0.03 * rng.standard_normal(step.size))
        curve = LossCurve(step, np.ones(step.size), np.full(3000, 0.01), logit_std=scale)
        result = growth(curve)
        inside += abs(result.exponent - 0.4) < 2 * result.standard_error
    assert inside >= 55
    bent = LossCurve(
        step, np.ones(step.size), np.full(3000, 0.01), logit_std=step**0.5 / (1 + step / 300) ** 0.4
    )
    result = growth(bent)
    assert result.low < 0.2 < 0.45 < result.high
    assert result.standard_error > 0.05


def test_growth_refuses_short_curves():
    short = LossCurve([10, 12, 14, 16, 18], np.ones(5), np.full(20, 0.1), logit_std=np.ones(5))
    with pytest.raises(ValueError, match="half a decade"):
        growth(short)
    with pytest.raises(ValueError, match="standard deviation"):
        growth(LossCurve([10, 12], np.ones(2), np.full(20, 0.1)))


def test_collapse_in_tau_of_powers_of_tau(table):
    curves = list(loss_curves(table).values())
    for quantity in ("loss", "logit_std"):
        result = collapse(curves, quantity)
        assert result.tau.spread < 1e-3
        assert result.step.spread == pytest.approx(math.log(3) / math.sqrt(2), rel=1e-2)
    with pytest.raises(ValueError, match="quantity"):
        collapse(curves, "entropy")


def test_laws_are_compared_on_what_they_have_not_seen(table):
    result = law_comparison(list(loss_curves(table).values()))
    assert "power:alpha=0.333333" in result.indistinguishable or result.best.startswith("power")
    assert result.scores[-1].name in {"power-steps", "finite-beta-star"}


def test_evaluated_checkpoints_make_the_same_table():
    schedule = warmup_cosine(0.01, 100, 10, 0.001)
    rng = np.random.default_rng(0)
    parts = []
    for step in (80, 20, 40):
        totals = Totals(N, 3.0)
        for document in range(5):
            values = np.abs(rng.normal(2.0, 0.1, (7, 8)))
            totals.add(values, np.full(7, document))
        parts.append(to_dataset(f"step{step}", totals).assign(tau=("revision", [schedule.tau[step]])))
    data = xarray.concat(parts, dim="revision", combine_attrs="override")
    result = from_evaluations({"model": (data, schedule)})
    assert result.step.values.tolist() == [[20.0, 40.0, 80.0]]
    curve = loss_curves(result)["model"]
    np.testing.assert_allclose(curve.tau, schedule.tau[[20, 40, 80]])
    np.testing.assert_array_equal(curve.loss, data.sortby("step").loss)
    assert draw_evaluation(data, "model").axes[0].get_xlabel().startswith("dynamic time")
    assert draw_evaluation(data.drop_vars("tau"), "model").axes[0].get_xlabel() == "training step"


def test_claims_judge_synthetic_runs(table):
    summary = summarise(table)
    verdicts = {claim.text: claim.verdict for claim in experiment.claims(table, summary)}
    assert all(v == HOLDS for text, v in verdicts.items() if "logit scale grows" in text)
    assert all(v == HOLDS for text, v in verdicts.items() if "peaked" in text)  # the entropy ends at 2 nats
    assert all(v == HOLDS for text, v in verdicts.items() if "together" in text)
    steep = combine_runs({"a": synthetic_run(0.001, gamma=0.6), "b": synthetic_run(0.003, gamma=0.6)})
    claims = experiment.claims(steep, summarise(steep))
    assert all(c.verdict == FAILS for c in claims if "logit scale grows" in c.text)


# the committed runs


def test_committed_runs_are_what_the_documentation_says():
    runs = load_runs()
    assert set(runs.run.values) == set(experiment.EXPERIMENTS[0].settings["quick"]["runs"])
    assert runs.attrs["vocabulary"] == 512
    record = json.loads(runs.attrs["corpus"])
    assert len(record["sha256"]) == 64
    assert set(record["licences"]) == {"numpy", "scipy", "sympy", "pandas", "networkx", "matplotlib"}
    for name, curve in loss_curves(runs).items():
        assert len(curve) >= 35
        assert curve.loss[0] == pytest.approx(math.log(512), rel=0.02)
        assert curve.loss[-1] < 0.6 * curve.loss[0], name
        one = runs.sel(run=name)
        assert float(one.settings.size) == 1
        assert np.isfinite(one.loss_standard_error.values[: len(curve)]).all()


@pytest.mark.parametrize("path", ["absent.nc"])
def test_missing_file(path, tmp_path):
    with pytest.raises(ValueError, match="file of committed runs"):
        load_runs(tmp_path / path)


def test_experiment_runs_on_committed_data(tmp_path):
    language = experiment.EXPERIMENTS[0]
    data = language.run("tiny", output=tmp_path)
    prediction = language.predict(data)
    assert data.sizes["run"] == 2
    claims = language.judge(data, prediction)
    assert len(claims) == 8
    for figure in language.figures:
        drawn = figure.draw(data, prediction)
        assert all(axes.get_xlabel() for axes in drawn.axes)
    again = language.run("tiny", output=tmp_path, resume=True)
    np.testing.assert_allclose(again.loss, data.loss, rtol=1e-6)


def test_models_without_a_published_schedule_are_refused_before_anything_is_evaluated():
    language = experiment.EXPERIMENTS[0].at(models=["someone/else"])
    with pytest.raises(ValueError, match=r"models: must have published schedules, got 'someone/else'"):
        language.run("paper")


def test_experiment_evaluates_published_checkpoints(monkeypatch, tmp_path):
    """The path of the hub, with the evaluation itself replaced."""
    from peakedtheory.validation.language import revisions

    asked = []

    def evaluate(evaluation, names, *, output, schedule, progress):
        asked.append((evaluation.model, evaluation.tokens, output.name))
        parts = []
        for name in names:
            step = int(name.removeprefix("step"))
            totals = Totals(N, 3.0)
            values = np.full((6, 8), 1.0)
            values[:, 0] = 2.0 + schedule.tau[step] ** (-1 / 3)
            values[:, 2] = schedule.tau[step] ** (1 / 3)
            totals.add(values, np.repeat([0, 1], 3))
            parts.append(to_dataset(name, totals).assign(tau=("revision", [schedule.tau[step]])))
        return xarray.concat(parts, dim="revision", combine_attrs="override")

    monkeypatch.setattr(revisions, "evaluate_revisions", evaluate)
    language = experiment.EXPERIMENTS[0]
    data = language.run("paper", output=tmp_path)
    assert [a[0] for a in asked] == ["EleutherAI/pythia-70m", "EleutherAI/pythia-410m"]
    assert asked[0][1:] == (2_000_000, "pythia-70m-checkpoints.nc")
    claims = language.judge(data, language.predict(data))
    by_text = {c.text: c for c in claims}
    loss = by_text["Fig. 6b, pythia-70m: L - L∞ falls as τ^(-1/3), L∞ free"]
    assert loss.published == 0.34
    assert loss.measured == pytest.approx(1 / 3, abs=0.01)
