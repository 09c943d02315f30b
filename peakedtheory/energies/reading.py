"""Distributions of the i.i.d. energies ε, whose logits are -βε.

Anything that says where low energies lie will do: the standard normal (the default), any distribution of
scipy.stats, finitely many atoms, a sample, a mixture, or Gaussian logits of a network of finite width.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from peakedtheory._common.archives import require_regular
from peakedtheory._common.checks import fail, text_of
from peakedtheory._common.texts import did_you_mean, named_values
from peakedtheory.energies.atoms import Discrete, Sample
from peakedtheory.energies.base import Energies
from peakedtheory.energies.finite_width import FiniteWidth
from peakedtheory.energies.normal import STANDARD_NORMAL, Gaussian
from peakedtheory.energies.scipy_laws import (
    FrozenLaw,
    NewStyleLaw,
    from_frozen,
    from_new_style,
    is_frozen,
    is_new_style,
)

#: Anything that says where low energies lie, as `as_energies` reads it.
EnergiesLike = (
    Energies | str | Mapping[float, float] | Sequence[float] | np.ndarray | FrozenLaw | NewStyleLaw | None
)
#: Weights written with a few digits sum to one within this.
_ROUNDED = 1e-5


def as_energies(energies: EnergiesLike = None) -> Energies:
    """Return the distribution meant by `energies`.

    Parameters
    ----------
    energies : optional
        None for the standard normal; an `Energies`; a frozen or new-style scipy.stats distribution of the
        energy; an array of observed energies; or text for `parse_energies`.

    Returns
    -------
    Energies

    Raises
    ------
    ValueError
        If it is none of these.

    Examples
    --------
    >>> from scipy import stats
    >>> as_energies(stats.norm(loc=1, scale=2)).scale
    2.0
    """
    if energies is None:
        return STANDARD_NORMAL
    if isinstance(energies, Energies):
        return energies
    if isinstance(energies, str):
        return parse_energies(energies)
    if isinstance(energies, (list, tuple, np.ndarray)):
        return Sample(energies)
    if isinstance(energies, Mapping):
        return Discrete(list(energies.keys()), list(energies.values()))
    if is_frozen(energies):
        return from_frozen(energies)
    if is_new_style(energies):
        return from_new_style(energies)
    return fail(
        "energies",
        "must be None, a scipy.stats distribution, an array of energies or a name",
        type(energies).__name__,
        "freeze the distribution, for example scipy.stats.t(df=5)",
    )


def parse_energies(text: str) -> Energies:
    """Return the distribution that `text` names: `laplace`, `t:df=5`, `atoms:0=0.3,1=0.7`, `file.npy`.

    Parameters
    ----------
    text : str
        A scipy.stats name with parameters after a colon; `normal`; `finite-width:m=32`;
        `atoms:` with energy=weight pairs; or a .npy, .csv or .txt file of observed energies.

    Returns
    -------
    Energies

    Raises
    ------
    ValueError
        If the name, a parameter or the file is not known.

    Examples
    --------
    >>> parse_energies("atoms:0=0.3,1=0.7").mean
    0.7
    """
    if Path(text_of("energies", text)).suffix in {".npy", ".csv", ".txt"}:
        return _read_sample(Path(text))
    head, pairs = named_values("energies", text, "t:df=5")
    if head == "atoms":
        try:
            values, weights = [float(k) for k in pairs], list(pairs.values())
        except ValueError:
            fail(
                "energies",
                "atoms takes energy=weight pairs",
                repr(text),
                "write for example atoms:0=0.3,1=0.7",
            )
        return _atoms(values, weights, text)
    if head == "finite-width":
        if set(pairs) != {"m"}:
            fail("energies", "finite-width takes m", text, "write finite-width:m=32")
        return FiniteWidth(pairs["m"])  # type: ignore[arg-type]
    if head in {"normal", "gaussian"} and set(pairs) <= {"loc", "scale"}:
        return Gaussian(pairs.get("loc", 0.0), pairs.get("scale", 1.0)) if pairs else STANDARD_NORMAL
    return _from_name("norm" if head in {"normal", "gaussian"} else head, pairs, text)


def _atoms(values: list[float], weights: list[float], text: str) -> Discrete:
    """Return atoms whose weights are probabilities; weights of another kind are not taken for them."""
    total = sum(weights)
    if values and not (min(weights) >= 0 and 0 < total < math.inf):
        fail(
            "energies", "weights of atoms must be probabilities", repr(text), "write as in atoms:0=0.3,1=0.7"
        )
    if values and abs(total - 1.0) > _ROUNDED:
        scaled = ",".join(f"{v:g}={w / total:.6g}" for v, w in zip(values, weights, strict=True))
        fail(
            "energies", "weights of atoms must sum to one", f"{total:g} in {text!r}", f"write atoms:{scaled}"
        )
    return Discrete(values, weights)


def _from_name(name: str, pairs: dict[str, float], text: str) -> Energies:
    """Freeze the scipy.stats distribution of this name."""
    from scipy import stats  # slow to import

    family = getattr(stats, name, None)
    if not isinstance(family, (stats.rv_continuous, stats.rv_discrete)):
        kinds = (stats.rv_continuous, stats.rv_discrete)
        known = [key for key, value in vars(stats).items() if isinstance(value, kinds)]
        known += ["normal", "atoms", "finite-width"]
        fail(
            "energies",
            "must name a scipy.stats distribution, `atoms:…`, `finite-width:m=…` or a .npy/.csv/.txt file",
            repr(text),
            did_you_mean(
                name, [*known, "normal", "atoms", "finite-width"], "see the list in its documentation"
            ),
        )
    try:
        frozen = family(**pairs)
        with np.errstate(all="ignore"):
            valid = bool(np.isfinite(frozen.ppf(0.5)))
    except TypeError as error:
        valid, reason = False, str(error).replace("_parse_args() ", "")
    else:
        reason = "parameters out of range"
    if not valid:
        known = ", ".join(filter(None, [family.shapes, "loc", "scale"]))
        fail(
            "energies",
            f"{name} takes the parameters {known}",
            f"{text!r} ({reason})",
            "correct the parameters",
        )
    return from_frozen(frozen, text.strip())


def _read_sample(path: Path) -> Sample:
    try:
        require_regular(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's word on files without numbers, which are refused below
            if path.suffix == ".npy":
                with path.open("rb") as stream:
                    values = np.lib.format.read_array(stream, allow_pickle=False)
            else:
                values = np.loadtxt(path, delimiter="," if path.suffix == ".csv" else None, ndmin=1)
    except (OSError, ValueError, TypeError, MemoryError, OverflowError, RecursionError) as error:
        fail(
            "energies",
            "must name a readable file of numbers",
            f"{path} ({error})",
            "check the path and its format",
        )
    return Sample(values, name=str(path))
