"""The published points of Pythia: fits by another route, curves that are exact powers, and the verdicts."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from peakedtheory.validation.experiments.claims import FAILS, HOLDS, OPEN
from peakedtheory.validation.experiments.pythia.analysis import (
    LAWS,
    collapses,
    curves,
    exponent,
    growth,
    window_of,
)
from peakedtheory.validation.experiments.registry import experiment

PYTHIA = experiment("pythia")


@pytest.fixture(scope="module")
def points():
    return PYTHIA.run("paper")


@pytest.fixture(scope="module")
def found(points):
    return PYTHIA.predict(points)


def as_the_authors_fit(tau, loss):
    """Least squares of ln L on ln(c τ^-α + L∞), 0 ≤ L∞ ≤ the last loss, from several starts."""
    fits = [
        least_squares(
            lambda p: np.log(np.exp(p[0]) * tau ** -p[1] + p[2]) - np.log(loss),
            [0.0, alpha, share * loss[-1]],
            bounds=([-20, 0, 0], [20, 3, loss[-1]]),
            x_scale=[1, 0.1, 1],
        )
        for alpha in (0.2, 0.5, 0.8)
        for share in (0.3, 0.9)
    ]
    return min(fits, key=lambda fit: fit.cost).x


def test_the_authors_fits_by_another_route(points, found):
    for run, published in (("70M", 0.341), ("410M", 0.367), ("2.8B", 0.337), ("12B", 0.307)):
        first, last = window_of(run)
        step, loss = points["step"].sel(run=run).values, points["loss"].sel(run=run).values
        used = (step >= first) & (step <= last)
        _, alpha, floor = as_the_authors_fit(found["tau"].sel(run=run).values[used], loss[used])
        assert float(found["alpha"].sel(run=run)) == pytest.approx(alpha, abs=1e-3)
        assert float(found["floor"].sel(run=run)) == pytest.approx(floor, abs=5e-3)
        assert alpha == pytest.approx(published, abs=0.01)


def test_dynamic_time_of_a_warmup(points, found):
    """τ = η t (t + 1)/2w while the rate rises linearly to η at w = 1430 steps, less half a step's worth."""
    step, tau = points["step"].sel(run="410M").values, found["tau"].sel(run="410M").values
    early = step < 1430
    np.testing.assert_allclose(tau[early], 3e-4 * step[early] ** 2 / 2860, rtol=1e-2)


def powers(points, alpha, floors):
    """The same checkpoints with losses L∞ + τ^-α and logits of scale τ^(1/3)."""
    data = points.copy(deep=True)
    for k, (run, floor) in enumerate(zip(curves(points), floors, strict=True)):
        data["loss"][k] = floor + run.tau**-alpha
        data["logit_std"][k] = run.tau ** (1 / 3)
    return data


def test_exact_powers_are_found_and_collapse_in_tau(points):
    data = powers(points, 0.4, (3.0, 2.5, 2.0, 1.5))
    runs = curves(data)
    fit = exponent(runs[1])
    assert fit.alpha == pytest.approx(0.4, abs=1e-4)
    assert fit.floor == pytest.approx(2.5, abs=1e-3)
    assert fit.statistical < 1e-3
    assert fit.window < 1e-3
    assert 0.001 < fit.reading < 0.02  # half a per cent of the loss, over three parameters
    assert fit.total >= fit.from_zero >= fit.reading
    steps = data["step"].values[1]
    slope, error = growth(runs[1].tau, steps, data["logit_std"].values[1])
    assert slope == pytest.approx(1 / 3, abs=1e-9)
    assert error < 0.02
    compared = collapses(runs, data)
    assert compared["loss"].better == "step"  # unlike floors keep the losses apart in τ
    assert compared["loss less L∞ fitted in τ"].tau.spread < 0.02
    assert compared["loss less L∞ fitted in τ"].better == "tau"
    assert compared["logit scale"].better == "tau"


def test_verdicts(points, found):
    claims = PYTHIA.judge(points, found)
    assert [c.verdict for c in claims if "is reproduced" in c.text] == [HOLDS] * 4
    universal = [c for c in claims if "universal 1/3" in c.text]
    assert [c.verdict for c in universal] == [OPEN, OPEN]
    assert universal[1].error > universal[0].error
    assert next(c for c in claims if "the loss collapses" in c.text).verdict == FAILS
    assert found["held_out_error"].shape == (4, len(LAWS))
    assert np.isfinite(found["held_out_error"].values).all()


def test_figures_key_every_model(points, found):
    for spec in PYTHIA.figures:
        figure = spec.draw(points, found)
        legends = [axes.get_legend() for axes in figure.axes if axes.get_legend()] + figure.legends
        texts = " ".join(text.get_text() for legend in legends for text in legend.get_texts())
        assert all(name in texts for name in ("70M", "410M", "2.8B", "12B"))
