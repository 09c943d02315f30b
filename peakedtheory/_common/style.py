"""How every figure looks: the colours, the style of axes, new figures and the current axes.

Importing it loads no matplotlib, so that what draws can be imported where nothing is drawn.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colour-blind safe (Okabe and Ito); red and green never stand side by side.
EXACT, COLD, WARM, GUIDE, EXTRA = "#000000", "#0072B2", "#D55E00", "#7F7F7F", "#CC79A7"
#: Colours of laws, curves or runs, in turn.
COLORS = (COLD, WARM, EXTRA, "#56B4E9", "#E69F00", "#009E73", EXACT)
#: Shaded ranges, and lines that only stand behind others.
SHADE, FAINT = "0.9", "0.8"
#: Words of a verdict on white.
VERDICTS = {"holds": "#00684a", "fails": "#b3261e", "open": "#7a5c00"}

STYLE: dict[Any, Any] = {
    "axes.prop_cycle": f"cycler('color', {list(COLORS)})",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "font.size": 10,
    "axes.titlesize": 10,
    "figure.constrained_layout.use": True,
}


def shades(count: int) -> list[Any]:
    """Return `count` colours from dark to light, distinguishable in print and by the colour-blind.

    They end before the yellows, which are pale on white.
    """
    import matplotlib as mpl  # a second of loading, and only where something is drawn

    return list(mpl.colormaps["viridis"](np.linspace(0.0, 0.78, max(count, 1))))


def new_figure(
    columns: int, rows: int = 1, width: float = 4.6, height: float = 3.6
) -> tuple[Figure, np.ndarray]:
    """Return a figure of `rows` by `columns` panels in the package's style, without a window.

    Parameters
    ----------
    columns, rows : int
        Number of panels each way.
    width, height : float
        Size of a panel in inches.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : ndarray, shape (rows, columns)
    """
    import matplotlib as mpl  # a second of loading, and only where something is drawn
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
    return figure, axes


def legend_below(axes: Axes, columns: int = 3, size: int = 8) -> None:
    """Put the legend under its axes, where it covers nothing."""
    axes.legend(fontsize=size, ncols=columns, loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False)


def current_axes() -> Axes:
    """Return pyplot's current axes, new ones in this package's style; notebooks show them by themselves.

    Returns
    -------
    matplotlib.axes.Axes
    """
    import matplotlib as mpl  # a second of loading, and only where something is drawn
    import matplotlib.pyplot as plt

    with mpl.rc_context(STYLE):
        return plt.gca()


def plain_ticks(axis: Any) -> None:
    """Write 2, 3, 5 and not powers of ten on an axis of less than two decades."""
    # matplotlib is loaded only where something is drawn
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = sorted(axis.get_view_interval())
    if low <= 0 or high > 100.0 * low:
        return
    decades = 10.0 ** np.arange(math.floor(math.log10(low)), math.log10(high) + 1)
    step = 10.0 ** math.floor(math.log10((high - low) / 3.0))
    step *= next((m for m in (1, 2, 5) if (high - low) / (m * step) <= 7), 10)
    even = np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step
    scales = [
        np.outer(decades, m).ravel() for m in ((1, 3), (1, 2, 5), (1, 2, 3, 5), (1, 1.5, 2, 3, 4, 5, 7))
    ]
    ticks = next((s for s in scales if np.count_nonzero((s >= low) & (s <= high)) >= 4), even)
    axis.set_major_locator(FixedLocator([float(tick) for tick in ticks]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
