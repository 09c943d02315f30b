import math

import numpy as np
import pytest

from peakedtheory import thermodynamics
from peakedtheory.curves.curve import LossCurve
from peakedtheory.curves.standing import curve_regime
from peakedtheory.dynamics.optimizers import Adam, Muon
from peakedtheory.dynamics.regimes import regime
from peakedtheory.dynamics.student import student_flow
from peakedtheory.exact.entropy import match_entropy

STEP = np.arange(100.0, 2100.0, 100.0)


def curve(**columns):
    columns.setdefault("loss", 3.0 + STEP**-0.3)
    return LossCurve(STEP, **columns)


def student(n, beta_star, tau):
    """Exact curve of the aligned flow: step = τ, loss = cross-entropy, std of the logits = β."""
    flow = student_flow(tau, beta_star, n)
    entropy = thermodynamics(beta_star, n).entropy
    return LossCurve(tau, flow.loss + entropy, logit_std=flow.beta * math.sqrt(1 - 1 / n)), flow, entropy


def test_local_exponents_bound_those_of_the_flow():
    n, star = 1000, 40.0
    tau = np.geomspace(1e4, 1e6, 200)
    run, flow, entropy = student(n, star, tau)
    answer = curve_regime(run, n, entropy=entropy)
    inside = flow.local_exponent[5:-5]
    assert answer.exponents[0] <= inside.min() + 2e-3
    assert answer.exponents[1] >= inside.max() - 2e-3
    np.testing.assert_allclose(answer.exponents, [inside.min(), inside.max()], rtol=0.05)
    assert answer.beta_star == pytest.approx(star, rel=1e-6)


def test_three_ways_to_read_the_temperature_agree_for_an_aligned_student():
    n, star = 1000, 12.0
    tau = np.geomspace(1e3, 3e4, 100)
    run, flow, entropy = student(n, star, tau)
    by_entropy = LossCurve(tau, run.loss, entropy=thermodynamics(flow.beta, n).entropy)
    by_loss = LossCurve(tau, run.loss)
    answers = [curve_regime(one, n, entropy=entropy) for one in (run, by_entropy, by_loss)]
    for answer in answers[1:]:
        np.testing.assert_allclose(answer.beta, answers[0].beta, rtol=2e-3)
        assert answer.name == answers[0].name
    assert len({answer.sources["beta"] for answer in answers}) == 3


def test_hard_labels_deep_in_the_power_law():
    answer = curve_regime(curve(logit_std=np.linspace(20, 60, STEP.size)), 128)
    assert answer.name == "power law"
    assert answer.exponents == pytest.approx((1 / 3, 1 / 3), abs=0.01)
    assert answer.asymptotic == pytest.approx((1 / 3, 1 / 3))
    assert answer.allows(1 / 3, error=0.005)
    assert not answer.allows(0.5)
    assert answer.allows(0.5, error=0.2)
    adam = curve_regime(curve(logit_std=np.linspace(20, 60, STEP.size)), 128, optimizer=Adam())
    assert adam.exponents == pytest.approx((1 / 3, 1 / 2), abs=0.015)
    assert adam.asymptotic == pytest.approx((1 / 3, 1 / 2))


def test_language_has_no_window():
    answer = curve_regime(curve(logit_std=np.linspace(2, 6, STEP.size)), 32000, entropy=1.69)
    assert answer.window is None
    assert answer.name == "end"
    assert answer.beta_star == pytest.approx(match_entropy(1.69, 32000).beta_star, rel=1e-6)
    assert "too little room" in answer.explanation
    assert not answer.allows(1 / 3)


def test_only_the_vocabulary():
    answer = curve_regime(curve(), 50304)
    assert answer.beta is None
    assert answer.sources == {"beta": "nothing", "beta_star": "unknown, taken as infinite"}
    assert answer.onset == pytest.approx(4.2318320420)
    assert answer.allows(1 / 3, error=1e-3)
    assert "β is unknown" in answer.explanation
    assert answer.name == regime(math.inf, 50304).name


def test_hard_labels_are_not_unknown_labels():
    hard = curve_regime(curve(), 100, entropy=0.0)
    assert math.isinf(hard.beta_star)
    assert "infinite" in hard.explanation
    assert hard.beta is not None  # read from the loss


def test_window_still_ahead():
    answer = curve_regime(curve(logit_std=np.linspace(0.2, 3.0, STEP.size)), 32000, entropy=1e-3)
    assert answer.name in {"start", "crossover"}
    assert "begins at" in answer.explanation


def test_colder_than_the_labels():
    answer = curve_regime(curve(logit_std=np.linspace(2, 9, STEP.size)), 32000, entropy=1.69)
    assert answer.name == "end"
    below = LossCurve(STEP, 3.0 - 0.001 * STEP)  # ends below the entropy
    clipped = curve_regime(below, 32000, entropy=1.5)
    assert clipped.beta[1] == pytest.approx(clipped.beta_star, rel=0.01)


def test_other_energies():
    answer = curve_regime(
        curve(logit_std=np.linspace(4, 9, STEP.size)), 1000, entropy=0.5, energies="normal:scale=2"
    )
    one = 2 * math.sqrt(1 - 1 / 1000)  # of 1000 draws about their own mean
    assert answer.beta == pytest.approx((4 / one, 9 / one))
    assert answer.asymptotic[0] == pytest.approx(1 / 3)


def test_repr():
    text = repr(curve_regime(curve(logit_std=np.linspace(2, 6, STEP.size)), 32000, entropy=1.69))
    assert "CurveRegime of n=32000: end" in text
    assert "beta            2 to 6" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 1}, "n: must be"),
        ({"n": 100, "entropy": 5.0}, "entropy"),
        ({"n": 100, "entropy": -1.0}, "entropy"),
        ({"n": 100, "optimizer": "adam"}, "optimizer: must be GradientFlow, SGD, Adam, SignGD, got 'adam'"),
        ({"n": 100, "optimizer": Muon()}, "optimizer: must be GradientFlow, SGD, Adam, SignGD, got Muon"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        curve_regime(curve(), **arguments)


def test_logits_that_do_not_vary():
    with pytest.raises(ValueError, match="logit_std: must be > 0"):
        curve_regime(curve(logit_std=np.zeros(STEP.size)), 100)
