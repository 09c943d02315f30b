"""Numbers of sweeps on hard labels, from planted laws."""

import math

import numpy as np
import pytest
import xarray
from made_runs import STEPS

from peakedtheory.validation.experiments.hard_labels import analysis as study


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
    assert study.optimizers_of(data) == ["sgd"]
    found = study.rate_exponents(study.best_rates(data, loss, "sgd"))
    assert found["data"][0] == pytest.approx(-0.3, abs=0.02)
    assert found["batch"][0] == pytest.approx(0.8, abs=0.02)
    grid, lowest = study.envelope(data, loss, "sgd")
    assert lowest.shape == (2, grid.size)
    np.testing.assert_allclose(lowest, np.broadcast_to(grid ** (-1 / 3), lowest.shape), rtol=0.04)
    cases = study.middle_run(data, "sgd")
    assert set(batch[cases]) == {64.0}
    few = study.rate_exponents(np.ones((3, 3)))
    assert math.isnan(few["data"][0])
    assert math.isnan(few["batch"][1])


def test_losses_outside_a_run_are_unknown():
    data = xarray.Dataset({"step": ("time", STEPS)}, coords={"batch": ("case", [10.0, 10.0])})
    values = np.stack([STEPS**-0.5, np.full(STEPS.size, np.nan)])
    grid = np.array([10 * (study.EARLIEST - 1), 1000.0, 20_000.0, 20_100.0])
    found = study.losses_at(data, values, np.array([0, 1]), grid)
    np.testing.assert_allclose(found[0, 1:3], [0.1, 2000**-0.5], rtol=1e-9)
    assert np.isnan(found[0, [0, 3]]).all()
    assert np.isnan(found[1]).all()
