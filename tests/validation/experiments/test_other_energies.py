"""Logit scales trained on sampled energies."""

import numpy as np
import pytest

from peakedtheory.validation.experiments.registry import experiment


def test_scalar_training_of_gaussian_energies_is_the_exact_flow():
    chosen = experiment("other-energies").at(
        energies=["normal"], steps=400, batch=256, seeds=3, test_samples=20000, rate=0.05, growth=1e4
    )
    data = chosen.run("quick")
    prediction = chosen.predict(data)
    np.testing.assert_allclose(data["beta"].values.mean(axis=1)[0], prediction["beta"].values[0], rtol=0.05)
    np.testing.assert_allclose(
        data["loss"].values.mean(axis=1)[0, 5:], prediction["loss"].values[0, 5:], rtol=0.05
    )
    exponent, error = chosen.judge(data, prediction)
    assert exponent.text.startswith("normal: L ~ τ^-0.333")
    assert exponent.measured == pytest.approx(exponent.predicted, abs=0.03)
    assert error.measured < 0.05
    loss, beta = chosen.figures[0].draw(data, prediction).axes
    assert loss.get_ylabel() == "loss on hard labels (nats)"
    assert beta.get_ylabel() == "inverse temperature β"
    np.testing.assert_allclose(loss.lines[0].get_ydata(), data["loss"].values.mean(axis=1)[0])
