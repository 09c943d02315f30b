"""Temperature tuned after training: the best scale of a student's logits, and of logits that are given.

A factor s on all logits takes (D, ρ) to (sD, sρ): their angle θ stays, and with it the loss that no scale
takes away (docs/dynamics.md, Eqs. 57-58).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import logsumexp, softmax

from peakedtheory._common.checks import fail, real_number, single_number, teacher_temperature
from peakedtheory._common.results import describe
from peakedtheory.dynamics.force import student_force

#: Largest β that is looked for, of students without residual.
_COLDEST = 1e12
#: Newton steps in ln s, and the size of the last one.
_STEPS, _SETTLED = 60, 1e-12


@dataclass(frozen=True, repr=False)
class BestScale:
    """The factor on all logits with the lowest loss.

    Attributes
    ----------
    scale : float
        The factor s; its inverse is the temperature.
    loss, best_loss : float
        Loss in nats as it is, and with that factor.
    scale_standard_error, saved_standard_error : float or None
        Of logits that are given, over their rows; None where both follow from the theory.
    """

    scale: float
    loss: float
    best_loss: float
    scale_standard_error: float | None = None
    saved_standard_error: float | None = None

    @property
    def saved(self) -> float:
        """Nats that the factor saves."""
        return self.loss - self.best_loss

    def __repr__(self) -> str:
        rows = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return describe("Best scale of the logits", rows | {"saved": self.saved})


def best_scale(alignment: float, residual: float, beta_star: float, n: float) -> BestScale:
    """Return the best scale of a student's logits D z + ρ w, beside a teacher's β* z.

    Parameters
    ----------
    alignment, residual : float
        D > 0 and ρ >= 0, of one time of a run.
    beta_star : float
        Teacher's inverse temperature; infinite for hard labels.
    n : int
        Number of classes.

    Returns
    -------
    BestScale

    Raises
    ------
    ValueError
        For D <= 0, where the best student knows nothing, ρ < 0, and ρ = 0 on hard labels, where a colder
        student is always better.

    Notes
    -----
    The best β' obeys Φ'(β') = cos θ Φ'(β*), with cos θ = D/β, and s = β'/β. On hard labels and small θ it is
    (π/√6)/θ, and the loss left (π/√6) c0 θ (docs/dynamics.md, Eqs. 57-58).

    Examples
    --------
    >>> best = best_scale(20.0, 2.0, float("inf"), 128)
    >>> print(f"{best.scale:.3f} {best.loss:.4f} {best.best_loss:.4f}")
    0.694 0.3711 0.3455
    """
    star, n = teacher_temperature(beta_star), float(single_number(n))
    d, rho = real_number("alignment", alignment), real_number("residual", residual)
    if not 0.0 < d < math.inf:
        fail(
            "alignment", "must be a finite number > 0", f"{d:g}", "a student across its teacher has no scale"
        )
    if not 0.0 <= rho < math.inf or (rho == 0.0 and math.isinf(star)):
        rule = "must be a finite number >= 0" + ("" if math.isfinite(star) else ", above 0 on hard labels")
        fail("residual", rule, f"{rho:g}", "correct it")
    force, beta = student_force(star, n), math.hypot(d, rho)
    # c0 - cos θ Φ'(β*) as a drive, without cancellation at small angles.
    own = 0.0 if math.isinf(star) else force.table.drive(star)
    wanted = force.table.slope * (rho / beta) ** 2 / (1.0 + d / beta) + d / beta * own
    found = brentq(
        lambda x: math.log(force.table.drive(math.exp(x)) / wanted), math.log(1e-12), math.log(_COLDEST)
    )
    scale = math.exp(found) / beta
    sizes = np.array([1.0, scale])
    losses = force.losses(sizes * d, (sizes * rho) ** 2, np.zeros(2), np.zeros(2)).sum(axis=0)
    return BestScale(scale, float(losses[0]), float(min(losses)))


def best_scale_of_logits(logits: Any, labels: Any) -> BestScale:
    """Return the factor on given logits that minimises their cross-entropy.

    Parameters
    ----------
    logits : array_like, shape (examples, n)
    labels : array_like
        Classes, shape (examples,), or probabilities, shape (examples, n).

    Returns
    -------
    BestScale
        With standard errors over the examples, taken as independent.

    Raises
    ------
    ValueError
        For shapes that do not agree, logits that are not finite, labels that are no classes or probabilities,
        and logits that are best at no scale: those that name every label, or know nothing of them.

    Notes
    -----
    The loss is convex in s, with the slope ⟨Σ p y⟩ - ⟨y of the label⟩ and the curvature ⟨Var_p y⟩. That slope
    at s = 1 is the loss less the mean entropy of the predictions: the two agree where the scale is right.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = 3.0 * rng.standard_normal((4000, 16))
    >>> labels = np.argmax(y + rng.gumbel(size=y.shape), axis=1)
    >>> best = best_scale_of_logits(2.0 * y, labels)
    >>> print(f"{best.scale:.2f} {best.saved:.2f}")
    0.50 0.30
    """
    y, target = _checked(logits, labels)
    y = y - y.mean(axis=1, keepdims=True)
    hit = (target * y).sum(axis=1)
    if hit.mean() <= 0.0 or (y.max(axis=1) - hit).max() <= 0.0:
        what = "on average no higher than others" if hit.mean() <= 0.0 else "the highest of every row"
        fail("logits", "must be best at some finite scale", f"labels' logits {what}", "give other data")
    scale = 1.0 / max(float(np.abs(y).max()), 1e-300)
    for _ in range(_STEPS):
        p = softmax(scale * y, axis=1)
        mean = (p * y).sum(axis=1)
        slope, curvature = float((mean - hit).mean()), float((p * y**2).sum(axis=1).mean() - (mean**2).mean())
        # In ln s, where steps cannot pass zero; the curvature there has the slope's own part.
        step = -slope / (scale * curvature + max(slope, 0.0))
        scale *= math.exp(min(max(step, -1.0), 1.0))
        if abs(step) < _SETTLED:
            break
    losses = [logsumexp(s * y, axis=1) - s * hit for s in (1.0, scale)]
    entropy = -(np.where(target > 0.0, target * np.log(np.maximum(target, 1e-300)), 0.0)).sum(axis=1)
    before, after = (float((loss - entropy).mean()) for loss in losses)
    root = math.sqrt(y.shape[0])
    error = float((mean - hit).std(ddof=1)) / curvature / root
    return BestScale(scale, before, after, error, float((losses[0] - losses[1]).std(ddof=1)) / root)


def _checked(logits: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return logits and probabilities of the labels, both (examples, n)."""
    y, given = np.asarray(logits, dtype=float), np.asarray(labels)
    if y.ndim != 2 or y.shape[0] < 2 or y.shape[1] < 2:
        fail("logits", "must be (examples, n), two of each at least", f"shape {y.shape}", "reshape them")
    if not np.isfinite(y).all():
        fail("logits", "must be finite", "NaN or inf", "leave such rows out")
    if given.shape == y.shape:
        target = given.astype(float)
        if not ((target >= 0.0).all() and np.allclose(target.sum(axis=1), 1.0, atol=1e-6)):
            fail("labels", "must be probabilities that add up to one", "others", "normalise each row")
        return y, target
    classes = given.shape == y.shape[:1] and given.dtype.kind in "iu"
    if not classes or (given < 0).any() or (given >= y.shape[1]).any():
        rule = f"must be {y.shape[0]} classes from 0 to {y.shape[1] - 1}, or probabilities"
        fail("labels", rule, f"shape {given.shape} of {given.dtype}", "give one label for each row")
    target = np.zeros(y.shape)
    target[np.arange(y.shape[0]), given] = 1.0
    return y, target
