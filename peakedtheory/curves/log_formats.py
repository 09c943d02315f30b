"""Training logs as tables: delimited text, JSON and JSON Lines, text logs and TensorBoard event files.

A `Log` has columns in the order of the file. An entry that is not there is NaN; one that was written but is
not a finite number is infinite, so that readers can tell a gap from a diverged run.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory.curves.event_files import scalar_records

_LINE = re.compile(r"\s*(?:s|step|iter|iteration)\s*[:=\s]\s*(\d+)(?:\s*/\s*\d+)?\b")
_NUMBER = r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan\b|inf\b)"
_PAIR = re.compile(rf"([A-Za-z][A-Za-z_/ ]*?)\s*[:=\s]\s*({_NUMBER})[A-Za-z%]*")  # a unit may follow: 12.5ms
_ABSENT = {"", "none", "null", "n/a", "na"}


@dataclass(frozen=True)
class Log:
    """What a file holds.

    Attributes
    ----------
    kind : str
        The format, as messages call it.
    columns : dict of ndarray, each of shape (rows,)
        Numbers by the names they have in the file.
    """

    kind: str
    columns: dict[str, np.ndarray]


def read_log(path: Path) -> Log:
    """Return the table in a file, or in the event files of a folder.

    Raises
    ------
    ValueError
        If there is no such file, or its content is of no known kind.
    """
    if path.is_dir() or ".tfevents." in path.name:
        return _event_log(path)
    if not path.is_file():
        fail("path", "must be a file or a folder of event files", str(path), "check its name")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        fail("path", "must be a text file or a TensorBoard event file", str(path), "export it as CSV or JSON")
    if not text.strip():
        fail("path", "must not be empty", str(path), "check how the log was written")
    if text.lstrip()[0] in "{[":
        return _json_log(text, path)
    # Text logs may open with anything, for example the script that ran.
    if path.suffix not in {".csv", ".tsv"}:
        records = [record for record in map(_text_record, text.splitlines()) if record]
        if records:
            return Log("text log", _table(records))
    return _delimited(text, path)


def _event_log(path: Path) -> Log:
    files = sorted(path.glob("*.tfevents.*")) if path.is_dir() else [path]
    records = [record for file in files for record in scalar_records(file)]
    if not records:
        fail("path", "must hold scalar summaries", f"none in {path}", "name the folder of one run")
    return Log("TensorBoard event file", _table(records))


def _text_record(line: str) -> dict[str, float] | None:
    """Numbers of a line such as `s:40 trl:6.1 lr:0.0001` or `step 250: train loss 4.1, val loss 4.2`."""
    start = _LINE.match(line)
    if start is None:
        return None
    pairs = {name.strip(): _number(value) for name, value in _PAIR.findall(line[start.end() :])}
    return {"step": float(start.group(1)), **pairs} if pairs else None


def _json_log(text: str, path: Path) -> Log:
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        return Log("JSON Lines", _table(map(_flat, _json_lines(text, path))))
    if isinstance(content, dict) and isinstance(content.get("log_history"), list):
        return Log("Hugging Face trainer state", _table(map(_flat, content["log_history"])))
    rows = content if isinstance(content, list) else []
    if rows and all(isinstance(row, list) and len(row) == 3 for row in rows):
        names = ("wall_time", "step", "value")
        scalars = [dict(zip(names, map(_number, row), strict=True)) for row in rows]
        return Log("TensorBoard JSON", _table(scalars))
    if rows and all(isinstance(row, dict) for row in rows):
        return Log("JSON records", _table(map(_flat, rows)))
    columns = _json_columns(content)
    if columns is None:
        rule = "must hold records, columns, or a trainer's log_history"
        fail("path", rule, f"other JSON in {path}", "export the run's history")
    return Log("JSON columns", columns)


def _json_lines(text: str, path: Path) -> list[dict[str, Any]]:
    lines = [(i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
    records: list[dict[str, Any]] = []
    for i, line in lines:
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError
        except ValueError:
            if i == lines[-1][0] and records:
                warnings.warn(f"{path.name}: the last line is cut short and was left out", stacklevel=5)
                break
            fail("path", "must hold one JSON object per line", f"line {i} of {path}", "correct that line")
        records.append(record)
    return records


def _json_columns(content: Any) -> dict[str, np.ndarray] | None:
    """Columns of `{"step": [...], "loss": [...]}`, or with `{row: value}` in place of each list."""
    if not isinstance(content, dict):
        return None
    if content and all(isinstance(value, dict) for value in content.values()):
        rows = list(dict.fromkeys(row for column in content.values() for row in column))
        content = {name: [column.get(row) for row in rows] for name, column in content.items()}
    columns = {
        str(name): np.array([_number(entry) for entry in value])
        for name, value in content.items()
        if isinstance(value, list)
    }
    if not columns or len({column.size for column in columns.values()}) != 1:
        return None
    return columns


def _delimited(text: str, path: Path) -> Log:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        fail("path", "must hold a line of column names", f"only comments in {path}", "check the file")
    head = lines[0]
    delimiter = "\t" if "\t" in head else ";" if head.count(";") > head.count(",") else ","
    if delimiter == "," and "," not in head:
        lines, delimiter = [" ".join(line.split()) for line in lines], " "
    rows = csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter)
    names = [name.strip() for name in next(rows)]
    if len(names) < 2 or any(math.isfinite(_number(name)) for name in names):
        fail("path", "must name its columns in the first line", f"{head[:60]!r} in {path}", "add step,loss,…")
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        fail("path", "must give each column its own name", f"{twice!r} twice in {path}", "rename one")
    values: list[list[float]] = []
    for row in rows:
        values.append([_number(entry) for entry in row[: len(names)]] + [math.nan] * (len(names) - len(row)))
    if not values:
        fail("path", "must have rows below the column names", f"none in {path}", "check how it was written")
    table = np.array(values)
    kind = "tab-separated text" if delimiter == "\t" else "CSV"
    return Log(kind, {name: table[:, i] for i, name in enumerate(names)})


def _flat(record: Any, prefix: str = "") -> dict[str, float]:
    """Return the numbers of nested objects, their names joined by slashes."""
    found: dict[str, float] = {}
    for name, value in (record if isinstance(record, dict) else {}).items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}/")
        else:
            found[prefix + str(name)] = _number(value)
    return found


def _table(records: Iterable[dict[str, float]]) -> dict[str, np.ndarray]:
    rows = list(records)
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: np.array([row.get(name, math.nan) for row in rows]) for name in names}
    return {name: column for name, column in columns.items() if not np.isnan(column).all()}


def _number(entry: Any) -> float:
    if isinstance(entry, bool) or entry is None:
        return math.nan
    if not isinstance(entry, (int, float)):
        text = str(entry).strip()
        if text.lower() in _ABSENT:
            return math.nan
        try:
            entry = float(text)
        except ValueError:
            return math.nan
    return float(entry) if math.isfinite(entry) else math.inf
