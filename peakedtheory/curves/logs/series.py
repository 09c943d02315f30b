"""The losses of one run in order: repeats, restarts, and counts that begin anew are found and told."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np

from peakedtheory._common.checks import fail

#: What to do where the steps of a log go back: ask where it matters, let later records replace the earlier
#: ones, count on from the last step, or take each stretch for a run of its own.
Restarts = Literal["auto", "replace", "shift", "apart"]
RESTARTS = ("auto", "replace", "shift", "apart")

#: Stretches whose losses at equal steps differ by more than this part are no repetition of each other.
_SAME = 0.02
#: What several ranks write for a step differs by less than this part.
_MEANT = 0.1
_LEVEL = 3


@dataclass(frozen=True)
class Series:
    """Records of one column by increasing step, and what was done to make them so."""

    step: np.ndarray
    value: np.ndarray
    notes: tuple[str, ...] = ()


def finite_records(step: np.ndarray, value: np.ndarray, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the records that have both numbers, in the order of the file, and tell which are not finite.

    Raises
    ------
    ValueError
        If there are none.
    """
    there = ~np.isnan(step) & ~np.isnan(value)
    finite = there & np.isfinite(step) & np.isfinite(value)
    lost = there & ~finite
    if not finite.any():
        found = f"none in {label}" + (f" ({np.count_nonzero(lost)} are not finite)" if lost.any() else "")
        fail(
            "path",
            "must hold records of a loss",
            found,
            "check how it was written, or name --column loss=NAME",
        )
    if lost.any():
        first = step[lost][0]
        warnings.warn(
            f"{label}: {np.count_nonzero(lost)} values are not finite (first at step {first:g}) and were left"
            " out",
            stacklevel=_LEVEL,
        )
    return step[finite], value[finite]


def epochs_joined(step: np.ndarray, epoch: np.ndarray, total: np.ndarray) -> np.ndarray | None:
    """Return steps that go on where they were counted within each epoch; None where they were not."""
    if step.size < 2 or not np.isfinite([step, epoch, total]).all():
        return None
    whole = (epoch == np.round(epoch)).all() and np.unique(total).size == 1
    back = np.diff(step) <= 0
    if not whole or (step > total).any() or not (back & (np.diff(epoch) > 0)).any():
        return None
    joined = step + (epoch - epoch[0]) * total
    return joined if (np.diff(joined) >= 0).all() else None


def stretches(step: np.ndarray) -> list[slice]:
    """Return the parts of a log in which steps do not go back."""
    cuts = [0, *(np.flatnonzero(np.diff(step) < 0) + 1).tolist(), step.size]
    return [slice(a, b) for a, b in itertools.pairwise(cuts)]


def in_order(step: np.ndarray, value: np.ndarray, label: str, restarts: Restarts = "auto") -> Series:
    """Return the records by increasing step.

    Raises
    ------
    ValueError
        If a count begins anew and only the reader of the log can know what that means.
    """
    if step.size > 1 and (np.diff(step) < 0).all():  # newest first
        step, value = step[::-1], value[::-1]
    if restarts == "shift":
        step = _counted_on(step)
    step, value, notes = _without_repeats(step, value, label)
    parts = stretches(step)
    if len(parts) == 1:
        return Series(step, value, notes)
    if restarts == "auto" and np.unique(step).size < step.size:
        _ask_about_new_counts(step, value, parts, label)
    order = np.argsort(step, kind="stable")
    sorted_step, sorted_value = step[order], value[order]
    last = np.append(np.diff(sorted_step) > 0, True)
    repeated = np.count_nonzero(~last)
    kept = f", and of {repeated} repeated steps the values written last kept" if repeated else ""
    warnings.warn(
        f"{label}: steps go back {len(parts) - 1} times (restarts?); they were sorted{kept}"
        f"{_disagreement(step, value, parts) if repeated else ''}",
        stacklevel=_LEVEL,
    )
    return Series(sorted_step[last], sorted_value[last], notes)


def _without_repeats(
    step: np.ndarray, value: np.ndarray, label: str
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return records in which no step follows itself: the mean of what was written for each."""
    first = np.append(True, np.diff(step) != 0)
    if first.all():
        return step, value, ()
    starts = np.flatnonzero(first)
    mean = np.add.reduceat(value, starts) / np.diff(np.append(starts, step.size))
    alike = np.maximum.reduceat(value, starts) == np.minimum.reduceat(value, starts)
    note = f"{np.count_nonzero(~first)} records repeat the step before them"
    note += " and its value" if alike.all() else "; of each step the mean was taken"
    apart = float(np.median(np.maximum.reduceat(value, starts) - np.minimum.reduceat(value, starts)))
    if apart > _MEANT * abs(float(np.median(value))):
        warnings.warn(f"{label}: {note}, although they differ by {apart:.2g}", stacklevel=_LEVEL + 1)
    return step[starts], np.where(alike, value[starts], mean), (note,)


def _counted_on(step: np.ndarray) -> np.ndarray:
    """Return steps that go on from the last one wherever the count goes back."""
    shift = np.where(np.diff(step) < 0, step[:-1], 0.0)
    return step + np.append(0.0, np.cumsum(shift))


def _ask_about_new_counts(step: np.ndarray, value: np.ndarray, parts: list[slice], label: str) -> None:
    """Raise ValueError where a count begins again with losses that its beginning did not have.

    They go on from where the losses before had come, or differ from those along the way.
    """
    for before, after in itertools.pairwise(parts):
        early, late = step[before], step[after]
        spacing = float(np.median(np.diff(early))) if early.size > 1 else 1.0
        if late[0] > early[0] + spacing or late.size < 2:
            continue
        end, begin = value[before][-1], value[after][0]
        goes_on = abs(begin - end) < abs(begin - np.interp(late[0], early, value[before]))
        if goes_on or _gap(step, value, before, after) > _SAME:
            rule = "must not begin anew without a word on what that means"
            found = f"{late[0]:g} after {early[-1]:g} in {label}, with losses {begin:.4g} after {end:.4g}"
            remedy = (
                "--restarts shift counts on after a resume, apart takes separate runs (--run 1, 2 …), replace"
                " keeps the later records"
            )
            fail("steps", rule, found, remedy)


def _gap(step: np.ndarray, value: np.ndarray, before: slice, after: slice) -> float:
    """Return by what part the losses of two stretches differ where their steps overlap, as a median."""
    shared = (step[after] >= step[before][0]) & (step[after] <= step[before][-1])
    if not shared.any():
        return 0.0
    earlier = np.interp(step[after][shared], step[before], value[before])
    return float(np.median(np.abs(value[after][shared] / np.where(earlier == 0, np.nan, earlier) - 1.0)))


def _disagreement(step: np.ndarray, value: np.ndarray, parts: list[slice]) -> str:
    worst = max(_gap(step, value, a, b) for a, b in itertools.pairwise(parts))
    return f"; they differ by {100 * worst:.2g} % from those replaced" if worst > _SAME else ""
