"""Which columns of a log hold steps, losses and rates, by the names that trainers give them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory.curves.logs import names
from peakedtheory.curves.logs.stepless import COUNT
from peakedtheory.curves.logs.table import Log

Split = Literal["auto", "training", "validation"]

_KEYS = ("step", "loss", "lr", "logit_std", "entropy", "noise")
#: A column with fewer records than this part of the fullest one is a summary of it.
_SUMMARY = 0.5
#: A count of steps goes with this part of the records at least.
_MOST = 0.5


def find_columns(log: Log, given: Mapping[str, str], split: Split, path: Path) -> dict[str, str]:
    """Return the columns of step and loss, and of the other keys where the log has them.

    Parameters
    ----------
    log : Log
    given : mapping of str to str
        Names in the file of some of the keys.
    split : {"auto", "training", "validation"}
        Which loss to take.
    path : Path
        Where the log lies, for messages.

    Raises
    ------
    ValueError
        If a column is missing, or it is not clear which one is meant.
    """
    for key in given:
        if key not in _KEYS:
            fail("columns", f"must name {', '.join(_KEYS)}", repr(key), "correct the key")
    if split not in ("auto", "training", "validation"):
        fail("split", "must be auto, training or validation", repr(split), "choose one")
    found = {key: _named(log, column, path) for key, column in given.items()}
    ordered = {"step": ""} | found
    if "loss" not in found:
        ordered["loss"] = _find_loss(log, split, path)
    if "step" not in found:
        ordered["step"] = _find_step(log, ordered["loss"], path)
    if "lr" not in found and (rate := _find_rate(log)):
        ordered["lr"] = rate
    for key, usual in (("logit_std", names.LOGIT_STD), ("entropy", names.ENTROPY), ("noise", names.NOISE)):
        if key not in found and (column := _usual(log, usual)):
            ordered[key] = column
    return ordered


def step_of(log: Log, column: str) -> str | None:
    """Return the most preferred count of steps that most records of a column have, None if there is none."""
    there = np.isfinite(log.columns[column])
    there = there if there.any() else ~there
    at: dict[str, str] = {}
    for reading in (names.plain_name, names.last_part):
        for other in _columns(log):
            if other != column and np.isfinite(log.columns[other][there]).mean() >= _MOST:
                at.setdefault(reading(other), other)
    counts = [name for name in names.STEPS if name not in names.EPOCHS]
    return next((at[name] for name in (*counts, COUNT, *names.EPOCHS) if name in at), None)


def losses_beside(log: Log, loss: str) -> list[str]:
    """Return the other losses of the log, those of held-out data and of training alike."""
    return [name for name in _columns(log) if name != loss and (names.is_loss(name) or names.is_bare(name))]


def _columns(log: Log) -> list[str]:
    return [name for name in names.without_envelopes(log.columns) if not name.endswith(" (of)")]


def _shown(some: list[str]) -> str:
    return ", ".join(some[:12])[:300] or "none"


def _named(log: Log, column: str, path: Path) -> str:
    if column in log.columns:
        return column
    same = [name for name in _columns(log) if names.plain_name(name) == names.plain_name(column)]
    if len(same) != 1:
        fail("columns", f"must be in {path}", repr(column), f"it has {_shown(_columns(log))}")
    return same[0]


def _usual(log: Log, usual: tuple[str, ...]) -> str | None:
    """Return the column with the most preferred of the usual names, None if there is none."""
    plain: dict[str, str] = {}
    for reading in (names.plain_name, names.last_part):
        for column in _columns(log):
            plain.setdefault(reading(column), column)
    found = [plain[name] for name in usual if name in plain]
    return found[0] if found else None


def _find_step(log: Log, loss: str, path: Path) -> str:
    """Return the most preferred count of steps that goes with the losses."""
    if found := step_of(log, loss):
        return found
    held = _shown([name for name in _columns(log) if name != loss])
    remedy = "name it, --column step=NAME, or count the records, --every N"
    return fail("columns", "must include one for step", f"{held} beside {loss} in {path}", remedy)


def _find_rate(log: Log) -> str | None:
    if found := _usual(log, names.RATES):
        return found
    return next((name for name in _columns(log) if names.is_rate(name)), None)


def _find_loss(log: Log, split: Split, path: Path) -> str:
    sides = {"training": (False,), "validation": (True,), "auto": (False, True)}[split]
    for held_out in sides:
        ranked = _ranked(log, held_out)
        if ranked and len(ranked[0]) > 1:
            return _ask(log, ranked[0], split, path)
        if ranked:
            return ranked[0][0]
        if len(plain := _plainly_losses(log, held_out)) == 1:
            return plain[0]
        if len(plain) > 1:
            return _ask(log, plain, split, path)
    return _other(log, split, path)


def _ranked(log: Log, held_out: bool) -> list[list[str]]:
    """Return the columns of each usual name, those first that are no summaries, then by preference."""
    usual = names.VALIDATION if held_out else names.TRAINING
    columns = [name for name in _columns(log) if names.is_held_out(name) == held_out]
    plain: dict[str, list[str]] = {}
    for column in columns:
        plain.setdefault(names.plain_name(column), []).append(column)
    whole = set(plain)
    for column in columns:
        if (last := names.last_part(column)) not in whole:
            plain.setdefault(last, []).append(column)
    found = [plain[name] for name in usual if name in plain]
    count = [max(np.count_nonzero(~np.isnan(log.columns[name])) for name in several) for several in found]
    most = max(count, default=0)
    order = sorted(range(len(found)), key=lambda i: count[i] < max(_SUMMARY * most, 2))
    return [found[i] for i in order]


def _plainly_losses(log: Log, held_out: bool) -> list[str]:
    return [n for n in _columns(log) if names.is_loss(n) and names.is_held_out(n) == held_out]


def _other(log: Log, split: Split, path: Path) -> str:
    """Return the one column that has to do with a loss: an auxiliary one, bits, or a perplexity."""
    sides = {"training": (False,), "validation": (True,), "auto": (False, True)}[split]
    for says in (names.is_any_loss, names.is_bits, names.is_perplexity):
        for held_out in sides:
            found = [n for n in _columns(log) if says(n) and names.is_held_out(n) == held_out]
            if len(found) == 1:
                return found[0]
            if found:
                return _ask(log, found, split, path)
    return _ask(log, [], split, path)


def _ask(log: Log, losses: list[str], split: Split, path: Path) -> str:
    for name, texts in log.labels.items():
        if not losses and names.is_any_loss(name):
            found = f"{next(text for text in texts if text)[:30]!r} in {name} of {path}"
            fail("columns", "must hold numbers", found, "name another column, --column loss=NAME")
    kind = "loss" if split == "auto" else f"{split} loss"
    held = _shown(losses or _columns(log))
    unnamed = all(name.isdigit() for name in log.columns)
    remedy = (
        "count the columns, --column step=1 --column loss=2" if unnamed else "name it, --column loss=NAME"
    )
    return fail("columns", f"must include one {kind}", f"{held} in {path}", remedy)
