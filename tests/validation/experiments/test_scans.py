"""Claims about scans, on curves whose exponents, rates and constants were planted."""

import math

import numpy as np
import pytest
from made_runs import STEPS, run

from peakedtheory.validation.experiments import selection
from peakedtheory.validation.experiments.claims import FAILS, HOLDS, OPEN
from peakedtheory.validation.experiments.flows import aligned_flow
from peakedtheory.validation.experiments.registry import experiment
from peakedtheory.validation.experiments.scans import claims as scan_claims


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
    error_loss, error_beta, one_third, as_theory, growth, even, in_tau = claims[:7]
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
    assert even.measured == pytest.approx(0.39, abs=1e-6)  # of an exact power, whatever the records
    assert "one every 5 steps, steps 20 to 2000" in even.text
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


@pytest.mark.slow
@pytest.mark.parametrize(("name", "published"), [("sgd-scan", 1 / 3), ("adam-scan", 0.38)])
def test_published_growth_of_beta(name, published):
    """At the largest β* and the best rate: β ~ t^1/3 (SGD), t^0.38 (Adam); the loss as the flow says."""
    chosen = experiment(name)
    settings = chosen.settings["quick"]
    rates = settings["rates"][-1:] if name == "sgd-scan" else settings["rates"][2:4]
    smaller = chosen.at(temperatures=settings["temperatures"][:1], rates=rates)
    data = smaller.run("quick")
    from peakedtheory.validation.experiments.scans.claims import _exponents

    one_third, as_theory, growth, even = _exponents(data, smaller.predict(data), name.removesuffix("-scan"))
    assert even.measured == pytest.approx(even.predicted, abs=0.06)  # on the authors' own records
    assert growth.measured == pytest.approx(published, abs=0.04)
    assert as_theory.measured == pytest.approx(0.0, abs=0.05)
    assert one_third.measured == pytest.approx(1 / 3, abs=0.09)
