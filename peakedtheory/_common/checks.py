"""Input checks at the border: one line that names the argument, the rule, the value and the remedy."""

from __future__ import annotations

import numbers
from typing import Any, NoReturn

import numpy as np

#: Inverse temperature whose square is still a number.
_COLDEST = 1e150
#: Steps whose rates fit in memory.
MOST_STEPS = 100_000_000


def fail(argument: str, rule: str, value: str, remedy: str) -> NoReturn:
    """Raise ValueError in the one form all messages have."""
    raise ValueError(f"{argument}: {rule}, got {value}; {remedy}")


def real_array(argument: str, value: Any) -> np.ndarray:
    """Return `value` as a float array without NaN; complex, text and empty input is refused."""
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise TypeError
        array = array.astype(float)
    except (TypeError, ValueError):
        fail(argument, "must be real numbers", repr(value)[:60], "pass a float or an array of floats")
    if array.size == 0:
        fail(argument, "must not be empty", f"an array of shape {array.shape}", "pass at least one value")
    if np.isnan(array).any():
        fail(argument, "must not contain NaN", repr(value)[:60], "drop or replace the missing values")
    return array


def real_number(argument: str, value: Any) -> float:
    """Return one number, which may be infinite."""
    array = real_array(argument, value)
    if array.ndim:
        fail(argument, "must be one number", f"an array of shape {array.shape}", "loop over its values")
    return float(array)


def positive_number(argument: str, value: Any) -> float:
    """Return one finite number above zero."""
    number = real_number(argument, value)
    if not 0 < number < np.inf:
        fail(argument, "must be a finite positive number", f"{number:g}", "correct it")
    return number


def whole_number(
    argument: str, value: Any, low: int, high: int | None = None, remedy: str = "correct it"
) -> int:
    """Return one whole number from low to high."""
    if isinstance(value, bool):
        number = np.nan
    elif isinstance(value, numbers.Integral):
        number = int(value)  # exact beyond 2^53
    else:
        number = real_number(argument, value)
    within = low <= number < np.inf if high is None else low <= number <= high
    if not within or number != round(number):
        limits = f">= {low}" if high is None else f"from {low} to {high:.7g}"
        fail(argument, f"must be a whole number {limits}", f"{value}", remedy)
    return int(number)


def number_of_steps(value: Any, argument: str = "steps", minimum: int = 1) -> int:
    """Return the length of a run or of a part of it."""
    return whole_number(argument, value, minimum, MOST_STEPS, "give a number of steps")


def inverse_temperature(value: Any, argument: str = "beta", *, allow_infinite: bool = False) -> np.ndarray:
    """Return inverse temperatures: real, nonnegative, finite unless infinity has a meaning."""
    array = real_array(argument, value)
    if (array < 0).any():
        fail(
            argument,
            "must be >= 0",
            f"{array.min():g}",
            "negative temperatures are not defined here; flip the energies",
        )
    if not allow_infinite and np.isinf(array).any():
        fail(argument, "must be finite", "inf", "use the low-temperature expansion for the limit")
    if (np.isfinite(array) & (array > _COLDEST)).any():
        fail(
            argument,
            f"must be at most {_COLDEST:g}",
            f"{array[np.isfinite(array)].max():g}",
            "use the low-temperature expansion",
        )
    return array


def number_of_energies(value: Any, argument: str = "n") -> np.ndarray:
    """Return counts of energies: whole numbers of at least one, as floats (10^12 is fine)."""
    array = real_array(argument, value)
    if (array < 1).any() or (array != np.round(array)).any() or np.isinf(array).any():
        bad = array[(array < 1) | (array != np.round(array)) | np.isinf(array)].flat[0]
        fail(
            argument,
            "must be whole numbers >= 1",
            f"{bad:g}",
            "n is the number of classes, the vocabulary size",
        )
    if (array > 1e15).any():
        fail(argument, "must be at most 1e15", f"{array.max():g}", "double precision cannot count further")
    return array


def single_number(value: Any, smallest: int = 1) -> int:
    """Return one count of energies."""
    array = number_of_energies(value)
    if array.ndim:
        fail("n", "must be one number", f"an array of shape {array.shape}", "loop over the sizes")
    if array < smallest:
        fail("n", f"must be at least {smallest}", f"{float(array):g}", "one energy has no gap")
    return int(array)


def teacher_temperature(value: Any, *, allow_infinite: bool = True) -> float:
    """Return one β* > 0."""
    star = inverse_temperature(value, "beta_star", allow_infinite=allow_infinite)
    if star.ndim:
        fail("beta_star", "must be one number", f"an array of shape {star.shape}", "loop over teachers")
    if star <= 0:
        fail("beta_star", "must be > 0", f"{float(star):g}", "a teacher at zero has nothing to teach")
    return float(star)
