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

from peakedtheory._common.checks import fail, real_number, whole_number
from peakedtheory.schedules.reading import as_schedule

OPTIMIZERS = ("sgd", "adam", "adamw", "signgd", "muon")
LOSSES = ("kl", "mse")
_TEACHER, _START = 1, 2  # streams of the weights' generator
_LARGEST_BATCH = 1 << 20


@dataclass(frozen=True)
class Case:
    """One training run.

    Attributes
    ----------
    beta_star : float
        Teacher's inverse temperature β*; infinite only with hard labels, where it stands for its argmax.
    learning_rate : float
        Constant rate η, unless a schedule is given.
    optimizer : str
        ``sgd``, ``adam``, ``adamw`` (Adam with decoupled weight decay), ``signgd`` or ``muon``.
    batch : int
        Examples per step B.
    schedule : optional
        Rates of the steps, as `peakedtheory.schedules.as_schedule` takes them; replaces `learning_rate`.
    start_ratio : float
        β at the start over β*: the student starts at an independent draw of the teacher's law, scaled so
        (Liu et al. 2026, Sec. D.3). Zero starts at W = 0.
    weight_decay : float
        Decoupled decay ω: weights lose the fraction η ω per step.
    beta1, beta2 : float
        Memory of the first and second moment (Adam). `beta1` is also the momentum of Muon, for which None
        means 0.95; for Adam None means 0.9.
    teacher : int
        Seed of W*.
    seed : int
        Seed of the inputs and of the student's start.
    hard_labels : bool
        Train on the teacher's most likely class instead of its probabilities.
    loss : str
        ``kl``: Σ q ln(q/p). ``mse``: Σ (y - y*)² / 2n, the same at high temperature, without a softmax.

    Raises
    ------
    ValueError
        If a value is impossible; the message names it.

    Examples
    --------
    >>> Case(beta_star=30.0, learning_rate=0.01, optimizer="adam").batch
    1024
    """

    beta_star: float = 100.0
    learning_rate: float = 0.1
    optimizer: str = "sgd"
    batch: int = 1024
    schedule: Any = None
    start_ratio: float = 0.0
    weight_decay: float = 0.0
    beta1: float | None = None
    beta2: float = 0.999
    teacher: int = 0
    seed: int = 0
    hard_labels: bool = False
    loss: str = "kl"

    def __post_init__(self) -> None:
        for name, known in (("optimizer", OPTIMIZERS), ("loss", LOSSES)):
            value = getattr(self, name)
            if value not in known:
                fail(name, f"must be {' or '.join(known)}", repr(value), "name one of them")
        for name in ("beta_star", "learning_rate"):
            self._number(name, positive=True, infinite=name == "beta_star")
        for name in ("start_ratio", "weight_decay"):
            self._number(name)
        for name, low, high in (("batch", 1, _LARGEST_BATCH), ("teacher", 0, 2**63), ("seed", 0, 2**63)):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), low, high))
        if self.beta1 is not None:
            self._memory("beta1")
        self._memory("beta2")
        self._consistent()

    def _number(self, name: str, *, positive: bool = False, infinite: bool = False) -> None:
        value = real_number(name, getattr(self, name))
        rule = f"must be one {'positive' if positive else 'nonnegative'} number"
        if value < 0 or (positive and value == 0) or (np.isinf(value) and not infinite):
            fail(name, rule, f"{getattr(self, name)}", "correct it")
        object.__setattr__(self, name, value)

    def _memory(self, name: str) -> None:
        value = real_number(name, getattr(self, name))
        if not 0.0 <= value < 1.0:
            fail(name, "must lie in [0, 1)", f"{value:g}", "it is the weight of the past in an average")
        object.__setattr__(self, name, value)

    def _consistent(self) -> None:
        if np.isinf(self.beta_star) and not self.hard_labels:
            fail("beta_star", "must be finite for soft labels", "inf", "set hard_labels=True")
        if np.isinf(self.beta_star) and self.start_ratio:
            fail("start_ratio", "needs a finite beta_star", f"{self.start_ratio:g}", "give beta_star a value")
        if self.hard_labels and self.loss == "mse":
            fail(
                "loss", "mse compares logits, so labels must be soft", "hard labels", "set hard_labels=False"
            )
        if self.optimizer == "adam" and self.weight_decay:
            fail(
                "weight_decay",
                "is decoupled here, which makes Adam AdamW",
                f"{self.weight_decay:g} with adam",
                "set optimizer='adamw'",
            )

    @property
    def momentum(self) -> float:
        """`beta1` with its default resolved."""
        if self.beta1 is not None:
            return self.beta1
        return 0.95 if self.optimizer == "muon" else 0.9

    def rates(self, steps: int) -> np.ndarray:
        """Return the learning rate of each step, shape (steps,)."""
        if self.schedule is None:
            return np.full(steps, self.learning_rate)
        return as_schedule(self.schedule, steps).rates

    def teacher_weights(self, n: int, width: int) -> np.ndarray:
        """Return W* (n, m) in float64: entries uniform on ±√(3/m) β* (β* = 1 where it is infinite)."""
        scale = 1.0 if np.isinf(self.beta_star) else self.beta_star
        return scale * _draw(self.teacher, _TEACHER, n, width)

    def start_weights(self, n: int, width: int) -> np.ndarray:
        """Return W at the start (n, m) in float64: an independent draw, scaled by the ratio."""
        if self.start_ratio == 0.0:
            return np.zeros((n, width))
        return self.start_ratio * self.beta_star * _draw(self.seed, _START, n, width)


def theory_of(
    optimizer: str, rate: float, batch: float, width: int, beta2: float = 0.999, beta1: float = 0.9
) -> Any:
    """Return the theory's optimizer for students trained so, or None where there is no theory (Muon)."""
    from peakedtheory.dynamics.optimizers import OPTIMIZERS as KINDS, Adam

    if optimizer == "muon":
        return None
    if optimizer in ("adam", "adamw"):
        return Adam(rate, batch, width, beta2, beta1)
    return KINDS[optimizer](rate, batch, width)


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
    >>> [(c.beta_star, c.learning_rate) for c in grid(beta_star=[10, 100], learning_rate=[0.1, 1.0])]
    [(10.0, 0.1), (10.0, 1.0), (100.0, 0.1), (100.0, 1.0)]
    """
    scans = [
        list(v) if isinstance(v, (Sequence, np.ndarray)) and not isinstance(v, str) else [v]
        for v in values.values()
    ]
    return [Case(**dict(zip(values, choice, strict=True))) for choice in itertools.product(*scans)]
