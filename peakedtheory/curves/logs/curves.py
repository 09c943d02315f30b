"""One run of a log as a loss curve: its records in order, its rates, and notes on what was decided."""

from __future__ import annotations

import dataclasses
import itertools
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from peakedtheory._common.checks import MOST_STEPS, fail
from peakedtheory.curves.curve import LossCurve
from peakedtheory.curves.logs.columns import Split, find_columns, losses_beside, step_of
from peakedtheory.curves.logs.consoles import of
from peakedtheory.curves.logs.doubts import oddities, refuse_scores
from peakedtheory.curves.logs.formats import read_log
from peakedtheory.curves.logs.names import EPOCHS, is_held_out, is_multiplier, is_rate, plain_name
from peakedtheory.curves.logs.runs import runs_in
from peakedtheory.curves.logs.series import (
    RESTARTS,
    Restarts,
    Series,
    epochs_joined,
    finite_records,
    in_order,
    stretches,
)
from peakedtheory.curves.logs.stepless import COUNT, COUNTED
from peakedtheory.curves.logs.table import Log
from peakedtheory.curves.logs.units import unit_of
from peakedtheory.curves.rates import logged_up_to, planned
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.reading import ScheduleLike


@dataclass(frozen=True)
class Reading:
    """How logs are read, as `read_loss_curve` describes it."""

    columns: Mapping[str, str] = field(default_factory=dict)
    split: Split = "auto"
    bits: bool | None = None
    bytes_per_token: float | None = None
    restarts: Restarts = "auto"
    every: float | None = None

    def __post_init__(self) -> None:
        if self.restarts not in RESTARTS:
            fail("restarts", f"must be one of {', '.join(RESTARTS)}", repr(self.restarts), "choose one")
        if self.every is not None and not 0 < self.every < math.inf:
            fail("every", "must be a finite number of steps > 0", f"{self.every}", "say how often was logged")


@dataclass(frozen=True)
class Run:
    """One run of a log: where it lies, what it is called there, and its part of the table."""

    path: Path
    name: str
    log: Log


def listed(names: Sequence[str]) -> str:
    """Return names of runs, for messages."""
    shown = ", ".join(map(repr, names[:6])) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    return f"{shown}; choose with --run NAME"


def runs_of(path: Path, reading: Reading, wanted: Sequence[str]) -> list[Run]:
    """Return the runs of a log, all or those wanted."""
    log = read_log(path)
    given = reading.columns.get("loss")
    by_name = runs_in(log) if given is None or given.count(" - ") == 0 else {"": log}
    if reading.restarts == "apart":
        by_name = {
            f"{name} {part}".strip(): one
            for name, whole in by_name.items()
            for part, one in _apart(whole, reading, path).items()
        }
    if not wanted or (len(by_name) == 1 and "" in by_name):
        if wanted:
            fail("run", f"must be in {path}", repr(wanted[0]), "it holds one run: leave the option out")
        return [Run(path, name, one) for name, one in by_name.items()]
    for name in wanted:
        if name not in by_name:
            fail("run", f"must be in {path}", repr(name), f"it has {listed(list(by_name))}")
    return [Run(path, name, by_name[name]) for name in wanted]


def _apart(log: Log, reading: Reading, path: Path) -> dict[str, Log]:
    """Return the stretches between which steps go back, numbered."""
    names = find_columns(log, reading.columns, reading.split, path)
    rows = np.flatnonzero(np.isfinite(log.columns[names["step"]]) & np.isfinite(log.columns[names["loss"]]))
    parts = stretches(log.columns[names["step"]][rows])
    cuts = [0, *(int(rows[part.start]) for part in parts[1:]), log.columns[names["loss"]].size]
    every = np.arange(cuts[-1])
    return {
        str(i): log.rows((every >= a) & (every < b)) for i, (a, b) in enumerate(itertools.pairwise(cuts), 1)
    }


