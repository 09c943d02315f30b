"""Families of learning-rate schedules, as functions of peak and length that refuse what is impossible."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from peakedtheory._common.checks import fail, number_of_steps, real_number, shown, whole_number
from peakedtheory.schedules.clock import Clock


def _rate(value: Any, argument: str, *, zero: bool = False) -> float:
    number = real_number(argument, value)
    if not (number > 0 or (zero and number == 0)) or np.isinf(number):
        fail(
            argument,
            "must be a finite learning rate " + (">= 0" if zero else "> 0"),
            f"{number:g}",
            "give a rate",
        )
    return number


def _text(number: float) -> str:
    """Return the shortest text that stands for the number."""
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


def _progress(steps: int, warmup: int) -> tuple[np.ndarray, np.ndarray]:
    """Warmup factor, and progress u in (0, 1] through the rest, of each step."""
    if warmup >= steps:
        fail("warmup", "must be shorter than the run", f"{warmup} of {steps} steps", "shorten it")
    t = np.arange(1, steps + 1)
    return np.minimum(t / max(warmup, 1), 1.0), np.clip((t - warmup) / (steps - warmup), 0.0, 1.0)


def constant(peak: float, steps: int, warmup: int = 0) -> Clock:
    """Return η_t = peak after a linear warmup.

    Parameters
    ----------
    peak : float
        Highest rate.
    steps, warmup : int
        Length of the run, and of the linear rise from zero at its beginning, which must be shorter.

    Returns
    -------
    Clock
    """
    peak, steps, warmup = _rate(peak, "peak"), number_of_steps(steps), number_of_steps(warmup, "warmup", 0)
    rise, _ = _progress(steps, warmup)
    return Clock(peak * rise, f"constant:peak={_text(peak)},steps={steps},warmup={warmup}")


def power_decay(peak: float, steps: int, power: float = 1.0, warmup: int = 0, final: float = 0.0) -> Clock:
    """Return final + (peak - final)(1 - u)^power after a linear warmup, u the progress through the rest.

    Power 1 is the linear decay. u is that of the middle of each step: none is lost to a rate of zero.

    Parameters
    ----------
    peak, steps, warmup, power, final : float
        As for `constant`; power and final rate are at least 0.

    Returns
    -------
    Clock
    """
    peak, steps, warmup = _rate(peak, "peak"), number_of_steps(steps), number_of_steps(warmup, "warmup", 0)
    final, power = _rate(final, "final", zero=True), real_number("power", power)
    if power < 0:
        fail("power", "must be >= 0", f"{power:g}", "a decay falls")
    rise, u = _progress(steps, warmup)
    u = np.maximum(u - 0.5 / (steps - warmup), 0.0)
    name = f"power:peak={_text(peak)},steps={steps},power={_text(power)},warmup={warmup},final={_text(final)}"
    return Clock(rise * (final + (peak - final) * (1.0 - u) ** power), name)


def warmup_cosine(peak: float, steps: int, warmup: int = 0, final: float = 0.0) -> Clock:
    """Return the half cosine from `peak` to `final` after a linear warmup.

    Parameters
    ----------
    peak, steps, warmup, final : float
        As for `constant`; the last step has the rate `final`, at least 0.

    Returns
    -------
    Clock

    Examples
    --------
    >>> warmup_cosine(1.0, 100, warmup=10, final=0.1).rates[[9, -1]].tolist()
    [1.0, 0.1]
    """
    peak, steps, warmup = _rate(peak, "peak"), number_of_steps(steps), number_of_steps(warmup, "warmup", 0)
    final = _rate(final, "final", zero=True)
    rise, u = _progress(steps, warmup)
    name = f"cosine:peak={_text(peak)},steps={steps},warmup={warmup},final={_text(final)}"
    return Clock(rise * (final + 0.5 * (peak - final) * (1.0 + np.cos(np.pi * u))), name)


def _stable_decay(
    kind: str, shape: Callable, peak: Any, steps: Any, warmup: Any, decay: Any, final: Any
) -> Clock:
    peak, steps, warmup = _rate(peak, "peak"), number_of_steps(steps), number_of_steps(warmup, "warmup", 0)
    final = _rate(final, "final", zero=True)
    length = real_number("decay", decay)
    length = round(length * steps) if 0 < length < 1 else length
    length = number_of_steps(length, "decay")
    if warmup + length > steps:
        fail(
            "decay",
            "must fit behind the warmup",
            f"{warmup} + {length} of {steps} steps",
            "shorten one of them",
        )
    rise, _ = _progress(steps, warmup)
    u = np.clip((np.arange(1, steps + 1) - (steps - length)) / length, 0.0, 1.0)
    name = f"{kind}:peak={_text(peak)},steps={steps},warmup={warmup},decay={length},final={_text(final)}"
    return Clock(rise * (final + (peak - final) * shape(u)), name)


def wsd(peak: float, steps: int, warmup: int = 0, decay: float = 0.2, final: float = 0.0) -> Clock:
    """Return warmup, a stable rate, and a linear decay over the last `decay` steps (or fraction).

    Parameters
    ----------
    peak, steps, warmup, final : float
        As for `warmup_cosine`.
    decay : float
        Steps of the decay, which must fit behind the warmup; below 1, their share of the run.

    Returns
    -------
    Clock
    """
    return _stable_decay("wsd", lambda u: 1.0 - u, peak, steps, warmup, decay, final)


def one_minus_sqrt(peak: float, steps: int, warmup: int = 0, decay: float = 0.2, final: float = 0.0) -> Clock:
    """Return warmup, a stable rate, and a decay as 1 - √u over the last `decay` steps (or fraction).

    Parameters
    ----------
    peak, steps, warmup, decay, final : float
        As for `wsd`.

    Returns
    -------
    Clock
    """
    return _stable_decay("1-sqrt", lambda u: 1.0 - np.sqrt(u), peak, steps, warmup, decay, final)


def hyperbolic(peak: float, steps: int, half: float = 0.01) -> Clock:
    """Return η_t = peak/(1 + u/half), u the fraction of the run that is over: the shape of long anneals.

    Parameters
    ----------
    peak, steps, half : float
        Rate at u = 0, length of the run, and the u at which the rate is half of `peak`.

    Returns
    -------
    Clock
    """
    peak, steps, half = _rate(peak, "peak"), number_of_steps(steps), _rate(half, "half")
    u = (np.arange(1, steps + 1) - 0.5) / steps
    return Clock(peak / (1.0 + u / half), f"hyperbolic:peak={_text(peak)},steps={steps},half={_text(half)}")


def step_list(boundaries: Sequence[tuple[int, float]], steps: int) -> Clock:
    """Return piecewise constant rates from pairs (first step, rate).

    Parameters
    ----------
    boundaries : sequence of (int, float)
        First step, counted from 0, and rate (at least 0) of each piece, in order; the first starts at 0.
    steps : int
        Length of the run.

    Returns
    -------
    Clock

    Raises
    ------
    ValueError
        If the first steps do not ascend from 0 inside the run, or no rate is positive.

    Examples
    --------
    >>> step_list([(0, 1.0), (2, 0.1)], 4).rates.tolist()
    [1.0, 1.0, 0.1, 0.1]
    """
    steps = number_of_steps(steps)
    try:
        listed = [(a, b) for a, b in boundaries]
    except (TypeError, ValueError):
        fail("schedule", "must list pairs (first step, rate)", shown(boundaries), "write (0, rate), …")
    pairs = [(whole_number("schedule", a, 0), _rate(b, "schedule", zero=True)) for a, b in listed]
    starts = [a for a, _ in pairs]
    if not pairs or starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] >= steps:
        fail(
            "schedule",
            "must list ascending first steps from 0, inside the run",
            f"{starts}",
            "write (0, rate), …",
        )
    which = np.searchsorted(starts, np.arange(steps), side="right") - 1
    name = "steps:" + ",".join(f"{a}={_text(b)}" for a, b in pairs) + f",steps={steps}"
    return Clock(np.array([b for _, b in pairs])[which], name)


#: What texts stand for: a function, and the names it takes.
BUILDERS: dict[str, tuple[Callable[..., Clock], set[str]]] = {
    "constant": (constant, {"peak", "steps", "warmup"}),
    "linear": (power_decay, {"peak", "steps", "warmup", "final"}),
    "power": (power_decay, {"peak", "steps", "power", "warmup", "final"}),
    "square": (functools.partial(power_decay, power=2.0), {"peak", "steps", "warmup", "final"}),
    "quartic": (functools.partial(power_decay, power=4.0), {"peak", "steps", "warmup", "final"}),
    "cosine": (warmup_cosine, {"peak", "steps", "warmup", "final"}),
    "wsd": (wsd, {"peak", "steps", "warmup", "decay", "final"}),
    "1-sqrt": (one_minus_sqrt, {"peak", "steps", "warmup", "decay", "final"}),
    "hyperbolic": (hyperbolic, {"peak", "steps", "half"}),
}
