"""Consoles: lines for people, in which numbers have names and a count of steps says where the run is.

A line with a step and other numbers is a record. A heading with a step alone, `[step=1/1000]`, takes the
indented lines below it. Progress bars give steps as n/N, and an epoch holds for the lines after it. Where
losses are written without any step, `logs.stepless` finds them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from peakedtheory.curves.logs.lines import pairs, said, step_name
from peakedtheory.curves.logs.names import (
    EPOCHS,
    HELD_OUT,
    is_bare,
    is_held_out,
    is_loss,
    is_perplexity,
    plain_name,
    tokens,
)
from peakedtheory.curves.logs.stepless import Stepless, without_steps
from peakedtheory.curves.logs.table import Log, Record, as_log, flat, number

_HEADING = re.compile(r"\[[^\]]{0,200}(?:step|batch|iteration)=\d", re.IGNORECASE)
#: Keras's bar within an epoch shows means over the epoch so far.
_RUNNING_MEAN = re.compile(r"[\s\x08]*(\d+)/(\d+) *(?:\[[=>.]+\]|\x1b|━)")
#: Units of progress bars that say a count instead of n/N.
_COUNTED_BY = {"it": 1.0, "kit": 1e3}
#: A line that holds one entry of an object or of an upright table.
_ENTRY = re.compile(
    r"[\s{,|]*[\"']?([A-Za-z_][\w/ .-]*?)[\"']?\s*[:|]\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?|nan|inf|NaN)[\s,}|]*"
)
_DIGIT = re.compile(r"\d")
_BRACKETS = re.compile(r"\[(\d+)\]")
_MOST_BARS = 20
_REMEMBERED = 10_000
_LONGEST_OBJECT, _LONGEST_ENTRY = 100_000, 200


class Step(NamedTuple):
    """Where a line says that the run is."""

    name: str
    value: float
    total: float | None


def read_console(lines: Iterable[str]) -> Log | None:
    """Return the records of a console, None where no line has both a step and a loss."""
    console = _Console()
    for line in lines:
        console.take(line)
    return console.log()


class _Console:
    """What has been read so far: records, and the step and epoch that hold for the next lines."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.by_epoch: list[Record] = []
        self.without: list[Stepless] = []
        self.heading: Record | None = None
        self.block: Record = {}
        self.last: Record = {}
        self.epoch: float | None = None
        self.bars: dict[float, float] = {}
        self.settings: dict[str, float] = {}

    def take(self, line: str) -> None:
        """Read one line."""
        single = _ENTRY.fullmatch(line) if len(line) <= _LONGEST_ENTRY else None
        if single and self.heading is None:
            self._take_entry(single[1], number(single[2]))
            return
        self._end_block()
        if ":::MLLOG" in line:
            self._take_event(_embedded(line))
            return
        if (progress := _RUNNING_MEAN.match(line)) and progress[1] != progress[2]:
            return
        record, step, bar = _record(line) if _speaks(line) else ({}, None, None)
        if self.heading is not None and record and step is None and line[:1].isspace():
            self.heading |= {name: value for name, value in record.items() if name not in self.heading}
            return
        self.heading = None
        if step is not None or bar is not None:
            self._take_record(line, record, step or bar)
        elif record:
            self._take_without_step(line, record)

    def log(self) -> Log | None:
        """Return what was read as a table."""
        self._end_block()
        if any(is_loss(name) or is_bare(name) for record in self.records for name in record):
            return as_log("text log", self.records)
        epochs = [value for record in self.by_epoch for key, value in record.items() if _is_epoch(key)]
        if epochs and all(isinstance(value, float) and value.is_integer() for value in epochs):
            return as_log("text log", self.by_epoch)
        return without_steps(self.without, self.bars)

    def _take_entry(self, name: str, value: float) -> None:
        if name in self.block:
            self._end_block()
        self.block[name] = value

    def _end_block(self) -> None:
        """Take the entries of the last lines for a record, if there is a step or a loss among them."""
        block, self.block = self.block, {}
        if not block:
            return
        names = {name: short for name in block if (short := step_name(name)) and not _is_epoch(short)}
        if names and any(map(is_loss, block)):
            self.records.append({names.get(name, name): value for name, value in block.items()})
        elif not names:
            self._take_without_step("", block)

    def _take_record(self, line: str, record: Record, step: Step | None) -> None:
        if step is None:
            return
        at: Record = {step.name: step.value}
        if step.total is not None:
            at[of(step.name)] = step.total
            if not any(map(is_loss, record)):
                self._remember_bar(step.total, step.value)
        if self.epoch is not None and not any(map(_is_epoch, record)):
            at["epoch"] = self.epoch
        self._remember_epoch(record)
        whole = {**at, **record}
        if _HEADING.search(line) and not any(map(is_loss, record)):
            self.heading = whole
        if self.heading is whole or any(not _is_epoch(name) for name in record):
            self.records.append(whole)
            self.last = {**at, **{name: value for name, value in record.items() if _is_epoch(name)}}

    def _take_without_step(self, line: str, record: Record) -> None:
        if not any(map(is_loss, record)):
            self._remember_epoch(record)
            return
        held_out: Record = {k: v for k, v in record.items() if is_loss(k) and is_held_out(k)}
        if held_out and self.last:
            self.records.append({**self.last, **held_out})
        self.without.append(Stepless(record, dict(self.bars), _in_brackets(line)))
        if any(map(_is_epoch, record)):
            self.by_epoch.append(record)

    def _remember_bar(self, total: float, value: float) -> None:
        self.bars.pop(total, None)
        self.bars[total] = value
        if len(self.bars) > _MOST_BARS:
            del self.bars[next(iter(self.bars))]

    def _remember_epoch(self, record: Record) -> None:
        for key, value in record.items():
            if _is_epoch(key) and isinstance(value, float) and value.is_integer():
                self.epoch = value

    def _take_event(self, event: dict[str, Any] | None) -> None:
        """Read an event of MLPerf's logs, which count samples and call the loss an accuracy."""
        if event is None:
            return
        key, value, about = str(event.get("key")), event.get("value"), event.get("metadata")
        place = flat(about) if isinstance(about, dict) else {}
        numbers = flat(value) if isinstance(value, dict) else flat({key: value})
        step, samples = place.get("step"), place.get("samples_count")
        batch = self.settings.get("global_batch_size")
        if not isinstance(step, float) and isinstance(samples, float) and batch:
            step = samples / batch
        if not isinstance(step, float):
            self.settings |= {
                name: one for name, one in numbers.items() if isinstance(one, float) and one > 0
            }
            return
        loss = numbers.pop("eval_accuracy", None)
        if isinstance(loss, float):  # of a language model its log perplexity
            numbers["eval_accuracy" if loss <= 1.0 else "eval_loss"] = loss
        self.records.append({"step": step, **numbers})


