"""Input checks at the border: one line that names the argument, the rule, the value and the remedy."""

from __future__ import annotations

import numbers
import reprlib
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

#: Inverse temperature whose square is still a number.
_COLDEST = 1e150
#: Teachers hotter than this teach differences that are lost in rounding.
_HOTTEST = 1e-100
#: Steps whose rates fit in memory.
MOST_STEPS = 100_000_000
#: Whole numbers beyond are not counted with.
_MOST = 2**63 - 1
#: Characters of a value in a message: its beginning and its end.
_BEGINNING, _END = 160, 80
#: What the many things that are no arrays of numbers raise when they are taken for one.
_NO_NUMBERS = (TypeError, ValueError, RuntimeError, OverflowError, AttributeError, MemoryError)

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 60


def fail(argument: str, rule: str, value: str, remedy: str) -> NoReturn:
    """Raise ValueError in the one form all messages have: one line, of a length that can be read."""
    raise ValueError(f"{one_line(argument)}: {rule}, got {one_line(value)}; {remedy}")


def one_line(text: str) -> str:
    """Return `text` on one line, without its middle where it is long."""
    if len(text) > 10 * _BEGINNING:
        text = text[: 2 * _BEGINNING] + " … " + text[-2 * _END :]
    text = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return text if len(text) <= _BEGINNING + _END else f"{text[:_BEGINNING]} … {text[-_END:]}"


def shown(value: Any) -> str:
    """Return what a message says of a value, however large it is."""
    return _short.repr(value)


def real_array(argument: str, value: Any) -> np.ndarray:
    """Return `value` as a float array without NaN.

    Complex numbers, text, empty input and masked entries are refused.
    """
    if np.ma.is_masked(value):
        fail(argument, "must not have masked entries", shown(value), "drop them, as .compressed() does")
    try:
        array = _floats(value)
    except _NO_NUMBERS:
        fail(argument, "must be real numbers", shown(value), "pass a float or an array of floats")
    if array.size == 0:
        fail(argument, "must not be empty", f"an array of shape {array.shape}", "pass at least one value")
    if np.isnan(array).any():
        fail(argument, "must not contain NaN", shown(value), "drop or replace the missing values")
    return array


def _floats(value: Any) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind == "O" and not all(isinstance(v, numbers.Real) for v in array.flat):
        raise TypeError
    if array.dtype.kind not in "biufO":
        raise TypeError
    with np.errstate(over="ignore"):  # longer numbers may be infinite here
        return array.astype(float)


def real_number(argument: str, value: Any) -> float:
    """Return one number, which may be infinite."""
    array = real_array(argument, value)
    if array.ndim:
        fail(argument, "must be one number", f"an array of shape {array.shape}", "loop over its values")
    return float(array)


def text_of(argument: str, value: Any) -> str:
    """Return a text."""
    if not isinstance(value, str):
        fail(argument, "must be text", shown(value), "pass a str")
    return value


def confidence(level: Any) -> float:
    """Return the share of cases that an interval holds."""
    number = real_number("level", level)
    if not 0.0 < number < 1.0:
        fail("level", "must lie between 0 and 1", f"{number:g}", "0.95 is common")
    return number


def generator_of(argument: str, value: Any) -> np.random.Generator:
    """Return the generator that an integer, a seed sequence or a generator stands for."""
    try:
        return np.random.default_rng(value)
    except (TypeError, ValueError):
        remedy = "pass an integer"
        fail(
            argument,
            "must be None, an integer >= 0, or a NumPy seed sequence or generator",
            shown(value),
            remedy,
        )


def flag(argument: str, value: Any) -> bool:
    """Return True or False, which numbers do not stand for."""
    if not isinstance(value, (bool, np.bool_)):
        fail(argument, "must be True or False", shown(value), "pass one of them")
    return bool(value)


def path_of(argument: str, value: Any) -> Path | None:
    """Return a path; None stays None."""
    if value is None:
        return None
    try:
        path = Path(value)
    except TypeError:
        fail(argument, "must be a path", shown(value), "pass a str or a Path")
    if "\0" in str(path):
        fail(argument, "must be a path", shown(value), "drop the NUL character")
    return path


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
    if isinstance(value, (bool, np.bool_)):
        number = np.nan
    elif isinstance(value, numbers.Integral):
        number = int(value)  # exact beyond 2^53
    else:
        number = real_number(argument, value)
    most = _MOST if high is None else high
    if not low <= number <= most or number != round(number):
        limits = f">= {low}" if high is None and not number > most else f"from {low} to {most:.7g}"
        fail(argument, f"must be a whole number {limits}", shown(value), remedy)
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


def require_teachers(stars: np.ndarray) -> None:
    """Refuse β* that teach nothing, or nothing that can be told from it."""
    if (stars <= 0).any():
        fail("beta_star", "must be > 0", f"{stars.min():g}", "a teacher at zero has nothing to teach")
    if (stars < _HOTTEST).any():
        fail("beta_star", f"must be at least {_HOTTEST:g}", f"{stars.min():g}", "take a colder teacher")


def teacher_temperature(value: Any, *, allow_infinite: bool = True) -> float:
    """Return one β* > 0."""
    star = inverse_temperature(value, "beta_star", allow_infinite=allow_infinite)
    if star.ndim:
        fail("beta_star", "must be one number", f"an array of shape {star.shape}", "loop over teachers")
    require_teachers(star)
    return float(star)
