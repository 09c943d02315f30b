"""Training of a softmax student on a softmax teacher, as flows of a few variables, with nothing fitted.

The student's logits are D z + ρ w, the teacher's β* z; D is the alignment, ρ the residual, β² = D² + ρ².
The flow for gradient descent, its noise and its closed forms are Eqs. 1-26 of docs/dynamics.md, its
corrections at finite input width Eqs. 34-50; the aligned flow is Liu et al. 2026, Eq. 9, and the split of the
loss that of Lee et al. 2026. Adam and sign descent are integrated by `dynamics.adaptive`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from peakedtheory._common.checks import (
    fail,
    real_array,
    real_number,
    single_number,
    teacher_temperature,
)
from peakedtheory._common.drawing import draw
from peakedtheory._common.results import describe, fields_of, scalar_or_array, to_dataset
from peakedtheory._common.types import Reals, Values
from peakedtheory.dynamics.adaptive import adam_flow, sign_flow
from peakedtheory.dynamics.aligned_flow import aligned_flow
from peakedtheory.dynamics.finite_width import finite_width_flow
from peakedtheory.dynamics.force import student_force
from peakedtheory.dynamics.infinite_width import infinite_width_flow
from peakedtheory.dynamics.labels import checked_labels, data_efficiency
from peakedtheory.dynamics.optimizers import SGD, Adam, GradientFlow, Optimizer, SignGD
from peakedtheory.dynamics.trajectory import Problem, Trajectory, in_steps
from peakedtheory.energies.base import Energies
from peakedtheory.energies.normal import STANDARD_NORMAL
from peakedtheory.energies.reading import EnergiesLike, as_energies
from peakedtheory.exact.thermodynamics import thermodynamics
from peakedtheory.schedules.averages import Average
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.reading import as_rates

if TYPE_CHECKING:
    import matplotlib.axes
    import xarray


#: What a flow tells of every time.
FIELDS = tuple(f.name for f in fields(Trajectory))


@dataclass(frozen=True, repr=False)
class StudentFlow:
    """One training run as the theory predicts it; every field has the shape of `tau`.

    Attributes
    ----------
    tau : float or ndarray
        Dynamic time Σ η.
    beta, alignment, residual : float or ndarray
        Inverse temperature β, its component D along the teacher and ρ across it, β² = D² + ρ². A shift
        that all rows of the weights have in common, which no softmax sees, is not counted.
    loss, radial_loss, tangential_loss : float or ndarray
        KL divergence from the teacher in nats; its part at β without misalignment, and the rest.
    local_exponent : float or ndarray
        -d ln L/d ln τ along the flow; with a width the mean over τ within 0.1 %.
    coherent_residual : float or ndarray
        The part of ρ that is the same for every run of one teacher, from rows of unequal norm; the rest of
        ρ² is noise and what is left of the start. Zero at infinite width.
    examples : float, ndarray or None
        Examples seen by then; none under gradient flow.
    beta_star, n, optimizer, labels : float, float, Optimizer, str
        What was asked for; labels of a teacher at infinite β* are ``hard``.
    energies : Energies
        Distribution of one energy.
    """

    tau: Values
    beta: Values
    alignment: Values
    residual: Values
    loss: Values
    radial_loss: Values
    tangential_loss: Values
    local_exponent: Values
    coherent_residual: Values
    examples: Values | None
    beta_star: float = field(repr=False)
    n: float = field(repr=False)
    optimizer: Optimizer = field(repr=False)
    labels: str = field(repr=False)
    energies: Energies = field(repr=False, default=STANDARD_NORMAL)

    @property
    def efficiency(self) -> Values:
        """Share of the examples that the loss has used, (n - 1)m/(2NL) (docs/dynamics.md, Eq. 55).

        On sampled labels no unbiased method surpasses one; labels that are not drawn know no such limit.

        Raises
        ------
        ValueError
            For gradient flow, which counts no examples.
        """
        if self.examples is None:
            fail("optimizer", "must draw examples", f"{self.optimizer}", "give an SGD, Adam or SignGD")
        width: float = self.optimizer.width  # type: ignore[assignment]  # those that draw examples have one
        return data_efficiency(self.loss, self.examples, self.n, width)

    @property
    def label_entropy(self) -> float:
        """Mean entropy of the labels in nats: zero of hard labels, S(β*) of others."""
        if self.energies is not STANDARD_NORMAL:
            return 0.0 if math.isinf(self.beta_star) else _entropy(self.beta_star, self.n, self.energies)
        width = getattr(self.optimizer, "width", None)
        return student_force(self.beta_star, self.n, width or math.inf).label_entropy

    @property
    def cross_entropy(self) -> Values:
        """Cross-entropy of the labels in nats, what a run reports: the loss plus the labels' entropy."""
        return self.loss + self.label_entropy

    def __repr__(self) -> str:
        title = f"StudentFlow of n={self.n:g} classes to beta_star={self.beta_star:g} by {self.optimizer}"
        return describe(title, fields_of(self, "tau", *FIELDS))

    def to_xarray(self) -> xarray.Dataset:
        """Return the fields over `tau`."""
        attributes = {
            "beta_star": self.beta_star, "n": self.n, "optimizer": str(self.optimizer), "labels": self.labels,
            "label_entropy": self.label_entropy, "energies": self.energies.name,
        }  # fmt: skip
        names = (*FIELDS, "examples", "efficiency") if self.examples is not None else FIELDS
        units = dict.fromkeys(("loss", "radial_loss", "tangential_loss"), "nat")
        return to_dataset(fields_of(self, *names), {"tau": np.asarray(self.tau)}, units, attributes)

    def plot(self, axes: matplotlib.axes.Axes | None = None) -> matplotlib.axes.Axes:
        """Draw L, β and the local exponent against τ."""
        return draw(self, axes)


