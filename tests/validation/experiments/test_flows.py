"""Curves beside the flow of their case."""

import math

import numpy as np
import pytest

from peakedtheory.validation.experiments.comparison import small_sample
from peakedtheory.validation.experiments.flows import flow_claim


def test_a_claim_about_the_flow_takes_the_median_over_cases():
    measured = np.ones((5, 7))
    predicted = np.ones((5, 7)) * np.array([1.01, 1.02, 1.03, 0.5, np.nan])[:, None]
    claim = flow_claim("text", measured, predicted, 0.15, " (late)")
    assert claim.measured == pytest.approx(0.025)
    assert claim.error == pytest.approx(1.25 * small_sample(4) * np.std([0.01, 0.02, 0.03, 0.5], ddof=1) / 2)
    assert (claim.low, claim.high, claim.rule) == (-math.inf, 0.15, "at most 15 % (late)")
    assert math.isnan(flow_claim("text", measured, np.full((5, 7), np.nan), 0.15).measured)
