"""Several runs in one log: told apart by a column that names them, or by what stands before the columns."""

from __future__ import annotations

import re

import numpy as np

from peakedtheory.curves.logs.names import (
    HELD_OUT,
    STEPS,
    is_any_loss,
    is_loss,
    is_perplexity,
    is_rate,
    is_score,
    plain_name,
    without_envelopes,
)
from peakedtheory.curves.logs.table import Log, Record, as_log

_RUNS = (
    *("run_name", "run", "run_id", "runid", "run_uuid", "experiment_name", "experiment", "exp_name", "exp"),
    *("trial", "trial_id", "model_name", "model", "config", "seed", "name"),
)
_SPLITS = (
    "split",
    "phase",
    "mode",
    "subset",
    "stage",
    "set",
    "dataset",
    "kind",
    "type",
    "event",
    "partition",
)
_TRAIN = {"train", "training", "tr"}
_METRICS = ("metric", "metric_name", "metricname", "key", "tag", "name", "variable", "series", "scalar")
#: More runs than this are no runs, and shorter ones neither.
_MOST_RUNS, _FEWEST = 1000, 3
_VALUES = ("value", "metricvalue", "metric_value")


def runs_in(log: Log) -> dict[str, Log]:
    """Return the runs of a log by name; of one that has a single run, that one under an empty name."""
    log = _split(_pivoted(log))
    return _by_label(log) or _by_prefix(log) or _by_any_column(log) or {"": log}


def _find(log: Log, names: tuple[str, ...], numbers: bool) -> str | None:
    there = {plain_name(name): name for name in (log.columns if numbers else log.labels)}
    return next((there[name] for name in names if name in there), None)


def _pivoted(log: Log) -> Log:
    """Return a table of `metric, step, value` with a column for each metric."""
    metric, value = _find(log, _METRICS, False), _find(log, _VALUES, True)
    if metric is None or value is None or len(set(log.labels[metric])) < 2:
        return log
    others = {name: column for name, column in log.columns.items() if name != value}
    texts = {name: column for name, column in log.labels.items() if name != metric}
    records: list[Record] = []
    for row, (name, entry) in enumerate(zip(log.labels[metric], log.columns[value], strict=True)):
        beside: Record = {key: float(column[row]) for key, column in others.items()}
        words: Record = {key: str(column[row]) for key, column in texts.items() if column[row]}
        records.append({**beside, **words, str(name): float(entry)})
    return as_log(log.kind, records, *log.notes)


def _split(log: Log) -> Log:
    """Return a table whose rows say of which data they are with a column of losses for each."""
    for name, texts in log.labels.items():
        said = {text.lower() for text in texts if text}
        if plain_name(name) not in _SPLITS or len(said) < 2 or not said <= _TRAIN | HELD_OUT:
            continue
        columns: dict[str, np.ndarray] = {}
        for column, values in log.columns.items():
            if not (is_loss(column) or is_perplexity(column) or is_score(column)):
                columns[column] = values
                continue
            for kind in sorted(said):
                here = np.array([text.lower() == kind for text in texts])
                columns[f"{kind}/{column}"] = np.where(here, values, np.nan)
        return log.with_columns(columns)
    return log


def _by_any_column(log: Log) -> dict[str, Log]:
    """Return the rows of each run, where steps begin anew each time that some other column changes."""
    step = next((name for usual in STEPS for name in log.columns if plain_name(name) == usual), None)
    if step is None or not (np.diff(log.columns[step][np.isfinite(log.columns[step])]) < 0).any():
        return {}
    for name in (*log.labels, *log.columns):
        if plain_name(name) in STEPS or is_any_loss(name) or is_rate(name):
            continue
        column = log.labels.get(name, log.columns.get(name))
        values = list(dict.fromkeys(np.asarray(column).tolist()))
        if not 1 < len(values) <= _MOST_RUNS or any(
            value in ("", None) or value != value for value in values
        ):
            continue
        parts = {value: log.columns[step][column == value] for value in values}
        if all(_is_run(part, parts[values[0]]) for part in parts.values()):
            return {
                f"{name}={value:.12g}" if isinstance(value, float) else value: log.rows(column == value)
                for value in values
            }
    return {}


def _is_run(step: np.ndarray, first: np.ndarray) -> bool:
    """Return whether steps increase and begin where those of the first run do."""
    if step.size < _FEWEST or np.isnan(step).any() or (np.diff(step) <= 0).any():
        return False
    return bool(step[0] <= first[1])


def _by_label(log: Log) -> dict[str, Log]:
    """Return the rows of each run, where a column names more than one."""
    names = {plain_name(name): column for name, column in log.labels.items()}
    for name, column in log.columns.items():
        if plain_name(name).rsplit("/", 1)[-1] in _RUNS:
            names.setdefault(plain_name(name), np.array([_text(value) for value in column], dtype=object))
    for usual in _RUNS:
        for name, column in names.items():
            if usual not in (name, name.rsplit("/", 1)[-1]):
                continue
            found = [str(one) for one in dict.fromkeys(column) if one]
            if len(found) > 1 and _repeats(log, column):
                return {one: log.rows(column == one) for one in found}
    return {}


def _text(value: float) -> str:
    return f"{value:.12g}" if np.isfinite(value) else ""


def _repeats(log: Log, label: np.ndarray) -> bool:
    """Return whether steps go back where the label changes, as they do in several runs and not in one."""
    step = next((log.columns[name] for name in log.columns if plain_name(name) in STEPS), None)
    if step is None:
        return True
    there = np.isfinite(step)
    step, label = step[there], label[there]
    changes = label[1:] != label[:-1]
    return bool((np.diff(step)[changes] <= 0).any())


def _by_prefix(log: Log) -> dict[str, Log]:
    """Return the columns of each run, where exports write `run - metric` for more than one."""
    prefixes: dict[str, list[str]] = {}
    for name in without_envelopes(log.columns):
        run, dash, _ = name.rpartition(" - ")
        if dash:
            prefixes.setdefault(re.sub(r"^Group: ", "", run), []).append(name)
    if len(prefixes) < 2:
        return {}
    own = {name for names in prefixes.values() for name in names}
    shared = [name for name in log.columns if name not in own]
    return {
        run: log.with_columns({name: log.columns[name] for name in (*shared, *names)})
        for run, names in prefixes.items()
    }