def of(step: str) -> str:
    """Return the name of the column that says of how many steps a line has counted."""
    return f"{step} (of)"


def _speaks(line: str) -> bool:
    return _DIGIT.search(line) is not None or "nan" in line.lower()


def _in_brackets(line: str) -> float | None:
    found = _BRACKETS.search(line)
    return float(found[1]) if found else None


def _is_epoch(name: str) -> bool:
    return plain_name(name) in EPOCHS


def _record(line: str) -> tuple[Record, Step | None, Step | None]:
    """Return the numbers of a line, its step by name, and its progress n/N, which has no name."""
    if '{"' in line and (content := _embedded(line)) is not None:
        inner = flat(content)
        outer, step, bar = _record(line[: line.index('{"')])
        return {**outer, **inner}, _step_in(inner) or step, bar
    record: Record = {}
    step = bar = None
    held_out = training = False
    for pair in pairs(line):
        name = step_name(pair.name)
        spoken = said(pair.words, "" if name else pair.name)
        held_out, training = held_out or spoken[0], training or spoken[1]
        elsewhere = held_out and not training
        if name and step is None and not _is_epoch(name) and pair.unit != "%":
            step = Step(name, pair.value * (1e3 if pair.unit == "k" else 1.0), pair.total)
        elif (scale := _COUNTED_BY.get(pair.unit)) and bar is None and not elsewhere:
            bar = Step("step", pair.value * scale, None)
        elif pair.name:
            record.setdefault(_of(name or pair.name, elsewhere), pair.value)
        elif pair.total is not None and bar is None and not elsewhere:
            bar = Step("step", pair.value, pair.total)
    return record, step, bar


def _step_in(record: Record) -> Step | None:
    """Return the count of steps among the numbers of an object."""
    for key, value in record.items():
        if isinstance(value, float) and plain_name(key).endswith("num_updates"):
            return Step("num_updates", value, None)
    for key, value in record.items():
        unlike = _is_epoch(key) or plain_name(key) in ("update", "updates")  # fractions of an epoch
        if isinstance(value, float) and step_name(key) and not unlike:
            return Step(key, value, None)
    return None


@lru_cache(_REMEMBERED)
def _of(name: str, held_out: bool) -> str:
    """Return a name with what the line said before it: that its data are held out."""
    if not held_out or tokens(name) & (HELD_OUT | {"train", "training"}):
        return name
    return f"validation/{name}" if is_loss(name) or is_perplexity(name) else name


def _embedded(line: str) -> dict[str, Any] | None:
    """Return the JSON object in a line; of one that was cut short, its complete entries."""
    start, end = line.find("{"), line.rfind("}")
    if start < 0 or len(line) > _LONGEST_OBJECT:
        return None
    whole = line[start : end + 1] if end > start else ""
    for text in (whole, _closed(line[start:])):
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(content, dict):
            return content
    return None


def _closed(text: str) -> str:
    """Return an object that was cut short, up to its last comma, with its braces closed."""
    text = text[: text.rfind(",")]
    return text + "}" * max(text.count("{") - text.count("}"), 0)
