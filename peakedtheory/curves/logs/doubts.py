"""What is strange about a series of losses: that it rises, jumps, or is no loss at all."""

from __future__ import annotations

import warnings

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory.curves.logs.names import is_loss, is_score

#: Records that say where a series begins and ends, as a part of all, and how many must be there.
_ENDS, _FEWEST = 0.2, 5
#: A spike stands out by this many local deviations, and by this in the logarithm.
_DEVIATIONS, _HEIGHT = 8.0, 0.05
_HALF_WINDOW = 4
#: A series that ends by more than this above its lowest stretch has diverged.
_DIVERGED = 0.05


def refuse_scores(column: str, value: np.ndarray, label: str) -> None:
    """Refuse what training raises; of other series that rise from the start, warn.

    Raises
    ------
    ValueError
        For accuracies and other scores.
    """
    if is_score(column) and not is_loss(column):
        _refuse(label)
    if value.size < _FEWEST:
        return
    count = max(int(_ENDS * value.size), 2)
    first, last = float(np.median(value[:count])), float(np.median(value[-count:]))
    fell_before = running_median(value).min() < (1.0 - _DIVERGED) * value[0]
    if last <= first or fell_before:
        return
    if value.min() >= 0.0 and value.max() <= 1.0 and not is_loss(column):
        _refuse(label)
    warnings.warn(
        f"{label}: the values rise from {first:.4g} to {last:.4g}; a loss falls (is it another quantity, or"
        " has the run diverged?)",
        stacklevel=3,
    )


def oddities(step: np.ndarray, loss: np.ndarray) -> list[str]:
    """Return a sentence each on few records, spikes, and the end of a run that diverged."""
    if step.size < _FEWEST:
        return [f"{step.size} record{'s are' if step.size > 1 else ' is'} too few for most laws"]
    found = []
    level = np.log(np.maximum(loss, 1e-300))
    middle = running_median(level)
    above = level - middle
    scale = 1.4826 * running_median(np.abs(above))
    rises = np.diff(level, prepend=level[0]) > 0  # on a steep way down nothing stands out
    high = np.flatnonzero(rises & (above > np.maximum(_DEVIATIONS * scale, _HEIGHT)))
    if high.size:
        groups = 1 + np.count_nonzero(np.diff(high) > _HALF_WINDOW)
        top = high[np.argmax(above[high])]
        found.append(
            f"{groups} spike{'s' if groups > 1 else ''}, the highest at step {step[top]:g}: {loss[top]:.4g},"
            f" around it {np.exp(middle[top]):.4g}"
        )
    lowest = int(np.argmin(middle))
    end = float(np.median(middle[-max(step.size // 10, 1) :]))
    if end > middle[lowest] + _DIVERGED and lowest < 0.9 * step.size:
        found.append(
            f"the loss rises after step {step[lowest]:g}, from {np.exp(middle[lowest]):.4g} to"
            f" {np.exp(end):.4g}: has the run diverged? (--window :{step[lowest]:g} fits what came before)"
        )
    return found


def running_median(value: np.ndarray) -> np.ndarray:
    """Return the median of each record and its neighbours, as many before as after."""
    size = value.size
    found = np.array(value, dtype=float)
    width = 2 * _HALF_WINDOW + 1
    if size >= width:
        windows = np.lib.stride_tricks.sliding_window_view(value, width)
        found[_HALF_WINDOW : size - _HALF_WINDOW] = np.median(windows, axis=1)
    for i in (*range(min(_HALF_WINDOW, size)), *range(max(size - _HALF_WINDOW, 0), size)):
        reach = min(i, size - 1 - i, _HALF_WINDOW)
        found[i] = np.median(value[i - reach : i + reach + 1])
    return found


def _refuse(label: str) -> None:
    rule = "must be a loss, which training lowers"
    fail("loss", rule, f"{label}, by its name or values a score", "name the loss, --column loss=NAME")
