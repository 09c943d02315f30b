"""One training run of a student beside its teacher, as data: what `train` stacks and trains at once.

Teacher and student are linear: y* = W* x, y = W x, with n classes and m inputs. Entries of W* are uniform on
±1/√m divided by a temperature T, so that the teacher's inverse temperature is β* = 1/(√3 T) (Liu et al. 2026,
Sec. B.2).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from peakedtheory._common.checks import fail, real_array, real_number, whole_number
from peakedtheory.dynamics.labels import checked_labels
from peakedtheory.dynamics.optimizers import SGD, Adam, Muon, SignGD
from peakedtheory.schedules.averages import Average
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.families import constant
from peakedtheory.schedules.reading import as_rates

LOSSES = ("kl", "mse")
#: What records call the optimizers; Adam under weight decay is "adamw" there.
NAMES: dict[type, str] = {SGD: "sgd", Adam: "adam", SignGD: "signgd", Muon: "muon"}
_PLAIN = SGD(learning_rate=0.1)
_TEACHER, _START = 1, 2  # streams of the weights' generator
_LARGEST_BATCH, _LARGEST_WIDTH = 1 << 20, 1 << 16


@dataclass(frozen=True)
class Case:
    """One training run.

    Attributes
    ----------
    beta_star : float
        Teacher's inverse temperature β*; infinite for hard labels, its most likely class.
    optimizer : SGD, Adam, SignGD or Muon
        How the student is trained: constant rate η, batch B, width m and memories; by default SGD(0.1).
    schedule : optional
        Rates of the steps, as `peakedtheory.schedules.as_schedule` takes them; replaces the constant rate.
    start_ratio : float
        β at the start over β*: the student starts at an independent draw of the teacher's law, scaled so
        (Liu et al. 2026, Sec. D.3). Zero starts at W = 0.
    weight_decay : float
        Decoupled decay ω: weights lose the fraction η ω per step; with Adam that is AdamW.
    teacher : int
        Seed of W*.
    spectrum : float or sequence of float, optional
        Singular values that W* is given, largest first, up to a factor that keeps its Frobenius norm: as many
        as inputs, or the exponent a >= 0 of i^-a. None leaves W* as it is drawn.
    seed : int
        Seed of the inputs and of the student's start.
    labels : str
        What an example tells of the teacher: its probabilities (``soft``), one class drawn from them
        (``sampled``), or its most likely class (``hard``: what infinite beta_star means, whatever the word).
        The loss recorded is that of the probabilities, the excess over the labels' entropy.
    average : MovingAverage or TailAverage, optional
        Average of the weights, of which everything is then recorded.
    loss : str
        ``kl``: Σ q ln(q/p). ``mse``: Σ (y - y*)² / 2n, the same at high temperature, without a softmax.

    Raises
    ------
    ValueError
        If a value is impossible; the message names it.

    Examples
    --------
    >>> Case(beta_star=30.0, optimizer=Adam(learning_rate=0.01)).batch
    1024
    """

    beta_star: float = 100.0
    optimizer: SGD | Adam | SignGD | Muon = _PLAIN
    schedule: Any = None
    start_ratio: float = 0.0
    weight_decay: float = 0.0
    teacher: int = 0
    seed: int = 0
    labels: str = "soft"
    average: Average | None = None
    loss: str = "kl"
    spectrum: float | Sequence[float] | None = None

    def __post_init__(self) -> None:
        if type(self.optimizer) not in NAMES:
            rule = f"must be of {', '.join(kind.__name__ for kind in NAMES)}"
            fail("optimizer", rule, repr(self.optimizer), "build one, for example Adam(0.01, batch=64)")
        if self.loss not in LOSSES:
            fail("loss", f"must be {' or '.join(LOSSES)}", repr(self.loss), "name one of them")
        self._number("beta_star", positive=True, infinite=True)
        for name in ("start_ratio", "weight_decay"):
            self._number(name)
        whole_number("batch", self.optimizer.batch, 1, _LARGEST_BATCH)
        whole_number("width", self.optimizer.width, 1, _LARGEST_WIDTH)
        for name in ("teacher", "seed"):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), 0, 2**63))
        if self.spectrum is not None:
            self._check_spectrum()
        if self.average is not None and not isinstance(self.average, Average):
            rule = "must be a MovingAverage or TailAverage"
            fail("average", rule, repr(self.average)[:60], "build one or leave it out")
        self._consistent()

    def _number(self, name: str, *, positive: bool = False, infinite: bool = False) -> None:
        value = real_number(name, getattr(self, name))
        rule = f"must be one {'positive' if positive else 'nonnegative'} number"
        if value < 0 or (positive and value == 0) or (np.isinf(value) and not infinite):
            fail(name, rule, f"{getattr(self, name)}", "correct it")
        object.__setattr__(self, name, value)

    def _check_spectrum(self) -> None:
        values = real_array("spectrum", self.spectrum)
        if values.ndim == 0:
            self._number("spectrum")
            return
        rule = f"must be an exponent, or {self.width} numbers >= 0 that are not all zero, one an input"
        if (
            values.shape != (self.width,)
            or not np.isfinite(values).all()
            or values.min() < 0
            or not values.any()
        ):
            fail("spectrum", rule, f"{values.size} numbers of shape {values.shape}", "correct it")
        object.__setattr__(self, "spectrum", tuple(values.tolist()))

    def _consistent(self) -> None:
        object.__setattr__(self, "labels", checked_labels(self.labels, self.beta_star))
        if np.isinf(self.beta_star) and self.start_ratio:
            fail("start_ratio", "needs a finite beta_star", f"{self.start_ratio:g}", "give beta_star a value")
        if self.labels != "soft" and self.loss == "mse":
            fail("loss", "mse compares logits, so labels must be soft", f"{self.labels} labels", "use kl")

    @property
    def batch(self) -> int:
        """Examples per step B."""
        return int(self.optimizer.batch)

    @property
    def width(self) -> int:
        """Number of inputs m."""
        return int(self.optimizer.width)

    @property
    def name(self) -> str:
        """What records call the optimizer."""
        name = NAMES[type(self.optimizer)]
        return "adamw" if name == "adam" and self.weight_decay else name

    def clock(self, steps: int) -> Clock:
        """Return the learning rates of the run and the times they keep."""
        if self.schedule is None:
            return constant(self.optimizer.learning_rate, steps)
        return as_rates(self.schedule, steps)

    def teacher_weights(self, n: int) -> np.ndarray:
        """Return W* (n, m) in float64: entries uniform on ±√(3/m) β* (β* = 1 where it is infinite).

        With a spectrum its singular values are replaced, its singular vectors and Frobenius norm kept.
        """
        scale = 1.0 if np.isinf(self.beta_star) else self.beta_star
        drawn = scale * _draw(self.teacher, _TEACHER, n, self.width)
        return drawn if self.spectrum is None else with_spectrum(drawn, self.spectrum)

    def start_weights(self, n: int) -> np.ndarray:
        """Return W at the start (n, m) in float64: an independent draw, scaled by the ratio."""
        if self.start_ratio == 0.0:
            return np.zeros((n, self.width))
        return self.start_ratio * self.beta_star * _draw(self.seed, _START, n, self.width)


def with_spectrum(weights: np.ndarray, spectrum: float | Sequence[float]) -> np.ndarray:
    """Return a matrix with the same singular vectors and Frobenius norm and other singular values.

    Parameters
    ----------
    weights : ndarray, shape (n, m)
    spectrum : float or sequence of float
        The values, largest first, up to a factor; or the exponent a of i^-a, i = 1, 2, …

    Examples
    --------
    >>> changed = with_spectrum(np.eye(3), 1.0)
    >>> (np.linalg.svd(changed)[1] / np.linalg.norm(changed)).round(3).tolist()
    [0.857, 0.429, 0.286]
    """
    left, old, right = np.linalg.svd(weights, full_matrices=False)
    values = np.asarray(spectrum, dtype=float)
    if values.ndim == 0:
        values = np.arange(1.0, old.size + 1) ** -values
    values = values[: old.size]
    return (left * (values * np.linalg.norm(old) / np.linalg.norm(values))) @ right


def _draw(seed: int, stream: int, n: int, width: int) -> np.ndarray:
    return np.random.default_rng([seed, stream]).uniform(-1.0, 1.0, (n, width)) * np.sqrt(3.0 / width)


def grid(**values: Any) -> list[Case]:
    """Return the cases of every combination of the values, the last name varying fastest.

    Parameters
    ----------
    **values
        Fields of `Case`; a list, tuple or array stands for a scan (a schedule given as text is one value).

    Returns
    -------
    list of Case

    Raises
    ------
    ValueError
        As `Case`.

    Examples
    --------
    >>> cases = grid(beta_star=[10, 100], optimizer=[Adam(rate, batch=64) for rate in (0.1, 1.0)])
    >>> [(c.beta_star, c.optimizer.learning_rate) for c in cases]
    [(10.0, 0.1), (10.0, 1.0), (100.0, 0.1), (100.0, 1.0)]
    """
    scans = [
        list(v) if isinstance(v, (Sequence, np.ndarray)) and not isinstance(v, str) else [v]
        for v in values.values()
    ]
    return [Case(**dict(zip(values, choice, strict=True))) for choice in itertools.product(*scans)]
