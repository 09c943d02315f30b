"""Clocks: rates, batches and the times they keep."""

import numpy as np
import pytest

import peakedtheory as pt


def test_times_against_sums_step_by_step():
    rng = np.random.default_rng(5)
    rates, batches = rng.uniform(0.0, 1.0, 50), rng.integers(1, 100, 50)
    clock = pt.Clock(rates, batches=batches)
    for t in (0, 1, 17, 50):
        assert clock.tau[t] == pytest.approx(sum(rates[:t]), rel=1e-14)
        assert clock.examples[t] == sum(batches[:t])
        assert clock.time_at(t) == clock.tau[t]
    for t in (1, 17, 50):
        assert clock.rate_at(t) == clock.rate_at(t - 0.5) == rates[t - 1]
    half = clock.time_at(16.5)
    assert half == pytest.approx(0.5 * (clock.tau[16] + clock.tau[17]), rel=1e-14)
    assert clock.step_at(half) == pytest.approx(16.5, rel=1e-12)
    assert (clock.steps, clock.peak) == (50, rates.max())


def test_warmup_is_the_first_step_at_the_peak():
    assert pt.Clock([0.1, 0.2, 0.2, 0.1]).warmup == 2
    assert pt.Clock([0.2, 0.1]).warmup == 0


def test_a_clock_is_its_own():
    rates = np.array([0.1, 0.2])
    clock = pt.Clock(rates)
    rates[0] = 5.0
    assert clock.rates.tolist() == [0.1, 0.2]
    with pytest.raises(ValueError, match="read-only"):
        clock.rates[0] = 1.0


@pytest.mark.parametrize(
    ("rates", "batches", "words"),
    [
        ([[0.1]], None, "schedule: must be one-dimensional"),
        ([0.1, -0.1], None, "schedule: must consist of finite rates >= 0, got -0.1"),
        ([0.1, np.inf], None, "schedule: must consist of finite rates >= 0, got inf"),
        ([0.0, 0.0], None, "schedule: must have a positive rate somewhere"),
        ([0.1, 0.1], [1], "batches: must be one number for each of the 2 steps"),
        ([0.1, 0.1], [1, 0.5], "batches: must be finite numbers >= 1, got 0.5"),
        ([0.1, 0.1], [1, np.inf], "batches: must be finite numbers >= 1, got inf"),
    ],
)
def test_impossible_clocks(rates, batches, words):
    with pytest.raises(ValueError, match=words):
        pt.Clock(rates, batches=batches)


def test_batches_are_not_dropped_in_silence():
    clock = pt.Clock([0.1, 0.1], batches=[8, 16])
    with pytest.raises(ValueError, match="schedule: must leave the batch to the optimizer"):
        pt.student_flow(None, 10.0, 128, optimizer=pt.SGD(), schedule=clock)
    case = pt.validation.Case(schedule=clock)
    with pytest.raises(ValueError, match="schedule: must leave the batch to the optimizer"):
        case.clock(2)
    with pytest.raises(ValueError, match="batches: must be given to count examples"):
        pt.Clock([0.1]).examples  # noqa: B018


def test_warmup_is_no_bump():
    """A rate within 1 % of the largest is near the peak, wherever the largest lies."""
    bumpy = np.full(1000, 1e-3)
    bumpy[800] *= 1 + 2e-5
    assert pt.Clock(bumpy).warmup == 0
    for warmup in (2, 7, 100, 500):
        rising = np.minimum(np.arange(1, 1001) / warmup, 1.0)
        assert pt.Clock(rising).warmup == warmup
        noise = 1e-4 * np.random.default_rng(0).standard_normal(1000)
        assert abs(pt.Clock(rising * (1 + noise)).warmup - warmup) <= 0.1 * warmup + 1
        rising[900] *= 1 + 1e-4
        assert pt.Clock(rising).warmup == warmup
    curved = 0.5 * (1 - np.cos(np.pi * np.minimum(np.arange(1, 1001) / 300, 1)))
    assert pt.Clock(curved).warmup == pytest.approx(300, abs=1)
    # Slow growth over the whole run ends where it ends; the part before is no flat stretch.
    assert pt.Clock(np.linspace(0.01, 1, 1000)).warmup == 1000
