"""JSON in the shapes that trainers and trackers export: records, columns, series by step, and nested ones."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peakedtheory._common.checks import fail
from peakedtheory.curves.logs.names import HELD_OUT, STEPS, plain_name, tokens
from peakedtheory.curves.logs.stepless import COUNT
from peakedtheory.curves.logs.table import Log, Record, as_log, entry, flat, number

_DEEPEST = 12
#: What trackers call the steps and the values of a series.
_PLACES, _HEIGHTS = ("steps", "iters", "step", "x", "epochs"), ("values", "value", "y")
#: Parts of a path that say nothing of what a series is.
_SILENT = {"values", "value", "data", "history", "metrics", "points", "scalars", "results", "logs"}


def read_json(text: str, path: Path) -> Log | None:
    """Return what JSON or JSON Lines hold; None where the text is neither.

    Raises
    ------
    ValueError
        If it is JSON of another shape.
    """
    try:
        content = json.loads(text)
    except RecursionError:
        fail("path", "must be JSON of a few levels", f"deeper nesting in {path}", "export the run's history")
    except ValueError:
        return _json_lines(text, path)
    if isinstance(content, dict) and isinstance(content.get("log_history"), list):
        return as_log("Hugging Face trainer state", _records(content["log_history"]))
    if isinstance(content, list) and content:
        return _from_list(content, path)
    blocks = list(_blocks(content, ()))
    if not blocks:
        rule = "must hold records, columns, or a trainer's log_history"
        fail("path", rule, f"other JSON in {path}", "export the run's history")
    return _joined(blocks)


def _json_lines(text: str, path: Path) -> Log | None:
    lines = [(i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
    records: list[Any] = []
    for i, line in lines:
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError
        except (ValueError, RecursionError):
            if not records:
                return None
            if i == lines[-1][0]:
                warnings.warn(f"{path.name}: the last line is cut short and was left out", stacklevel=6)
                break
            fail("path", "must hold one JSON object per line", f"line {i} of {path}", "correct that line")
        records.append(record)
    return as_log("JSON Lines", _records(records))


def _from_list(content: list[Any], path: Path) -> Log:
    if all(isinstance(row, list) and len(row) == 3 for row in content):
        names = ("wall_time", "step", "value")
        rows = [dict(zip(names, map(number, row), strict=True)) for row in content]
        return as_log("TensorBoard JSON", rows)  # type: ignore[arg-type]
    if all(isinstance(row, list) and len(row) == 2 for row in content):
        pairs = [{"step": number(step), "loss": number(loss)} for step, loss in content]
        return as_log("JSON pairs", pairs, "pairs were taken for step and loss")  # type: ignore[arg-type]
    if all(isinstance(row, dict) for row in content):
        if any(_named_series(row, ()) for row in content):
            return _joined(list(_blocks(content, ())))
        return as_log("JSON records", _records(content))
    rule = "must hold records, columns, or a trainer's log_history"
    return fail("path", rule, f"other JSON in {path}", "export the run's history")


def _records(rows: list[Any]) -> Iterator[Record]:
    """Yield flat records; of one that holds a whole run, a record for each of its steps."""
    for row in rows:
        if not isinstance(row, dict):
            continue
        lists = {k: v for k, v in row.items() if _is_series(v)}
        sizes = {len(v) for k, v in lists.items() if plain_name(str(k)) in STEPS}
        if len(sizes) != 1:
            yield flat(row)
            continue
        long = {str(k): v for k, v in lists.items() if len(v) in sizes}
        texts = {
            name: value for name, value in flat(row).items() if isinstance(value, str) and name not in long
        }
        for values in zip(*long.values(), strict=True):
            yield {**texts, **{name: number(value) for name, value in zip(long, values, strict=True)}}


def _is_series(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and not isinstance(value[0], (list, dict))


def _blocks(content: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[Record]]]:
    """Yield the tables inside nested objects, each with where it lies."""
    if isinstance(content, list) and content and all(isinstance(row, list) for row in content):
        for row in content if len(place) < _DEEPEST else ():
            yield from _blocks(row, (*place, "values"))
    if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
        if any(_named_series(row, ()) for row in content):
            for row in content:
                yield from _blocks(row, place)
        else:
            yield place, list(_records(content))
    if not isinstance(content, dict) or not content or len(place) > _DEEPEST:
        return
    if series := _named_series(content, place):
        yield place[:-1], series
        return
    numbered = all(re.fullmatch(r"\d{1,15}", str(key)) for key in content)
    if numbered and not any(isinstance(value, (dict, list)) for value in content.values()):
        spoken = [part for part in place if part not in _SILENT]
        name = spoken.pop() if spoken else "loss"
        yield tuple(spoken), [{"step": number(key), name: number(value)} for key, value in content.items()]
        return
    if numbered and all(isinstance(value, dict) for value in content.values()):
        yield place, [{"step": number(key), **flat(value)} for key, value in content.items()]
        return
    if (columns := _frame(content)) is not None:
        yield place, columns
        return
    yield from _columns(content, place)
    for key, value in content.items():
        yield from _blocks(value, (*place, str(key)))


def _named_series(content: dict[Any, Any], place: tuple[str, ...]) -> list[Record] | None:
    """Return the records of an object with a name, places and values of one series, None for others."""
    x = next((content[key] for key in _PLACES if _is_series(content.get(key))), None)
    y = next((content[key] for key in _HEIGHTS if _is_series(content.get(key))), None)
    if x is None or y is None or len(x) != len(y):
        return None
    own = content.get("name", content.get("key"))
    context = content.get("context")
    subset = context.get("subset") if isinstance(context, dict) else None
    parts = [str(part) for part in (subset, *place[-2:], own) if part and str(part) not in _SILENT]
    name = "/".join(dict.fromkeys(parts)) or "loss"
    return [{"step": number(s), name: number(v)} for s, v in zip(x, y, strict=True)]


def _frame(content: dict[Any, Any]) -> list[Record] | None:
    """Return the rows of `{column: {row: value}}`, which pandas writes, None for other objects."""
    columns = {str(name): column for name, column in content.items() if isinstance(column, dict)}
    if len(columns) < len(content) or not any(plain_name(name) in STEPS for name in columns):
        return None
    if any(isinstance(value, (dict, list)) for column in columns.values() for value in column.values()):
        return None
    rows = dict.fromkeys(row for column in columns.values() for row in column)
    return [{name: entry(column[row]) for name, column in columns.items() if row in column} for row in rows]


def _columns(
    content: dict[Any, Any], place: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], list[Record]]]:
    """Yield the rows of lists of one length, and count them where none of them counts steps."""
    series = {str(name): value for name, value in content.items() if _is_series(value)}
    for size in dict.fromkeys(map(len, series.values())):
        alike = {name: value for name, value in series.items() if len(value) == size}
        rows: list[Record] = [
            dict(zip(alike, map(entry, row), strict=True)) for row in zip(*alike.values(), strict=True)
        ]
        if not any(plain_name(name) in STEPS for name in alike):
            rows = [{COUNT: float(i), **row} for i, row in enumerate(rows, 1)]
        yield place, rows


def _are_runs(blocks: list[tuple[tuple[str, ...], list[Record]]], shared: int) -> bool:
    """Return whether blocks hold the same columns under names that speak of no data."""
    names = [place[shared] if len(place) > shared else "" for place, _ in blocks]
    same = all(rows[0].keys() == blocks[0][1][0].keys() for _, rows in blocks)
    return same and all(names) and len(set(names)) == len(names) and not any(map(_speaks_of_data, names))


def _speaks_of_data(name: str) -> bool:
    return bool(tokens(name) & (HELD_OUT | {"train", "training"})) or name in _SILENT


def _joined(blocks: list[tuple[tuple[str, ...], list[Record]]]) -> Log:
    """Return blocks as one table; where there are several, names say where they lie, save those of steps."""
    places = [place for place, _ in blocks]
    shared = next(
        (i for i, parts in enumerate(zip(*places, strict=False)) if len(set(parts)) > 1),
        min(map(len, places)),
    )
    records: list[Record] = []
    if len(blocks) > 1 and _are_runs(blocks, shared):
        named = [("/".join(place[shared:]), rows) for place, rows in blocks]
        return as_log("JSON columns", [{"run": name, **row} for name, rows in named for row in rows])
    for place, rows in blocks:
        prefix = "/".join(part for part in place[shared:] if part not in _SILENT)
        records += [
            {
                k if not prefix or k == COUNT or plain_name(k) in STEPS else f"{prefix}/{k}": v
                for k, v in row.items()
            }
            for row in rows
        ]
    return as_log("JSON columns", records)