def curve_of(run: Run, reading: Reading, schedule: ScheduleLike | None, name: str) -> LossCurve:
    """Return the curve of one run, under a name."""
    log = run.log if reading.every is None else _counted(run.log, reading, run.path)
    given = reading.columns if reading.every is None else {**reading.columns, "step": COUNT}
    names = find_columns(log, given, reading.split, run.path)
    log = _with_epochs_joined(log, names)
    where = run.path.name + (f", {run.name}" if run.name else "")
    label = f"{where}: {names['loss']}"
    _tell_texts(log, names["loss"], label)
    losses = _series(log, names, "loss", label, reading)
    unit = unit_of(log, names["loss"], reading.bits, reading.bytes_per_token)
    if losses.step[-1] > MOST_STEPS:
        rule = f"must count at most {MOST_STEPS:g} optimizer steps"
        remedy = "if these are tokens, name the column of steps, --column step=NAME"
        fail("step", rule, f"{losses.step[-1]:g} in {run.path}", remedy)
    refuse_scores(names["loss"], losses.value, label)
    loss = unit.nats(losses.value)
    clock, source = _clock(log, names, float(losses.step[-1]), schedule, where, reading)
    std, entropy = (_beside(log, names, key, losses.step, reading) for key in ("logit_std", "entropy"))
    noise = _noise(log, names, losses, reading)
    metadata = {
        "format": log.kind,
        "columns": names,
        "split": "validation" if is_held_out(names["loss"]) else "training",
        "rates": source,
        "nats_per_unit": unit.factor,
        "notes": _notes(log, names, losses, unit.note, reading) + tuple(oddities(losses.step, loss)),
    }
    entropy = None if entropy is None else unit.factor * entropy
    return LossCurve(losses.step, loss, clock, std, entropy, name, metadata, noise=noise)


def _counted(log: Log, reading: Reading, path: Path) -> Log:
    """Return the log with its records counted in the steps that lie between them."""
    assert reading.every is not None
    if COUNT in log.columns:
        count = log.columns[COUNT]
    else:
        with_step = {**log.columns, COUNT: np.arange(1.0, _height(log) + 1.0)}
        columns = {**reading.columns, "step": COUNT}
        loss = find_columns(log.with_columns(with_step), columns, reading.split, path)["loss"]
        there = ~np.isnan(log.columns[loss])
        count = np.where(there, np.cumsum(there), np.nan)
    notes = tuple(note for note in log.notes if "counted" not in note)
    counted = dataclasses.replace(log, notes=notes)
    return counted.with_columns(
        {**log.columns, COUNT: reading.every * count}, f"records were counted, {reading.every:g} steps each"
    )


def _height(log: Log) -> int:
    return max((column.size for column in log.columns.values()), default=0)


def _with_epochs_joined(log: Log, names: dict[str, str]) -> Log:
    """Return the log with steps that go on from epoch to epoch, where they were counted within each."""
    step = names["step"]
    epoch = next((name for name in log.columns if plain_name(name) in EPOCHS), None)
    if epoch is None or epoch == step or of(step) not in log.columns:
        return log
    there = np.isfinite(log.columns[step]) & np.isfinite(log.columns[names["loss"]])
    parts = (log.columns[column][there] for column in (step, epoch, of(step)))
    if epochs_joined(*parts) is None:
        return log
    length = log.columns[of(step)][there][0]
    first = log.columns[epoch][there][0]
    joined = log.columns[step] + (log.columns[epoch] - first) * length
    note = f"steps count within each epoch, of {length:g} steps: they were counted on"
    return log.with_columns({**log.columns, step: joined}, note)


def _series(log: Log, names: dict[str, str], key: str, label: str, reading: Reading) -> Series:
    step, value = finite_records(log.columns[names["step"]], log.columns[names[key]], label)
    return in_order(step, value, label, reading.restarts)


def _tell_texts(log: Log, loss: str, label: str) -> None:
    texts = [text for text in log.labels.get(loss, ()) if text]
    if texts:
        count = f"{len(texts)} value{'s are no numbers' if len(texts) > 1 else ' is no number'}"
        warnings.warn(f"{label}: {count} ({texts[0][:20]!r}) and left out", stacklevel=3)


