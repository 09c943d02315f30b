"""Solution of ordinary differential equations whose right-hand sides are compiled."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.integrate import ODEintWarning, odeint

_RTOL, _ATOL = 1e-8, 1e-14
#: Where a flow may come to rest: rows in between, and the steps from one to the next after which to look.
_BETWEEN, _STEPS = 200, 5000
#: Steps from one row to the next before giving up; Adam may oscillate about a point for thousands of periods.
_PATIENCE = 1_000_000
#: Rate, per unit of x, of the variable that turns the integrator implicit.
_FAST = 1e4
#: Its error, at most.
_GUARD = 1e-6
#: What a kernel returns that has come by no missing cell of a table.
_COMPLETE = -1


class Equations(NamedTuple):
    """Compiled rates of change with x, and their Jacobian where there is one, with what both are given.

    They are called as rates(x, y, *arguments, out), fill `out`, and return the first cell that is missing in
    a table, or -1; `fill` computes it.
    """

    rates: Callable[..., int]
    arguments: tuple[Any, ...]
    jacobian: Callable[..., int] | None = None
    fill: Callable[[int], None] | None = None


def completed(
    kernel: Callable[..., int],
    arguments: tuple[Any, ...],
    out: np.ndarray,
    fill: Callable[[int], None] | None,
) -> np.ndarray:
    """Return what `kernel` fills, its last argument, with all of the tables that it comes by."""
    while (missing := kernel(*arguments, out)) != _COMPLETE:
        fill(missing)  # type: ignore[misc]  # only tables have cells
    return out


def integrate(
    equations: Equations,
    start: np.ndarray,
    x: np.ndarray,
    origin: float,
    *,
    rtol: float = _RTOL,
    atol: float = _ATOL,
) -> np.ndarray:
    """Return the solution at ascending x from `origin`, by LSODA, which turns implicit where it is stiff."""
    rates, jacobian = _functions(equations, start.size)
    return _solve(rates, start, x, origin, jacobian, rtol=rtol, atol=atol)


_Function = Callable[[float, np.ndarray], np.ndarray]


def _functions(equations: Equations, size: int) -> tuple[_Function, _Function | None]:
    """Return rates and Jacobian as functions of x and y; each keeps its result in the same place."""
    rates, arguments, jacobian, fill = equations
    slopes, by = np.empty(size), np.empty((size, size))

    def rates_at(x: float, y: np.ndarray) -> np.ndarray:
        return completed(rates, (x, y, *arguments), slopes, fill)

    def jacobian_at(x: float, y: np.ndarray) -> np.ndarray:
        return completed(jacobian, (x, y, *arguments), by, fill)  # type: ignore[arg-type]

    return rates_at, None if jacobian is None else jacobian_at


def _solve(
    rates: _Function,
    start: np.ndarray,
    x: np.ndarray,
    origin: float,
    jacobian: _Function | None,
    *,
    rtol: float,
    atol: float | np.ndarray,
    at_rest: Callable[[np.ndarray], bool] | None = None,
) -> np.ndarray:
    """Return the solution; where it comes to a halt `at_rest`, moved by rounding errors alone, it stays."""
    between = np.linspace(origin, max(x.max(), origin), _BETWEEN) if at_rest else np.empty(0)
    grid, back = np.unique(np.concatenate([[origin], x, between]), return_inverse=True)
    if grid.size == 1:
        return np.tile(start, (x.size, 1))
    for most in (_STEPS, _PATIENCE) if at_rest else (_PATIENCE,):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ODEintWarning)  # a failure is told below
            y, report = odeint(
                rates,
                start,
                grid,
                Dfun=jacobian,
                tfirst=True,
                rtol=rtol,
                atol=atol,
                mxstep=most,
                full_output=True,
                printmessg=False,
            )
        if report["message"] == "Integration successful.":
            break
        last = int(np.argmin(report["tcur"] >= grid[1:]))  # the row before the first that was not reached
        if at_rest is not None and at_rest(y[last]):
            y[last:] = y[last]
            break
    else:
        raise ValueError(
            f"width: the flow could not be integrated ({report['message']}); in narrow models far from their "
            "teacher the expansion in 1/width fails: give a larger width, or none for the infinite one"
        )
    return y[back[1 : x.size + 1]]


def integrate_implicitly(
    equations: Equations,
    start: np.ndarray,
    x: np.ndarray,
    origin: float,
    *,
    rtol: float,
    atol: float | np.ndarray,
    at_rest: Callable[[np.ndarray], bool] | None = None,
) -> np.ndarray:
    """Return the solution, as `integrate` does, of few variables that relax ever faster, or come to rest.

    LSODA turns implicit late, and never where all rests within rounding: another variable, which relaxes at
    the rate `_FAST` to a point that moves slowly, turns it implicit at once. Where none is given the Jacobian
    is found by differences that stand out of rounding at rest. Where the solution comes to a halt `at_rest`,
    in a state that moves by rounding errors alone, that state stays.
    """
    size = start.size
    rates, jacobian = _functions(equations, size)
    slopes = np.empty(size + 1)

    def guarded(x: float, y: np.ndarray) -> np.ndarray:
        slopes[:size] = rates(x, y[:size])
        slopes[size] = _FAST * (1.0 + 1e-3 * x - y[size])
        return slopes

    def differences(x: float, y: np.ndarray) -> np.ndarray:
        now = rates(x, y).copy()
        out = np.empty((size, size))
        for i in range(size):
            moved = y.copy()
            moved[i] += 1e-7 * abs(moved[i]) + 1e-8
            out[:, i] = (rates(x, moved) - now) / (moved[i] - y[i])
        return out

    inner = jacobian or differences
    whole = np.zeros((size + 1, size + 1))
    whole[size, size] = -_FAST

    def guarded_jacobian(x: float, y: np.ndarray) -> np.ndarray:
        whole[:size, :size] = inner(x, y[:size])
        return whole

    begin = np.append(start, 1.001 + 1e-3 * origin)
    bounds = np.append(np.broadcast_to(atol, size), _GUARD)
    rest = None if at_rest is None else lambda y: at_rest(y[:size])
    y = _solve(guarded, begin, x, origin, guarded_jacobian, rtol=rtol, atol=bounds, at_rest=rest)
    return y[:, :size]
