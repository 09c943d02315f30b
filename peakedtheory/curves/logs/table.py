"""The table that every log becomes: numbers by column, the texts beside them, and what was noticed.

An entry that is not there is NaN; one that was written but is not a finite number is infinite, so that
readers can tell a gap from a diverged run.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from peakedtheory._common.checks import fail

#: What one record holds: numbers, and texts that may name its run.
Record = dict[str, "float | str"]

_ABSENT = {"", "none", "null", "n/a", "na", "-", "--"}
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
#: Objects nested deeper than this are not looked into.
_DEEPEST = 12
#: Wider tables are no logs of a training run.
_MOST_COLUMNS = 10_000


@dataclass(frozen=True)
class Log:
    """What a file holds.

    Attributes
    ----------
    kind : str
        The format, as messages call it.
    columns : dict of ndarray, each of shape (rows,)
        Numbers by the names they have in the file.
    labels : dict of ndarray of str, each of shape (rows,)
        Texts by the names they have in the file; empty where there is none.
    notes : tuple of str
        What the reader had to decide.
    """

    kind: str
    columns: dict[str, np.ndarray]
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def rows(self, chosen: np.ndarray) -> Log:
        """Return the log with some of its rows, and without columns that are empty there."""
        columns = {name: column[chosen] for name, column in self.columns.items()}
        labels = {name: column[chosen] for name, column in self.labels.items()}
        return dataclasses.replace(
            self,
            columns={name: column for name, column in columns.items() if not np.isnan(column).all()},
            labels={name: column for name, column in labels.items() if (column != "").any()},
        )

    def with_columns(self, columns: Mapping[str, np.ndarray], *notes: str) -> Log:
        """Return the log with other columns."""
        return dataclasses.replace(self, columns=dict(columns), notes=(*self.notes, *notes))


def as_log(kind: str, records: Iterable[Record], *notes: str) -> Log:
    """Return the records as a table, without columns that hold nothing."""
    rows = list(records)
    numbers: dict[str, np.ndarray] = {}
    texts: dict[str, np.ndarray] = {}
    for row, record in enumerate(rows):
        for name, value in record.items():
            if isinstance(value, str):
                if name not in texts:
                    texts[name] = np.full(len(rows), "", dtype=object)
                texts[name][row] = value
            elif not math.isnan(value):
                if name not in numbers:
                    numbers[name] = np.full(len(rows), math.nan)
                numbers[name][row] = value
        refuse_wide(len(numbers) + len(texts))
    return Log(kind, _in_one_line(numbers), _in_one_line(texts), notes)


def from_columns(kind: str, columns: Mapping[str, Sequence[Any]]) -> Log:
    """Return columns of entries of one length as a table."""
    numbers: dict[str, np.ndarray] = {}
    texts: dict[str, np.ndarray] = {}
    for name, column in columns.items():
        values = np.array([number(one) for one in column])
        gaps = np.isnan(values)
        if not gaps.all():
            numbers[name] = values
        words = [entry(one) if gap else "" for one, gap in zip(column, gaps, strict=True)]
        found = np.array([word if isinstance(word, str) else "" for word in words], dtype=object)
        if (found != "").any():
            texts[name] = found
    return Log(kind, _in_one_line(numbers), _in_one_line(texts))


def _in_one_line(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return columns whose names fit into messages of one line."""
    return {" ".join(name.split()): column for name, column in columns.items()}


def refuse_wide(columns: int) -> None:
    """Raise ValueError for more columns than a log has."""
    if columns > _MOST_COLUMNS:
        rule = f"must have at most {_MOST_COLUMNS:,} columns"
        fail("path", rule, f"{columns:,}", "export step, loss and rate alone")


def number(entry: Any) -> float:
    """Return an entry of a table as a number: NaN where there is none, infinity where it is not finite."""
    if isinstance(entry, bool) or entry is None:
        return math.nan
    try:
        value = float(_plain(entry) if isinstance(entry, str) else entry)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return math.nan
    return value if math.isfinite(value) else math.inf


def entry(value: Any) -> float | str:
    """Return an entry of a table as a number, or as the text that it is."""
    found = number(value)
    if math.isnan(found) and isinstance(value, str) and value.strip().lower() not in _ABSENT:
        return value.strip()[:200]
    return found


def flat(record: Mapping[Any, Any], prefix: str = "", depth: int = 0) -> Record:
    """Return the entries of nested objects, their names joined by slashes."""
    found: Record = {}
    for name, value in record.items():
        if isinstance(value, dict):
            if depth < _DEEPEST:
                found |= flat(value, f"{prefix}{name}/", depth + 1)
        elif not isinstance(value, list):
            found[f"{prefix}{name}"] = entry(value)
    return found


def _plain(text: str) -> str:
    """Return a number as Python writes it."""
    text = text.strip()
    if text.lower() in _ABSENT:
        return ""
    if "_" in text:
        return ""  # Python would read 1_000, and no log means that
    return text.replace(",", "") if _THOUSANDS.fullmatch(text) else text
