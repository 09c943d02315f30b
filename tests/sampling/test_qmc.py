"""Scrambled Sobol points as exponentials: distribution, independence of chunks, error of their mean."""

import math

import numpy as np
import pytest
from scipy import stats

from peakedtheory.sampling.qmc import favour_ends, scramblings, sobol_exponentials

SEED = np.random.SeedSequence(20260203)


def test_points_do_not_depend_on_chunks():
    whole = np.concatenate(list(sobol_exponentials(1024, 5, SEED, chunk=1024)))
    parts = np.concatenate(list(sobol_exponentials(1024, 5, SEED, chunk=64)))
    assert np.array_equal(whole, parts)
    assert whole.shape == (1024, 5)


def test_each_coordinate_is_exponential_and_stratified():
    points = np.concatenate(list(sobol_exponentials(4096, 16, SEED)))
    assert points.min() >= 0.0
    uniform = -np.expm1(-points)
    # a scrambled net puts one point into each of 4096 equal intervals of every coordinate
    assert np.array_equal(
        np.sort((uniform * 4096).astype(int), axis=0), np.tile(np.arange(4096)[:, None], 16)
    )
    # and its position inside is uniform
    assert stats.kstest((uniform * 4096 % 1.0).ravel(), "uniform").pvalue > 1e-3


def test_a_smooth_mean_converges_faster_than_by_sampling():
    errors = []
    for points in (256, 4096):
        means = [
            np.exp(-e).prod(axis=1).mean()
            for s in scramblings(SEED, 16)
            for e in sobol_exponentials(points, 4, s)
        ]
        errors.append(np.sqrt(np.mean((np.array(means) - 0.5**4) ** 2)))
    assert errors[1] < errors[0] / 8  # random points would gain a factor of four


def test_scramblings_differ_and_their_number_does_not_matter():
    few, many = scramblings(SEED, 3), scramblings(SEED, 9)
    points = [next(sobol_exponentials(16, 2, s)) for s in many]
    assert all(np.array_equal(next(sobol_exponentials(16, 2, s)), points[i]) for i, s in enumerate(few))
    assert len({p.tobytes() for p in points}) == 9


def test_importance_weights_keep_every_mean():
    """⟨w g(E)⟩ over the favoured points is ⟨g(E)⟩ over unit exponentials, also where E^(-0.4) is singular."""
    points = next(sobol_exponentials(4096, 1, SEED))[:, 0]
    weights = favour_ends(points)
    assert (points < 1e-6).mean() > 0.003
    assert (points > 15.0).mean() > 0.003
    assert weights.mean() == pytest.approx(1.0, abs=1e-4)
    assert (weights * points).mean() == pytest.approx(1.0, abs=1e-3)
    assert (weights * points**-0.4).mean() == pytest.approx(math.gamma(0.6), rel=1e-3)


def test_bad_numbers_are_named():
    with pytest.raises(ValueError, match="points: must be a power of two, got 1000; take 1024"):
        next(sobol_exponentials(1000, 2, SEED))
    with pytest.raises(ValueError, match="chunk: must be a power of two"):
        next(sobol_exponentials(1024, 2, SEED, chunk=48))
