"""The figure of expansions covers what a law does, and no panel of it is empty."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from peakedtheory import as_energies
from peakedtheory.exact.expansions import (
    high_temperature_expansion,
    longest_expansion,
    low_temperature_expansion,
)
from peakedtheory.figures.exact import draw_expansion


@pytest.mark.parametrize(
    "energies", [None, "uniform", "t:df=3", np.random.default_rng(3).gamma(2.0, size=200)], ids=str
)
def test_both_ends_of_a_law_are_drawn(energies):
    law = as_energies(energies)
    low = longest_expansion(low_temperature_expansion, 128, law, 6)
    high = longest_expansion(high_temperature_expansion, 128, law, 6)
    figure = draw_expansion(low, high)
    for axes in figure.axes:
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert left < high.valid_range[1]  # some of what the high-temperature series describes
        assert right > 10.0 * low.crossover
        drawn = 0
        for line in axes.lines:
            x, y = (np.asarray(v, dtype=float) for v in line.get_data())
            drawn += int(x.size > 2 and np.any((x > left) & (x < right) & (y > bottom) & (y < top)))
        assert drawn >= 2
    plt.close(figure)
