"""Robust least squares of a law on the logarithm of the loss: minimise Σ ρ(ln L_law - ln L) with Huber's ρ.

ρ(r) = r²/2 up to δ and δ(|r| - δ/2) beyond (Huber 1964). Each start fixes the shape parameters and projects
the linear ones out; the best are improved jointly by damped Gauss-Newton steps on reweighted residuals,
within bounds.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np

from peakedtheory.curves.curve import Times
from peakedtheory.curves.law import Law, Parameter

#: Starts that are improved, and by what part of itself the objective may still promise to fall at the end.
_POLISHED, _TOLERANCE = 4, 1e-9
_ORIGIN = "origin"


@dataclass(frozen=True, eq=False)
class Problem:
    """Curves, a law and a loss function; the unknowns u are the free parameters as they are searched.

    Attributes
    ----------
    law : Law
    times : tuple of Times
        The records of each curve.
    log_loss : ndarray
        ln L of all records in a row.
    origins : tuple of float
        Where each curve's time starts.
    delta : float
        Huber's δ; infinite for least squares.
    free_origin : bool
        Whether one shift of all origins is fitted too.
    trust : ndarray or float
        Weight of each record, by its noise.
    """

    law: Law
    times: tuple[Times, ...]
    log_loss: np.ndarray
    origins: tuple[float, ...]
    delta: float
    free_origin: bool = False
    trust: np.ndarray | float = 1.0
    unknowns: tuple[Parameter, ...] = field(init=False)

    def __post_init__(self) -> None:
        unknowns = tuple(p for p in self.law.parameters if p.name not in self.law.fixed)
        if self.free_origin:
            first = min(self.law.elapsed(t)[0] - o for t, o in zip(self.times, self.origins, strict=True))
            starts = (-0.5 * first, 0.0, 0.5 * first)
            unknowns += (
                Parameter(_ORIGIN, "\\tau_0", "where time starts", -20.0 * first, 0.95 * first, starts),
            )
        object.__setattr__(self, "unknowns", unknowns)

    @property
    def sizes(self) -> list[int]:
        """Number of records of each curve."""
        return [times.step.size for times in self.times]

    @property
    def lower(self) -> np.ndarray:
        """Lower bounds of u."""
        return np.array([p.inner(p.lower) for p in self.unknowns])

    @property
    def upper(self) -> np.ndarray:
        """Upper bounds of u."""
        return np.array([p.inner(p.upper) for p in self.unknowns])

    def values(self, u: np.ndarray) -> dict[str, float]:
        """Return the values of all parameters, and of the fitted origin."""
        free = {p.name: float(p.outer(x)) for p, x in zip(self.unknowns, u, strict=True)}
        held = {name: float(value) for name, value in self.law.fixed.items()}
        return {
            name: (free | held)[name] for name in (*self.law.names, *([_ORIGIN] if self.free_origin else []))
        }

    def inner(self, values: dict[str, float]) -> np.ndarray:
        """Return u from the values of the parameters."""
        u = np.array([p.inner(np.clip(values[p.name], p.lower, p.upper)) for p in self.unknowns])
        return np.clip(u, self.lower, self.upper)

    def log_model(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ln L of the law and its derivative by u, shape (records, unknowns); NaN where L <= 0."""
        outer = np.array([p.outer(x) for p, x in zip(self.unknowns, u, strict=True)])
        named = dict(zip((p.name for p in self.unknowns), outer, strict=True))
        vector = self.law.vector(named)
        shift = named.get(_ORIGIN, 0.0)
        parts = [
            self.law.evaluate(times, vector, origin + shift)
            for times, origin in zip(self.times, self.origins, strict=True)
        ]
        loss = np.concatenate([part[0] for part in parts])
        jacobian = np.concatenate([part[1] for part in parts])
        free = [i for i, name in enumerate(self.law.names) if name not in self.law.fixed]
        columns = jacobian[:, free]
        if self.free_origin:
            columns = np.column_stack([columns, -np.concatenate([part[2] for part in parts])])
        slopes = np.array([p.slope(x) for p, x in zip(self.unknowns, outer, strict=True)])
        safe = np.where(loss > 0, loss, np.nan)
        return np.log(safe), columns * slopes / safe[:, None]

    def objective(self, residual: np.ndarray) -> float:
        """Return Σ ρ(r); infinite where the law is not positive."""
        size = np.abs(residual)
        each = np.where(size <= self.delta, 0.5 * size**2, self.delta * (size - 0.5 * self.delta))
        total = (self.trust * each).sum()
        return float(total) if np.isfinite(total) else np.inf

    def weights(self, residual: np.ndarray) -> np.ndarray:
        """Return ψ(r)/r, the weights of the reweighted least squares."""
        return self.trust * np.minimum(1.0, self.delta / np.maximum(np.abs(residual), 1e-300))


@dataclass(frozen=True, eq=False)
class Solution:
    """A minimum: u, the objective, residuals ln L_law - ln L, their derivative by u, whether steps ceased."""

    u: np.ndarray
    objective: float
    residual: np.ndarray
    jacobian: np.ndarray
    converged: bool
    steps: int