def student_flow(
    tau: Reals | None,
    beta_star: float,
    n: float,
    *,
    optimizer: Optimizer | None = None,
    alignment0: float = 0.0,
    residual0: float = 0.0,
    weight_decay: float = 0.0,
    schedule: Clock | str | Reals | None = None,
    labels: str = "soft",
    average: Average | None = None,
    energies: EnergiesLike = None,
) -> StudentFlow:
    """Return the predicted training run of a student with n Gaussian logits, or with others if it is aligned.

    Parameters
    ----------
    tau : array_like or None
        Dynamic times Σ η >= 0, ascending. With a schedule None means 200 times of its run.
    beta_star : float
        Teacher's inverse temperature; infinite for hard labels (its most likely class).
    n : int
        Number of classes, at least 2.
    optimizer : GradientFlow, SGD, Adam or SignGD, optional
        Gradient flow by default.
    alignment0, residual0 : float
        D and ρ at the start; an independent student of inverse temperature β0 has D = 0, ρ = β0.
    weight_decay : float
        Decoupled decay ω: weights lose the fraction η ω per step.
    schedule : optional
        Learning rates, as `as_schedule` takes them; they replace the optimizer's constant rate. For gradient
        flow only its length in τ matters.
    labels : str
        What each example tells of the teacher: ``soft``, its probabilities; ``sampled``, one class drawn from
        them, as in pre-training; ``hard``, its most likely class, which is what an infinite beta_star means,
        whatever the word. Gradient flow knows no difference between the first two.
    average : MovingAverage or TailAverage, optional
        Average of the weights along the run, which everything returned is then of; by SGD or Adam. A run at a
        constant rate ends with the last τ.
    energies : optional
        Distribution of one energy; standard normal by default. With any other, logits -βε stay aligned with
        the teacher's: for `GradientFlow` of infinite width from residual0 = 0 only.

    Returns
    -------
    StudentFlow

    Raises
    ------
    ValueError
        For negative or decreasing τ, τ beyond the schedule's end, n < 2, hard labels at a finite beta_star
        and other impossible input, for other energies where a student would not stay aligned, and where the
        expansion in 1/width fails: in narrow models (about 8) that start far from their teacher.

    Notes
    -----
    dD/dτ = [Φ'(β*) - Φ'(β)D/β]/n - ωD and dρ²/dτ = -2Φ'(β)ρ²/(nβ) - 2ωρ² + ηmV(D, ρ, β*)/(nB), with V the
    mean squared difference of the two softmax outputs (docs/dynamics.md, Eqs. 3-9), are solved in ln τ.
    Sampled labels add Φ'(β*)/β* to V (Eq. 51); the loss is then what a run's cross-entropy has above the
    entropy of its labels. Where a width m is given, three effects of order 1/m are added (Eqs. 34-45): the
    kurtosis of the logits, classes of unequal frequency, and a spectrum of relaxation rates of ρ; Adam takes
    the first two (Eqs. 49-50), sign descent the first. For other energies dβ/dτ = [U(β) - U(β*)]/n - ωβ (Liu
    et al. 2026, Eq. 9), from a table of U that is right to about 1e-4.

    Examples
    --------
    >>> flow = student_flow([1e3, 1e6], float("inf"), 128)
    >>> print(f"{flow.loss[1]:.4f} {flow.local_exponent[1]:.2f}")
    0.0580 0.33
    """
    optimizer = GradientFlow() if optimizer is None else optimizer
    distribution = as_energies(energies)
    solve = _solver(optimizer)
    if distribution is not STANDARD_NORMAL:
        solve = functools.partial(aligned_flow, energies=distribution)
    plan = None if schedule is None else as_rates(schedule)
    times = _times(tau, plan)
    beta_star, n = teacher_temperature(beta_star), float(single_number(n))
    labels = checked_labels(labels, beta_star)
    if average is not None and not (isinstance(average, Average) and isinstance(optimizer, (SGD, Adam))):
        shown = f"{average!r} by {type(optimizer).__name__}"
        fail("average", "must be a MovingAverage or TailAverage, by SGD or Adam", shown, "leave it out")
    for name, value in (("alignment0", alignment0), ("residual0", residual0), ("weight_decay", weight_decay)):
        number = real_number(name, value)
        if not np.isfinite(number) or (number < 0 and name != "alignment0"):
            fail(
                name,
                "must be a finite number" + (" >= 0" if name != "alignment0" else ""),
                f"{value}",
                "correct it",
            )
    problem = Problem(
        times.ravel(),
        beta_star,
        n,
        optimizer,
        plan,
        alignment0,
        residual0,
        weight_decay,
        labels == "sampled",
        average,
    )
    examples = None
    if not isinstance(optimizer, GradientFlow):
        examples = optimizer.batch * in_steps(problem, times.ravel())  # type: ignore[arg-type]
    values = {name: _shaped(v, times.shape) for name, v in fields_of(solve(problem)).items()}
    return StudentFlow(
        tau=_shaped(times.copy(), times.shape),
        **values,
        examples=None if examples is None else _shaped(examples, times.shape),
        beta_star=beta_star,
        n=n,
        optimizer=optimizer,
        labels=labels,
        energies=distribution,
    )


