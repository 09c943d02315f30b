r"""The annealed power law, by which forecasts are made, over many runs at once.

With S the dynamic time, S_T that of the whole run, and e the rate over its peak,

    L = L_T [1 - a + a (S/S_T)^-α - b·drop],
    drop = Σ_k (e_{k-1}^q - e_k^q) [1 - 1/(1 + x_k)],   x_k = c (S - S_k)/S_T.

L_T is the loss that the peak rate would reach at S_T, a the share of it that still falls, b the share that
annealing takes away, S_T/c the dynamic time in which half of that is gained: the multi-power law (Luo et al.,
arXiv 2503.12811) at β = 1 and γ = 0 with falls of e^q in place of those of e. A constant rate leaves the
power law in τ of Liu et al. 2026, Eq. 20. The parameters are searched as logarithms, so that all stay
positive (docs/forecasts.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from peakedtheory.schedules.clock import Clock

#: Names of the parameters, in the order of θ, and the bounds of their logarithms.
PARAMETERS = ("level", "reducible", "alpha", "annealed", "speed", "rate_exponent")
LOWER = np.log([1e-9, 1e-4, 0.05, 1e-3, 0.1, 0.02])
UPPER = np.log([1e9, 0.9, 3.0, 0.6, 1e5, 2.0])

#: Intervals into which a run is cut, and the rate over its peak at which a warmup has ended.
_CUTS, _WARM = 128, 0.97
_STEP = 1e-3
#: Runs whose kernels fit into a cache together.
_AT_ONCE = 8


@dataclass(frozen=True, eq=False)
class Courses:
    """The rates of some runs on nodes that resolve them.

    Attributes
    ----------
    step, rate, time : ndarray, shape (runs, nodes)
        Optimizer steps, rates over the peak, and S/S_T at the nodes.
    warm : ndarray, shape (runs,)
        First node after the warmup, from which on changes of the rate count.
    """

    step: np.ndarray
    rate: np.ndarray
    time: np.ndarray
    warm: np.ndarray

    @classmethod
    def of(cls, clocks: list[Clock], peak: float, span: float) -> Courses:
        """Return the courses of several clocks in units of a peak rate and of a dynamic time S_T."""
        rows = [_course(clock, peak, span) for clock in clocks]
        step, rate, time, warm = (np.array(column) for column in zip(*rows, strict=True))
        return cls(step, rate, time, warm)

    def drop(self, speed: np.ndarray, rate_exponent: np.ndarray) -> np.ndarray:
        """Return what annealing has taken away at the nodes as a share of b; arguments: shape (runs,)."""
        power = self.rate ** rate_exponent[:, None]
        fall = power[:, :-1] - power[:, 1:]
        fall[np.arange(fall.shape[1]) < self.warm[:, None]] = 0.0
        time = speed[:, None] * self.time
        taken = np.pad(np.cumsum(fall, axis=1), ((0, 0), (1, 0)))
        parts = [slice(first, first + _AT_ONCE) for first in range(0, speed.size, _AT_ONCE)]
        return taken - np.concatenate([_missing(time[part], fall[part]) for part in parts])


def _missing(time: np.ndarray, fall: np.ndarray) -> np.ndarray:
    """Return what is still to come of the falls before each node."""
    middle = 0.5 * (time[:, 1:] + time[:, :-1])
    since = np.maximum(time[:, :, None] - middle[:, None, :], 0.0)
    since += 1.0
    before = np.tri(time.shape[1], middle.shape[1], -1)
    return np.einsum("rjk,rk->rj", np.divide(before, since, out=since), fall)


def warm_step(clock: Clock) -> int:
    """Return the step at which the warmup has come within 3 % of the peak; 0 if it starts there."""
    return int(np.argmax(clock.rates >= _WARM * clock.peak))


def _course(clock: Clock, peak: float, span: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Cut a run where its steps and the changes of its rate, taken together, are equally many."""
    rates = np.concatenate([clock.rates[:1], clock.rates]) / peak
    steps = np.arange(rates.size, dtype=float)
    change = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(rates)))])
    measure = steps / steps[-1] + (change / change[-1] if change[-1] > 0 else 0.0)
    nodes = np.interp(np.linspace(0.0, measure[-1], _CUTS + 1), measure, steps)
    start = warm_step(clock)
    return (
        nodes,
        np.interp(nodes, steps, rates),
        clock.time_at(nodes) / span,
        int(np.searchsorted(nodes, start - 1e-9)),
    )


@dataclass(frozen=True, eq=False)
class Records:
    """Where the law is evaluated along each of some runs.

    Attributes
    ----------
    courses : Courses
    place : ndarray, shape (runs, records)
        Positions between the nodes, as a fractional index.
    log_time : ndarray, shape (runs, records)
        ln(S/S_T).
    """

    courses: Courses
    place: np.ndarray
    log_time: np.ndarray

    @classmethod
    def at(cls, courses: Courses, steps: np.ndarray) -> Records:
        """Return the records at `steps`, shape (runs, records)."""
        nodes = np.arange(courses.step.shape[1], dtype=float)
        place = np.array([np.interp(s, c, nodes) for s, c in zip(steps, courses.step, strict=True)])
        time = np.array([np.interp(p, nodes, t) for p, t in zip(place, courses.time, strict=True)])
        return cls(courses, place, np.log(np.maximum(time, 1e-12)))

    def log_loss(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ln L, shape (runs, records), and its derivatives by θ of shape (runs, parameters)."""
        reducible, alpha, annealed, speed, exponent = np.exp(theta[:, 1:]).T
        drop = self._drops(speed, exponent)
        power = np.exp(np.minimum(-alpha[:, None] * self.log_time, 50.0))
        share, depth = reducible[:, None], annealed[:, None]
        value = np.maximum(1.0 - share + share * power - depth * drop[0], 1e-3)
        slopes = [
            value,
            share * (power - 1.0),
            -share * power * alpha[:, None] * self.log_time,
            -depth * drop[0],
            -depth * (drop[1] - drop[0]) / _STEP,
            -depth * (drop[2] - drop[0]) / _STEP,
        ]
        return theta[:, :1] + np.log(value), np.stack(slopes, axis=-1) / value[..., None]

    def _drops(self, speed: np.ndarray, exponent: np.ndarray) -> np.ndarray:
        """Return the drop, and with speed and exponent each a little larger, shape (3, runs, records)."""
        more = np.exp(_STEP)
        runs = speed.size
        thrice = Courses(*(np.concatenate([a, a, a]) for a in vars(self.courses).values()))
        drop = thrice.drop(
            np.concatenate([speed, more * speed, speed]),
            np.concatenate([exponent, exponent, more * exponent]),
        ).reshape(3, runs, -1)
        left = np.minimum(self.place.astype(int), drop.shape[2] - 2)
        weight = self.place - left
        rows = np.arange(runs)[:, None]
        return drop[:, rows, left] * (1.0 - weight) + drop[:, rows, left + 1] * weight
