"""What a law of loss curves is: L = Σ_j c_j φ_j(time; shape), linear in the c_j, with its derivatives.

Every law here has this form, so that the c_j can be projected out (variable projection) and one optimizer
serves all of them. The laws themselves stand in `law_powers`, `law_annealing` and `law_student`, their table
in `law_registry`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory.curves.curve import Times

#: φ (k, records), ∂φ/∂shape (shapes, k, records) and ∂φ/∂time (k, records).
Basis = tuple[np.ndarray, np.ndarray, np.ndarray]

_Number = TypeVar("_Number", float, np.ndarray)


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

    def inner(self, value: _Number) -> _Number:
        """Return the number the optimizer sees."""
        if self.scale == "log":
            return np.log(value)
        return -np.log1p(-value) if self.scale == "memory" else value

    def outer(self, inner: _Number) -> _Number:
        """Return the value from the number the optimizer sees."""
        if self.scale == "log":
            return np.exp(inner)
        return -np.expm1(-inner) if self.scale == "memory" else inner

    def slope(self, value: _Number) -> _Number:
        """Return d value/d inner."""
        if self.scale == "log":
            return value
        return 1.0 - value if self.scale == "memory" else value**0  # ones of its shape


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
        (times, the law's time, shape values) -> φ, ∂φ/∂shape, ∂φ/∂time.
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
    basis: Callable[[Times, np.ndarray, np.ndarray], Basis] = field(repr=False)
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

    def predict(self, curve: Times, parameters: Mapping[str, float], origin: float = 0.0) -> np.ndarray:
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
        return self.evaluate(curve, self.vector(parameters), origin)[0]

    def jacobian(self, curve: Times, parameters: Mapping[str, float], origin: float = 0.0) -> np.ndarray:
        """Return ∂L/∂parameter, shape (records, parameters), in the order of `names`."""
        return self.evaluate(curve, self.vector(parameters), origin)[1]

    def vector(self, parameters: Mapping[str, float]) -> np.ndarray:
        """Return the values of all parameters in order."""
        values = {**parameters, **self.fixed}
        missing = [name for name in self.names if name not in values]
        if missing:
            fail("parameters", f"must give {', '.join(self.names)}", f"no {missing[0]}", "add it")
        return np.array([values[name] for name in self.names])

    def elapsed(self, times: Times) -> np.ndarray:
        """Return the law's own time, from the first step."""
        return times.tau if self.time == "tau" else times.step

    def evaluate(
        self, times: Times, vector: np.ndarray, origin: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return L, ∂L/∂parameters (records, parameters) and ∂L/∂time (records,)."""
        count = len(self.linear)
        phi, by_shape, by_time = self.basis(times, self.elapsed(times) - origin, vector[count:])
        linear = vector[:count]
        jacobian = np.concatenate([phi, np.tensordot(by_shape, linear, (1, 0))]) if count else by_shape
        return linear @ phi, jacobian.T, linear @ by_time


@dataclass(frozen=True)
class LawFamily:
    """Laws that take numbers which define them and are never fitted.

    Attributes
    ----------
    name : str
        What the laws are called.
    constants : tuple of str
        Names of those numbers.
    example : str
        A law of the family, as text.
    make : callable
        (**constants) -> Law.
    """

    name: str
    constants: tuple[str, ...]
    example: str
    make: Callable[..., Law] = field(repr=False)

    @property
    def usage(self) -> str:
        """How a law of the family is named."""
        return f"{self.name}:{','.join(f'{key}=…' for key in self.constants)}"


FLOOR = Parameter("loss_floor", "L_\\infty", "loss at infinite time (nats)")
