"""One line of a console: the numbers in it, each with the name that stands before it.

A name is what stands between two numbers, behind the last bar, comma, bracket or dash; so lines of any
trainer come apart in one pass, in a time that grows only with their length.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from peakedtheory.curves.logs.names import HELD_OUT, is_loss, is_step, plain_name

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_STAMP = re.compile(
    r"\d{4}[-/]\d{2}[-/]\d{2}(?:[T ]+\d{2}:\d{2}(?::\d{2})?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)?"
    r"|\b\d{1,2}/\d{1,2}(?:/\d{2,4})? +\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?"
    r"|(?<![\d.])\d{1,3}:\d{2}(?::\d{2})?(?:[.,]\d+)?(?![\d:])"
)
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_GROUP = re.compile(r"\s*\(group (\d+)\)")
_WRAPPED = re.compile(r"\b(?:tensor|Tensor|array|Array|DeviceArray|np\.float\d+|float)\(")
_NUMBER = re.compile(
    r"(?<![\w.])(?P<value>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
    r"(?:\s*(?:/|\bof\b)\s*(?P<total>\d+)(?![\w.]))?"
    r"(?P<suffix>[KMBT](?![A-Za-z]))?(?P<unit>[A-Za-z%µ]*(?:/[A-Za-z]+)?)"
    r"|(?<![\w.])[-+]?(?P<word>(?i:nan|inf(?:inity)?))(?!\w)"
)
_SPLIT = re.compile(r"[|,;\[\]{}<>\"#*•━█]|(?<!\w)'|'(?!\w)| - |\t|\s{2,}|:\s|\.\s")
_WORD = re.compile(r"(?<![\w./-])[a-z]+(?![\w./-])")
_FACTOR = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
#: What may stand before the word for a step.
_BEFORE_STEPS = (
    HELD_OUT
    | {"completed", "finished", "at", "after", "train", "training", "trainer", "global"}
    | {*("current", "optimizer", "opt", "the", "loss", "info", "in", "on", "main")}
)
_LONGEST_LINE, _LONGEST_GAP = 20_000, 200
#: Names and what stands between numbers come again in every line.
_REMEMBERED = 10_000


class Pair(NamedTuple):
    """A number of a line: its name, of how many it is one, the words before it, and its unit."""

    name: str
    value: float
    total: float | None
    words: str
    unit: str


def pairs(line: str) -> list[Pair]:
    """Return the numbers of a line and their names, which may be empty."""
    text = _COLOUR.sub("", line[:_LONGEST_LINE]) if "\x1b" in line else line[:_LONGEST_LINE]
    text = _STAMP.sub(" ", text)
    if "(" in text:
        text = _WRAPPED.sub("", _GROUP.sub(r"_group\1", text))
    if "," in text:
        text = _THOUSANDS.sub(lambda found: found.group().replace(",", ""), text)
    found: list[Pair] = []
    end = 0
    for match in _NUMBER.finditer(text):
        gap = text[max(end, match.start() - _LONGEST_GAP) : match.start()]
        name = _name(gap)
        if match["word"] and not (gap.rstrip()[-1:] in {":", "="} or is_loss(name)):
            continue
        end = match.end()
        total = float(match["total"]) if match["total"] else None
        found.append(Pair(name, _value(match), total, gap, match["unit"] or ""))
    return found


@lru_cache(_REMEMBERED)
def step_name(name: str) -> str | None:
    """Return the name of a count of steps without what stands before it, None for any other name."""
    name = re.sub(r"\(train(?:ing)?\)?$| (?:number|no|index|idx)$|^@ ", "", name)
    if is_step(name):
        return name
    words = name.split()
    if len(words) < 2 or not is_step(words[-1]) or plain_name(words[-1]) in {"s", "it", "up"}:
        return None
    before = {word.strip(":()").lower() for word in words[:-1]}
    if plain_name(words[-1]).startswith("batch") and before & HELD_OUT:
        return None  # a count within the held-out data
    return words[-1] if before <= _BEFORE_STEPS else None


@lru_cache(_REMEMBERED)
def said(words: str, name: str = "") -> tuple[bool, bool]:
    """Return whether words, without a name in them, speak of held-out data, and whether of training."""
    found = set(_WORD.findall(words.replace(name, " ", 1).lower() if name else words.lower()))
    return bool(found & (HELD_OUT - {"dev"})), bool(found & {"train", "training"})


def _value(match: re.Match[str]) -> float:
    if match["word"]:
        return float("inf")
    value = float(match["value"]) * _FACTOR.get(match["suffix"] or "", 1.0)
    return value if abs(value) < float("inf") else float("inf")


@lru_cache(_REMEMBERED)
def _name(gap: str) -> str:
    """Return what stands before a number, from the last sign that parts it from what came earlier."""
    text = gap.rstrip(" \t:=\"'([{<>~≈-")
    name = _SPLIT.split(text)[-1].rsplit(":", 1)[-1].strip(" \t:=\"')(]-")
    return name if len(name) <= 60 else ""
