"""Losses that were written without their steps, as Hugging Face's Trainer does on the console.

Steps come from the run's progress bar where each record has its own count, from a number in brackets, from
the fraction of the epoch on the scale of the bar, or from counting the records.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np

from peakedtheory.curves.logs.names import is_held_out, is_loss, plain_name
from peakedtheory.curves.logs.table import Log, Record, as_log

#: Records counted where a log has no steps, and what is said then.
COUNT = "record"
COUNTED = "the log has no steps: records were counted from 1 (--every N where N updates lie between them)"
_BY = "the log has no steps: they were taken from its "


class Stepless(NamedTuple):
    """A record without a step, the progress bars seen before it, n by N, and a number in brackets in it."""

    record: Record
    bars: dict[float, float]
    bracket: float | None


def without_steps(found: list[Stepless], bars: dict[float, float]) -> Log | None:
    """Return records as a table, with steps as they can be found; `bars` were seen at the end of the log.

    Two training losses at least must be there.
    """
    training = np.array([any(map(_is_training, one.record)) for one in found], dtype=bool)
    if np.count_nonzero(training) < 2:
        return None
    after = [one.bars for one in found[1:]] + [bars]
    candidates = (
        (_by_bars([one.bars for one in found], training), "progress bar"),
        (
            np.array([math.nan if one.bracket is None else one.bracket for one in found]),
            "numbers in brackets",
        ),
        (_by_bars(after, training), "progress bar"),
        (_by_epochs(found, training), "epochs and its progress bar"),
    )
    for steps, source in candidates:
        if steps.size and np.isfinite(steps).all() and (np.diff(steps[training]) > 0).all():
            return _table("step", steps, found, f"{_BY}{source}")
    # What is evaluated between two records belongs to the earlier one.
    return _table(COUNT, np.maximum(np.cumsum(training), 1), found, COUNTED)


def _table(name: str, steps: np.ndarray, found: list[Stepless], note: str) -> Log:
    rows = [{name: float(s), **one.record} for s, one in zip(steps, found, strict=True)]
    return as_log("console", rows, note)


def _is_training(name: str) -> bool:
    return is_loss(name) and not is_held_out(name)


def _by_bars(bars: list[dict[float, float]], training: np.ndarray) -> np.ndarray:
    """Return the counts of the bar that most training records have seen; others are of evaluations."""
    totals = [total for one, here in zip(bars, training, strict=True) if here for total in one]
    if not totals:
        return np.array([])
    run = max(set(totals), key=totals.count)
    return np.array([one.get(run, math.nan) for one in bars])


def _by_epochs(found: list[Stepless], training: np.ndarray) -> np.ndarray:
    """Return steps in proportion to the fraction of an epoch, on the scale of the bar's last count."""
    epoch = np.array([_epoch(one.record) for one in found])
    last = int(np.flatnonzero(training)[-1])
    counts = _by_bars([one.bars for one in found], training)
    if not counts.size or np.isnan(epoch).any() or not epoch[last] > 0:
        return np.array([])
    return np.round(epoch * counts[last] / epoch[last])


def _epoch(record: Record) -> float:
    values = (value for name, value in record.items() if re.fullmatch("epochs?", plain_name(name)))
    return next((value for value in values if isinstance(value, float)), math.nan)
