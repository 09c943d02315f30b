"""Tables of text: columns with a header, two columns of numbers without one, and `step kind value`."""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory.curves.logs.names import STEPS, is_any_loss, plain_name
from peakedtheory.curves.logs.stepless import COUNT
from peakedtheory.curves.logs.table import Log, Record, as_log, from_columns, number, refuse_wide

_RULE = re.compile(r"[\s|:+-]+")
_TRIPLE = re.compile(r"\s*(\d+)[\s,;]+([A-Za-z]\w*)[\s,;:=]+(\S+)\s*")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
#: A header is no longer.
_LONGEST_HEADER = 100_000
#: Times since 1970 in seconds are beyond this.
_LONG_AGO = 1e9
#: Fewer numbers alone are no log.
_FEWEST = 3
_NAMED = "the table has no header: its {} column was taken for the step, the other for the loss"


def has_header(lines: list[str]) -> bool:
    """Return whether a table begins with names, a step's and a loss's among them."""
    kept = _content(lines[:200])
    if len(kept) < 2:
        return False
    if len(kept[0]) > _LONGEST_HEADER:
        return False
    fields = [field.strip() for field in _fields(kept[0], _delimiter(kept[0]))]
    if any(math.isfinite(number(field)) for field in fields) or not all(fields[1:]):
        return False
    if any(set(field) & set(":=") for field in fields):
        return False
    names = [plain_name(field) for field in fields]
    return any(name.rsplit("/", 1)[-1] in STEPS for name in names) and any(map(is_any_loss, names))


def read_table(lines: list[str], path: Path) -> Log:
    """Return a table whose first line names its columns.

    Raises
    ------
    ValueError
        If it does not, or has no rows.
    """
    lines = _content(lines)
    if not lines:
        fail("path", "must hold a line of column names", f"only comments in {path}", "check the file")
    delimiter = _delimiter(lines[0])
    if delimiter == " ":
        lines = [" ".join(line.split()) for line in lines]
    try:
        rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter))
    except csv.Error as error:
        fail("path", "must be a readable table", f"{error} in {path}", "check how it was written")
    names = [name.strip() for name in rows[0]]
    _check_names(names, lines[0], path)
    commas = delimiter == ";"
    kept = [_row(row, len(names), commas) for row in rows[1:] if [e.strip() for e in row] != names]
    if not kept:
        fail("path", "must have rows below the column names", f"none in {path}", "check how it was written")
    columns = dict(zip(names, zip(*kept, strict=True), strict=True))
    return from_columns("tab-separated text" if delimiter == "\t" else "CSV", columns)


def read_numbers(lines: list[str]) -> Log | None:
    """Return lines of numbers alone, of a step and a loss each or as MLflow writes them; None for others."""
    rows: list[list[float]] = []
    for line in _content(lines):
        rows.append([number(field) for field in re.split(r"[\s,;]+", line.strip())])
        if len(rows[-1]) != len(rows[0]) or any(map(math.isnan, rows[-1])):
            return None
    if not rows:
        return None
    table, width = np.array(rows), len(rows[0])
    counts = [_counts(column) for column in table.T]
    if width == 1 and len(rows) >= _FEWEST:
        return Log("one column without a name", {COUNT: np.arange(1.0, len(rows) + 1.0), "loss": table[:, 0]})
    if width == 2 and sum(counts) == 1:
        step = counts.index(True)
        columns = {"step": table[:, step], "loss": table[:, 1 - step]}
        return Log("two columns without names", columns, {}, (_NAMED.format(("first", "second")[step]),))
    if width == 3:  # MLflow writes time, value and step
        other = [i for i in range(3) if not (table[:, i] > _LONG_AGO).all()]
        steps = [i for i in other if counts[i]]
        if len(other) == 2 and len(steps) == 1:
            (value,) = set(other) - set(steps)
            return Log("time, step and value", {"step": table[:, steps[0]], "value": table[:, value]})
    columns = {str(i + 1): column for i, column in enumerate(table.T)}
    return Log("table without names", columns)


def read_triples(lines: list[str]) -> Log | None:
    """Return lines of the form `step kind value`, None where there are others."""
    records: list[Record] = []
    kept = _content(lines)
    for line in kept:
        found = _TRIPLE.fullmatch(line)
        if found is None or math.isnan(value := number(found[3])):
            return None
        records.append({"step": float(found[1]), found[2]: value})
    return as_log("step, kind and value", records) if records else None


def _content(lines: list[str]) -> list[str]:
    """Return the lines without comments, and those of a table with bars or wide gaps parted by tabs."""
    kept = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if kept and _is_wide(kept):
        return ["\t".join(re.split(r"\s{2,}", line.strip())) for line in kept]
    if not kept or "|" not in kept[0] or re.search(r"\d", kept[0]):
        return kept
    return ["\t".join(line.strip().strip("|").split("|")) for line in kept if not _RULE.fullmatch(line)]


def _is_wide(kept: list[str]) -> bool:
    """Return whether names with blanks in them are parted by wider gaps, and are as many as the numbers."""
    if len(kept) < 2 or set(kept[0]) & set(",;|\t"):
        return False
    count = len(kept[1].split())
    return len(kept[0].split()) != count == len(re.split(r"\s{2,}", kept[0].strip()))


def _delimiter(head: str) -> str:
    if "\t" in head:
        return "\t"
    if head.count(";") > head.count(","):
        return ";"
    return "," if "," in head else " "


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter)) if delimiter != " " else line.split()
    except csv.Error:
        return []


def _check_names(names: list[str], head: str, path: Path) -> None:
    refuse_wide(len(names))
    if len(names) < 2 or any(math.isfinite(number(name)) for name in names):
        fail("path", "must name its columns in the first line", f"{head[:60]!r} in {path}", "add step,loss,…")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            fail("path", "must give each column its own name", f"{name!r} twice in {path}", "rename one")
        seen.add(name)


def _row(row: list[str], width: int, commas: bool) -> list[str]:
    """Return as many fields as there are names."""
    row = [*row[:width], *[""] * (width - len(row))]
    if commas:
        row = [field.replace(",", ".") if _DECIMAL_COMMA.fullmatch(field.strip()) else field for field in row]
    return row


def _counts(column: np.ndarray) -> bool:
    """Return whether a column counts steps."""
    whole = bool((np.isfinite(column) & (column == np.round(column)) & (column >= 0)).all())
    return whole and bool((np.diff(column) > 0).all())
