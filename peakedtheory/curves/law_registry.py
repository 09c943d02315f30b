"""The one table of the laws that are offered, and the texts that name them."""

from __future__ import annotations

from types import MappingProxyType

from peakedtheory._common.checks import fail
from peakedtheory._common.texts import named_values
from peakedtheory.curves.law import Law, LawFamily
from peakedtheory.curves.law_annealing import MOMENTUM, MULTI_POWER, MULTI_POWER_HELD
from peakedtheory.curves.law_powers import FINITE_BETA_STAR, POWER, POWER_STEPS, TWO_CHANNEL
from peakedtheory.curves.law_student import STUDENT

#: What a text may begin with: the name of a law, or of a family, whose laws need numbers of their own.
_TABLE: dict[str, Law | LawFamily] = {
    entry.name: entry
    for entry in (
        POWER,
        POWER_STEPS,
        FINITE_BETA_STAR,
        TWO_CHANNEL,
        MOMENTUM,
        MULTI_POWER,
        MULTI_POWER_HELD,
        STUDENT,
    )
}

#: Laws that need nothing but a curve, by name; the aligned student also needs n and β*: `student_law`.
LAWS = MappingProxyType({name: entry for name, entry in _TABLE.items() if isinstance(entry, Law)})


def parse_law(text: str | Law) -> Law:
    """Return the law that `text` names.

    Parameters
    ----------
    text : str or Law
        A name in `LAWS`, with parameters to hold after a colon: "power", "power:alpha=1/3",
        "student:n=50304,beta_star=6.97".

    Returns
    -------
    Law

    Raises
    ------
    ValueError
        If the law or a parameter is unknown.

    Examples
    --------
    >>> parse_law("power:alpha=1/3").fixed
    {'alpha': 0.3333333333333333}
    """
    if isinstance(text, Law):
        return text
    head, values = named_values("law", str(text), "alpha=1/3")
    if head not in _TABLE:
        usages = [*LAWS, *(entry.usage for entry in _TABLE.values() if isinstance(entry, LawFamily))]
        fail("law", f"must be one of {', '.join(usages)}", repr(head), "name a law")
    entry = _TABLE[head]
    if isinstance(entry, Law):
        return entry.at(**values)
    constants = {key: values.pop(key) for key in entry.constants if key in values}
    if len(constants) < len(entry.constants):
        fail("law", f"{head} needs {' and '.join(entry.constants)}", repr(text), f"write {entry.example}")
    return entry.make(**constants).at(**values)


def law_name(law: Law) -> str:
    """Return the law's name as `parse_law` reads it, with what is held and what defines it."""
    entry = _TABLE.get(law.name)
    offered = entry.make(**law.constants) if isinstance(entry, LawFamily) else entry
    usual = {} if offered is None else offered.fixed
    held = {key: value for key, value in law.fixed.items() if usual.get(key) != value}
    items = ",".join(f"{key}={value:.6g}" for key, value in {**law.constants, **held}.items())
    return f"{law.name}:{items}" if items else law.name
