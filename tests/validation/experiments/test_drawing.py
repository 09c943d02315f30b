"""What the figures of experiments share."""

import numpy as np
import pytest

from peakedtheory._common.style import new_figure
from peakedtheory.validation.experiments.drawing import columns_for, limits, rate_bar, tidy


def test_axes_are_labelled_by_decades_or_within_them():
    figure, ((long, short),) = new_figure(2)
    long.loglog([1, 1e4], [1, 1e4], "o", label="points")
    short.loglog([1.5, 8], [1.5, 8])
    long.legend()
    tidy(figure)
    figure.draw_without_rendering()
    assert [t.get_text() for t in long.xaxis.get_minorticklabels() if t.get_text()] == []
    assert {t.get_text() for t in short.xaxis.get_minorticklabels()} == {"2", "5", ""}
    assert long.get_legend().legend_handles[0].get_markersize() == 5


def test_layout_of_panels_and_bars():
    assert [columns_for(count) for count in (1, 3, 4, 6, 8, 5)] == [1, 3, 4, 3, 4, 3]
    figure, axes = new_figure(1)
    rate_bar(figure, axes, np.array([0.1, 0.1]))
    assert len(figure.axes) == 1  # one rate needs no bar
    rate_bar(figure, axes, np.array([0.01, 10.0]))
    assert figure.axes[1].get_ylim() == pytest.approx((-2, 1))
    limits(axes[0, 0], [np.array([2.0, -1.0, np.nan]), np.array([8.0])], pad=2.0)
    assert axes[0, 0].get_ylim() == pytest.approx((1.0, 16.0))