def _entropy(beta_star: float, n: float, energies: Energies) -> float:
    return float(thermodynamics(beta_star, n, energies).entropy)


def _solver(optimizer: Optimizer) -> Callable[[Problem[Any]], Trajectory]:
    """Return the function that follows students trained so."""
    if isinstance(optimizer, Adam):
        return adam_flow
    if isinstance(optimizer, SignGD):
        return sign_flow
    if isinstance(optimizer, (GradientFlow, SGD)):
        return infinite_width_flow if optimizer.width is None else finite_width_flow
    return fail(
        "optimizer", "must be GradientFlow, SGD, Adam or SignGD", type(optimizer).__name__, "build one"
    )


def _shaped(values: np.ndarray, shape: tuple[int, ...]) -> Values:
    return scalar_or_array(values.reshape(shape))


def _times(tau: Reals | None, plan: Clock | None) -> np.ndarray:
    if tau is None:
        if plan is None:
            fail("tau", "must be given without a schedule", "None", "list the dynamic times wanted")
        steps = np.unique(np.round(np.geomspace(1, plan.steps, 200)).astype(int))
        return plan.tau[steps]
    times = real_array("tau", tau)
    if (times < 0).any():
        fail("tau", "must be >= 0", f"{times.min():g}", "dynamic time starts at zero")
    if times.ndim > 1 or (np.diff(times.ravel()) < 0).any():
        fail("tau", "must be one ascending list", f"shape {times.shape}", "sort it")
    if np.isinf(times).any():
        fail("tau", "must be finite", "inf", "read the limit from the closed forms")
    if plan is not None and times.max() > plan.tau[-1] * (1 + 1e-9):
        fail(
            "tau",
            f"must end with the schedule at {plan.tau[-1]:g}",
            f"{times.max():g}",
            "lengthen the schedule",
        )
    return times
