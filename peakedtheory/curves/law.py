"""What a law of loss curves is: L = Σ_j c_j φ_j(time; shape), linear in the c_j, with its derivatives.

Every law here has this form, so that the c_j can be projected out (variable projection) and one optimizer
serves all of them. The laws themselves stand in `law_powers`, `law_annealing` and
`law_student`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory._common.texts import named_values
from peakedtheory.curves.curve import LossCurve

#: φ (k, records), ∂φ/∂shape (shapes, k, records) and ∂φ/∂time (k, records).
Basis = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Parameter:
    """One number of a law.

    Attributes
    ----------
    name, symbol, meaning : str
        How it is called, written and explained.
    lower, upper : float
        Bounds within which it is fitted.
    starts : tuple of float
        Values a fit begins from, all combined with those of the other shape parameters; empty for linear
        ones.
    scale : str
        In what it is searched: "linear", "log", or "memory" (log of 1/(1 - value)).
    """

    name: str
    symbol: str
    meaning: str
    lower: float = 0.0
    upper: float = np.inf
    starts: tuple[float, ...] = ()
    scale: str = "linear"

    def inner(self, value: Any) -> Any:
        """Return the number the optimizer sees."""
        if self.scale == "log":
            return np.log(value)
        return -np.log1p(-value) if self.scale == "memory" else value

    def outer(self, inner: Any) -> Any:
        """Return the value from the number the optimizer sees."""
        if self.scale == "log":
            return np.exp(inner)
        return -np.expm1(-inner) if self.scale == "memory" else inner

    def slope(self, value: Any) -> Any:
        """Return d value/d inner."""
        if self.scale == "log":
            return value
        return 1.0 - value if self.scale == "memory" else np.ones_like(value)


@dataclass(frozen=True, eq=False)
class Records:
    """Where a law is evaluated: steps of one run with the rates behind them."""

    step: np.ndarray
    rates: np.ndarray | None
    warmup: int

    @classmethod
    def of(cls, curve: LossCurve | Records) -> Records:
        """Return the records of a curve."""
        return curve if isinstance(curve, Records) else cls(curve.step, curve.rates, curve.warmup)

    @cached_property
    def tau(self) -> np.ndarray:
        """Dynamic time at the records."""
        return self._curve.tau

    @cached_property
    def eta(self) -> np.ndarray:
        """Learning rate at the records."""
        return self._curve.learning_rate

    @cached_property
    def reductions(self) -> Any:
        """The falls of the rate before each record, for laws that sum over them."""
        from peakedtheory.curves.reductions import Reductions

        if self.rates is None:
            fail("rates", "are needed for laws of the learning rate", "None", "give a schedule")
        return Reductions(self.rates, self.warmup, self.step)

    @property
    def _curve(self) -> LossCurve:
        return LossCurve(self.step, np.ones(self.step.size), self.rates)


@dataclass(frozen=True)
class Law:
    """A law of loss curves, L = Σ_j c_j φ_j(time; shape).

    Attributes
    ----------
    name, title : str
        Key in `LAWS`, and what tables call it.
    formula : str
        The law in LaTeX.
    source : str
        Where it comes from.
    time : str
        "tau" or "step": what its time is.
    linear, shape : tuple of Parameter
        The c_j, in the order of φ_j, and the parameters within φ_j.
    basis : callable
        (records, time, shape values) -> φ, ∂φ/∂shape, ∂φ/∂time.
    needs_annealing : bool
        Whether its parameters can only be told where the learning rate falls from its peak.
    fixed : mapping of str to float
        Parameters that are held.
    constants : mapping of str to float
        Numbers that define the law and are never fitted.
    """

    name: str
    title: str
    formula: str
    source: str
    time: str
    linear: tuple[Parameter, ...]
    shape: tuple[Parameter, ...]
    basis: Callable[[Records, np.ndarray, np.ndarray], Basis] = field(repr=False)
    needs_annealing: bool = False
    fixed: Mapping[str, float] = field(default_factory=dict)
    constants: Mapping[str, float] = field(default_factory=dict)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters, the linear ones first."""
        return self.linear + self.shape

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all parameters, the linear ones first."""
        return tuple(p.name for p in self.parameters)

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the parameters that are fitted."""
        return tuple(name for name in self.names if name not in self.fixed)

    @property
    def minimal_points(self) -> int:
        """Fewest records a fit needs: three for each fitted parameter."""
        return 3 * len(self.free)

    @property
    def needs_schedule(self) -> bool:
        """Whether it needs the learning rates."""
        return self.time == "tau"

    def at(self, **values: float) -> Law:
        """Return the law with these parameters held.

        Parameters
        ----------
        **values : float
            Parameters by name.

        Returns
        -------
        Law

        Raises
        ------
        ValueError
            If the law has no such parameter or the value lies outside its bounds.

        Examples
        --------
        >>> from peakedtheory.curves.law_registry import LAWS
        >>> LAWS["power"].at(alpha=1 / 3).free
        ('loss_floor', 'amplitude')
        """
        for name, value in values.items():
            known = {p.name: p for p in self.parameters}
            if name not in known:
                fail(
                    "law",
                    f"{self.name} has the parameters {', '.join(known)}",
                    repr(name),
                    "name one of them",
                )
            if not known[name].lower <= value <= known[name].upper:
                bounds = f"must be from {known[name].lower:g} to {known[name].upper:g}"
                fail(name, bounds, f"{value:g}", "choose another value")
        return dataclasses.replace(self, fixed={**self.fixed, **values})

    def predict(
        self, curve: LossCurve | Records, parameters: Mapping[str, float], origin: float = 0.0
    ) -> np.ndarray:
        """Return the loss at the records of `curve`, in nats.

        Parameters
        ----------
        curve : LossCurve
            Its steps and rates count; its losses do not.
        parameters : mapping of str to float
            Value of every parameter; held ones may be left out.
        origin : float
            Where the law's time starts, in its own unit.

        Returns
        -------
        ndarray, shape (records,)
        """
        return self.evaluate(Records.of(curve), self.vector(parameters), origin)[0]

    def jacobian(
        self, curve: LossCurve | Records, parameters: Mapping[str, float], origin: float = 0.0
    ) -> np.ndarray:
        """Return ∂L/∂parameter, shape (records, parameters), in the order of `names`."""
        return self.evaluate(Records.of(curve), self.vector(parameters), origin)[1]

    def vector(self, parameters: Mapping[str, float]) -> np.ndarray:
        """Return the values of all parameters in order."""
        values = {**parameters, **self.fixed}
        missing = [name for name in self.names if name not in values]
        if missing:
            fail("parameters", f"must give {', '.join(self.names)}", f"no {missing[0]}", "add it")
        return np.array([values[name] for name in self.names])

    def times(self, records: Records) -> np.ndarray:
        """Return the law's time at the records, from the first step."""
        return records.tau if self.time == "tau" else records.step

    def evaluate(
        self, records: Records, vector: np.ndarray, origin: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return L, ∂L/∂parameters (records, parameters) and ∂L/∂time (records,)."""
        count = len(self.linear)
        phi, by_shape, by_time = self.basis(records, self.times(records) - origin, vector[count:])
        linear = vector[:count]
        jacobian = np.concatenate([phi, np.tensordot(by_shape, linear, (1, 0))]) if count else by_shape
        return linear @ phi, jacobian.T, linear @ by_time


FLOOR = Parameter("loss_floor", "L_\\infty", "loss at infinite time (nats)")


def parse_law(text: Any) -> Law:
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
    from peakedtheory.curves.law_registry import LAWS, NAMES_OF_LAWS
    from peakedtheory.curves.law_student import student_law

    if isinstance(text, Law):
        return text
    head, values = named_values("law", str(text), "alpha=1/3")
    if head == "student":
        constants = {key: values.pop(key) for key in ("n", "beta_star") if key in values}
        if len(constants) < 2:
            fail("law", "student needs n and beta_star", repr(text), "write student:n=50304,beta_star=6.97")
        return student_law(**constants).at(**values)
    if head not in LAWS:
        fail("law", f"must be one of {', '.join(NAMES_OF_LAWS)}", repr(head), "name a law")
    return LAWS[head].at(**values)
