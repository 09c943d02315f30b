"""Texts of the form `name:key=value,key=value`, which name energies, schedules and laws."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable

from peakedtheory._common.checks import fail, text_of


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """Return a remedy: the known word that is nearest, if one is near, and what to do `otherwise`."""
    near = difflib.get_close_matches(word[:100], list(known), n=1)
    return f"did you mean {near[0]}?" if near else otherwise


def named_values(argument: str, text: str, example: str) -> tuple[str, dict[str, float]]:
    """Return the name and the values of `text`, in the order in which they stand.

    Parameters
    ----------
    argument : str
        What the text was given as, for messages.
    text : str
        Numbers may be fractions, as in alpha=1/3.
    example : str
        A parameter as it should be written.

    Raises
    ------
    ValueError
        If it is no text, or a parameter is no pair of a name and a number, or given twice.
    """
    text_of(argument, text)
    head, _, tail = text.strip().partition(":")
    values: dict[str, float] = {}
    for item in filter(None, (part.strip() for part in tail.split(","))):
        key, _, number = (part.strip() for part in item.partition("="))
        value = _number(number)
        if not key or math.isnan(value):
            fail(argument, "must list parameters as name=number", repr(item), f"write for example {example}")
        if key in values:
            fail(argument, "must give each parameter once", f"{key} twice in {text!r}", "drop one of them")
        values[key] = value
    return head, values


def _number(text: str) -> float:
    """Return the number or fraction, NaN for anything else."""
    top, slash, bottom = text.partition("/")
    try:
        return float(top) / float(bottom) if slash else float(top)
    except (ValueError, ZeroDivisionError):
        return math.nan