def solve(problem: Problem, starts: list[np.ndarray] | None = None, steps: int = 200) -> Solution:
    """Return the best minimum found from `starts`, or from the law's own.

    Raises
    ------
    FloatingPointError
        If the law is not positive at any start.
    """
    chosen = _screened(problem) if starts is None else starts
    rough = [improve(problem, u, 30, 1e-3) for u in chosen]
    rough = [s for s in rough if np.isfinite(s.objective)]
    if not rough:
        raise FloatingPointError("the law is not positive at any start")
    return improve(problem, min(rough, key=lambda s: s.objective).u, steps)


def improve(
    problem: Problem,
    u: np.ndarray,
    steps: int = 200,
    tolerance: float = _TOLERANCE,
    log_loss: np.ndarray | None = None,
) -> Solution:
    """Return the minimum that damped Gauss-Newton steps reach from u, for the problem's losses or others."""
    data = problem.log_loss if log_loss is None else log_loss
    lower, upper = problem.lower, problem.upper
    model, jacobian = problem.log_model(u)
    residual = model - data
    value = problem.objective(residual)
    damping, converged, count = 1e-4, not np.isfinite(value), 0
    while not converged and count < steps:
        count += 1
        weight = problem.weights(residual)
        gradient = jacobian.T @ (weight * residual)
        free = ~(((u <= lower) & (gradient > 0)) | ((u >= upper) & (gradient < 0)))
        if not free.any():
            converged = True
            break
        part = jacobian[:, free]
        curvature = part.T @ (weight[:, None] * part)
        diagonal = np.maximum(np.diag(curvature), 1e-20 * np.diag(curvature).max())
        while True:
            step = solved(curvature + np.diag(damping * diagonal), -gradient[free])
            promised = -0.5 * gradient[free] @ step
            if promised <= tolerance * value and damping <= 1e-2:
                return Solution(u, value, residual, jacobian, True, count)
            trial = u.copy()
            trial[free] = np.clip(u[free] + step, lower[free], upper[free])
            new_model, new_jacobian = problem.log_model(trial)
            new_value = problem.objective(new_model - data)
            if new_value < value:
                break
            damping *= 8.0
            if promised <= tolerance * value or damping > 1e12:
                return Solution(u, value, residual, jacobian, True, count)
        converged = value - new_value <= tolerance * value and damping < 1.0
        u, jacobian, residual, value = trial, new_jacobian, new_model - data, new_value
        damping = max(damping / 8.0, 1e-9)
    return Solution(u, value, residual, jacobian, converged, count)


def solved(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve a positive semidefinite system, scaled to a unit diagonal; least squares if it is singular."""
    diagonal = np.diag(matrix)
    scale = 1.0 / np.sqrt(np.maximum(diagonal, 1e-30 * diagonal.max() + 1e-300))
    scaled = matrix * np.outer(scale, scale)
    try:
        return scale * np.linalg.solve(scaled, scale * right)
    except np.linalg.LinAlgError:
        return scale * np.linalg.lstsq(scaled, scale * right)[0]


def _screened(problem: Problem) -> list[np.ndarray]:
    """Project the linear parameters out at every start of the shape ones and keep the best."""
    shapes = [p for p in problem.unknowns if p.name in {q.name for q in problem.law.shape} | {_ORIGIN}]
    ranked = []
    for number, values in enumerate(itertools.product(*(p.starts for p in shapes))):
        named = dict(zip((p.name for p in shapes), values, strict=True))
        linear = _projected(problem, named)
        u = problem.inner({**problem.law.fixed, **linear, **named})
        ranked.append((problem.objective(problem.log_model(u)[0] - problem.log_loss), number, u))
    ranked.sort(key=lambda item: item[:2])
    return [u for _, _, u in ranked[:_POLISHED]]


def _projected(problem: Problem, named: dict[str, float]) -> dict[str, float]:
    """Return nonnegative linear parameters by reweighted least squares on L_law/L - 1 at fixed shape."""
    law = problem.law
    shape = np.array([{**named, **law.fixed}[p.name] for p in law.shape])
    shift = named.get(_ORIGIN, 0.0)
    parts = [
        law.basis(times, law.elapsed(times) - origin - shift, shape)[0]
        for times, origin in zip(problem.times, problem.origins, strict=True)
    ]
    inverse = np.exp(-problem.log_loss)
    columns = np.concatenate(parts, axis=1) * inverse
    target = np.ones(inverse.size)
    free = [i for i, p in enumerate(law.linear) if p.name not in law.fixed]
    for i, p in enumerate(law.linear):
        if p.name in law.fixed:
            target = target - law.fixed[p.name] * columns[i]
    columns = columns[free].T
    weight = np.ones(target.size)
    solution = np.zeros(len(free))
    for _ in range(3):
        solution = _nonnegative(columns * np.sqrt(weight)[:, None], target * np.sqrt(weight))
        weight = problem.weights(columns @ solution - target)
    return {law.linear[i].name: float(c) for i, c in zip(free, solution, strict=True)}


def _nonnegative(columns: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least squares with coefficients >= 0 for a handful of columns: the best of all subsets."""
    count = columns.shape[1]
    gram, moment = columns.T @ columns, columns.T @ target
    best, best_gain = np.zeros(count), 0.0
    for size in range(1, count + 1):
        for subset in itertools.combinations(range(count), size):
            chosen = list(subset)
            part = solved(gram[np.ix_(chosen, chosen)] + 1e-300 * np.eye(size), moment[chosen])
            gain = float(part @ moment[chosen])
            if (part >= 0).all() and gain > best_gain:
                best, best_gain = np.zeros(count), gain
                best[chosen] = part
    return best
