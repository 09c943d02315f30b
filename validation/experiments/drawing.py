"""What the figures of the experiments share: colours, colour bars, curves with theory lines, guides."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

from peakedtheory._common.style import EXACT, GUIDE, shades
from peakedtheory.exact.expansions import low_temperature_expansion
from peakedtheory.validation.experiments.selection import CLASSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Names of the axes that runs are drawn on.
LABELS = {
    "step": "training step t",
    "tau": "dynamic time τ",
    "loss": "test loss L (nats)",
    "beta": "inverse temperature β",
}


@functools.cache
def exact_c0() -> float:
    """Return c0 = ⟨max⟩ of the toy model's classes, which the figures mark."""
    return float(low_temperature_expansion(CLASSES, order=0).coefficients[0])


def rate_colours(rates: np.ndarray) -> dict[float, Any]:
    """Return one colour per learning rate, by its logarithm."""
    return dict(zip((float(r) for r in rates), shades(len(rates)), strict=True))


def rate_bar(figure: Figure, axes: Any, rates: np.ndarray) -> None:
    """Add the colour bar of log10 η."""
    low, high = np.log10(rates.min()), np.log10(rates.max())
    if low == high:
        return
    colours = mpl.colors.LinearSegmentedColormap.from_list("rates", shades(64))
    mappable = mpl.cm.ScalarMappable(mpl.colors.Normalize(low, high), colours)
    figure.colorbar(mappable, ax=axes, label="log₁₀ η", fraction=0.05, pad=0.01)


def guide(axes: Axes, x: np.ndarray, anchor: tuple[float, float], slope: float, label: str = "") -> None:
    """Draw a dashed power law through `anchor` over the range of `x`."""
    reach = np.array([x.min(), x.max()])
    axes.plot(
        reach,
        anchor[1] * (reach / anchor[0]) ** slope,
        color=GUIDE,
        ls="--",
        lw=1,
        label=label or f"slope {'-' if slope < 0 else ''}{_fraction(abs(slope))}",
    )


def _fraction(value: float) -> str:
    return "1/3" if abs(3 * value - 1) < 1e-9 else f"{value:.2g}"


def keyed(
    figure: Figure, points: str = "training", lines: str = "theory, nothing fitted", columns: int = 5
) -> None:
    """Put one key under all panels: what points and lines are, and every label of the panels once."""
    styles: list[tuple[dict[str, Any], str]] = [
        ({"marker": "o", "ls": "", "ms": 4}, points),
        ({"ls": "-", "lw": 1.2}, lines),
    ]
    handles: list[Any] = [
        mpl.lines.Line2D([], [], color=EXACT, **style) for style, meaning in styles if meaning
    ]
    labels = [meaning for _, meaning in styles if meaning]
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            if label not in labels:
                handles.append(handle)
                labels.append(label)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)


def shown(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return which points can be drawn on logarithmic axes."""
    return (x > 0) & (y > 0) & np.isfinite(x) & np.isfinite(y)


def curve(
    axes: Axes, x: np.ndarray, measured: np.ndarray, predicted: np.ndarray | None, color: Any, label: str = ""
) -> None:
    """Draw training as points and theory as a line of the same colour."""
    good = shown(x, measured)
    axes.plot(x[good], measured[good], "o", ms=2.2, color=color, alpha=0.75, mew=0, label=label or None)
    if predicted is not None:
        good = shown(x, predicted)
        axes.plot(x[good], predicted[good], "-", lw=1.1, color=color)


def limits(axes: Axes, values: list[np.ndarray], pad: float = 1.6) -> None:
    """Fit a logarithmic axis to the measured values, so that a wild prediction does not stretch it."""
    seen = np.concatenate([v[np.isfinite(v) & (v > 0)].ravel() for v in values])
    if seen.size:
        axes.set_ylim(float(seen.min()) / pad, float(seen.max()) * pad)


def columns_for(count: int) -> int:
    """Return how many columns show `count` panels with few empty places."""
    return min(count, 4 if count % 4 == 0 or count < 4 else 3)


def tidy(figure: Figure) -> None:
    """Label decades only on long logarithmic axes, 2 and 5 besides on short ones; enlarge legends' dots."""
    for legend in [*figure.legends, *filter(None, (axes.get_legend() for axes in figure.axes))]:
        for handle in legend.legend_handles:
            if isinstance(handle, mpl.lines.Line2D) and handle.get_marker() == "o":
                handle.set_markersize(5)
    for axes in figure.axes:
        for axis, (low, high), scale in (
            (axes.xaxis, axes.get_xlim(), axes.get_xscale()),
            (axes.yaxis, axes.get_ylim(), axes.get_yscale()),
        ):
            if scale != "log" or low <= 0:
                continue
            decades = np.floor(np.log10(high)) - np.ceil(np.log10(low))
            if decades >= 3:  # ticks between them are most of the time that a figure takes
                axis.set_minor_locator(mpl.ticker.NullLocator())
            elif decades >= 1:
                axis.set_minor_formatter(mpl.ticker.NullFormatter())
            else:
                axis.set_major_formatter(mpl.ticker.FuncFormatter(lambda v, _: f"{v:g}"))
                axis.set_minor_formatter(mpl.ticker.FuncFormatter(_two_and_five))


def _two_and_five(value: float, _: int | None = None) -> str:
    leading = round(value / 10.0 ** np.floor(np.log10(value)))
    return f"{value:g}" if leading in (2, 5) else ""