def _silent_series(log: Log, names: dict[str, str], key: str, reading: Reading) -> Series:
    """Return another column in order; the loss has already said what there is to say."""
    restarts: Restarts = "replace" if reading.restarts == "auto" else reading.restarts
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return _series(log, names, key, names[key], dataclasses.replace(reading, restarts=restarts))


def _beside(
    log: Log, names: dict[str, str], key: str, wanted: np.ndarray, reading: Reading
) -> np.ndarray | None:
    """Return a column at the steps of the losses, linear between its own records."""
    if key not in names:
        return None
    series = _silent_series(log, names, key, reading)
    return np.interp(wanted, series.step, series.value)


def _noise(log: Log, names: dict[str, str], losses: Series, reading: Reading) -> np.ndarray | None:
    """Return the standard deviation of ln L where the log has standard errors of the loss."""
    error = _beside(log, names, "noise", losses.step, reading)
    if error is None:
        return None
    if not (error > 0).all():
        found = f"{error.min():g} in {names['noise']}"
        fail("noise", "must be standard errors > 0", found, "name another column, --column noise=NAME")
    return error / losses.value


def _clock(
    log: Log, names: dict[str, str], last: float, schedule: ScheduleLike | None, label: str, reading: Reading
) -> tuple[Clock | None, str]:
    """Return the rates of every optimizer step up to the last record, and where they came from."""
    logged = _logged_rates(log, names, label, reading)
    relative = "lr" in names and is_multiplier(names["lr"])
    if schedule is not None:
        plan = planned(schedule, last, logged, label, relative)
        return plan, plan.name
    if logged is None:
        return None, "unknown"
    unit = ", in units of the peak" if relative else ""
    return logged_up_to(last, *logged, label), f"logged rates ({names['lr']}){unit}, linear between records"


def _logged_rates(
    log: Log, names: dict[str, str], label: str, reading: Reading
) -> tuple[np.ndarray, np.ndarray] | None:
    if "lr" not in names:
        return None
    step = step_of(log, names["lr"])
    both = np.isfinite(log.columns[names["lr"]]) & np.isfinite(log.columns[names["step"]])
    if not both.any() and (step is None or not np.isfinite(log.columns[names["lr"]]).any()):
        return None
    if not both.any() and step is not None:
        names = {**names, "step": step}
    series = _silent_series(log, names, "lr", reading)
    if (series.value < 0).any():
        found = f"{series.value.min():g} in {names['lr']} of {label}"
        fail("lr", "must be >= 0", found, "name the right column, --column lr=NAME")
    return (series.step, series.value) if series.value.any() else None


def _notes(log: Log, names: dict[str, str], losses: Series, unit: str, reading: Reading) -> tuple[str, ...]:
    """Return what was decided: between losses, on units and steps, and between rates."""
    notes = [*log.notes, *losses.notes]
    beside = losses_beside(log, names["loss"])
    if beside:
        other = not is_held_out(names["loss"]) and any(map(is_held_out, beside))
        how = "--column loss=NAME" + (", --validation" if other else "")
        notes.append(f"{names['loss']} was taken; the log also has {', '.join(beside[:4])} ({how})")
    if names["step"] == COUNT and reading.every is None and not any("counted" in note for note in notes):
        notes.append(COUNTED)
    if plain_name(names["step"]) in EPOCHS:
        from_zero = ", counted from 0: laws leave the record at 0 out" if losses.step[0] == 0 else ""
        notes.append(f"steps are epochs{from_zero}")
    if unit:
        notes.append(unit)
    if "lr" in names and (others := [n for n in log.columns if is_rate(n) and n != names["lr"]]):
        notes.append(f"rates are {names['lr']}; the log also has {', '.join(others[:4])} (--column lr=NAME)")
    return tuple(notes)
