"""Averages of weights: the shares of steps, the moments of averaged noise, texts and refusals."""

import numpy as np
import pytest

from peakedtheory.kernels.averages import fill_averages
from peakedtheory.schedules import MovingAverage, TailAverage, parse_average


def shares(mixing):
    """What each step has in the last average."""
    kept = np.append(np.cumprod((1.0 - mixing)[::-1])[::-1][1:], 1.0)
    return mixing * kept


def test_moving_averages_weigh_steps_geometrically():
    weights = shares(MovingAverage(7.0).mixing(60))
    expected = (6.0 / 7.0) ** np.arange(60)[::-1]
    np.testing.assert_allclose(weights, expected / expected.sum(), rtol=1e-6)
    np.testing.assert_allclose(MovingAverage(1.0).mixing(5), 1.0, rtol=1e-6)


@pytest.mark.parametrize(("share", "last"), [(1.0, 40), (0.25, 10), (0.001, 1)])
def test_tail_averages_are_plain_means(share, last):
    expected = np.zeros(40)
    expected[-last:] = 1.0 / last
    np.testing.assert_allclose(shares(TailAverage(share).mixing(40)), expected, atol=1e-15)


def test_moments_of_averages_by_the_sums_that_they_are():
    """⟨w̄²⟩ of w_t = (1 - f_t) w_(t-1) + noise, from its covariances; of what is certain the mean."""
    rng = np.random.default_rng(3)
    steps = 30
    falls, grown = rng.uniform(0.0, 0.4, steps), rng.uniform(0.1, 1.0, steps)
    squares = [0.7]
    for f, g in zip(falls, grown, strict=True):
        squares.append((1.0 - f) ** 2 * squares[-1] + g)
    squares = np.array(squares)
    covariance = np.empty((steps + 1, steps + 1))
    for a in range(steps + 1):
        for b in range(a, steps + 1):
            covariance[a, b] = covariance[b, a] = squares[a] * np.prod(1.0 - falls[a:b])
    path = rng.standard_normal(steps + 1)
    for average in (MovingAverage(5.0), TailAverage(0.5), TailAverage(1.0)):
        out = np.empty((1, steps + 1)), np.empty((1, steps + 1))
        fill_averages(average.mixing(steps), path[None], squares[None], falls[None], *out)
        weights = shares(average.mixing(steps))
        assert out[0][0, -1] == pytest.approx(weights @ path[1:], rel=1e-6)
        assert out[1][0, -1] == pytest.approx(weights @ covariance[1:, 1:] @ weights, rel=1e-6)


def test_texts():
    assert parse_average("ema:steps=200") == MovingAverage(200.0)
    assert parse_average("tail:share=0.5") == TailAverage(0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mean:share=1", "average: must be ema or tail, got 'mean'"),
        ("ema:share=1", "average: ema takes steps"),
        ("tail", "average: tail takes share"),
        ("ema:steps=0.5", "steps: must be a finite number >= 1, got 0.5"),
        ("ema:steps=inf", "steps: must be a finite number >= 1"),
        ("tail:share=0", "share: must be above 0 and at most 1, got 0"),
        ("tail:share=1.5", "share: must be above 0 and at most 1, got 1.5"),
    ],
)
def test_impossible_averages(text, message):
    with pytest.raises(ValueError, match=message):
        parse_average(text)
