"""The best scale of logits after training: by theory, by given logits, and what it gains in training."""

import math

import numpy as np
import pytest
import simulator
from scipy.optimize import minimize_scalar

from peakedtheory.dynamics.force import student_force
from peakedtheory.dynamics.interpolant import interpolant
from peakedtheory.dynamics.optimizers import SGD
from peakedtheory.dynamics.temperature import best_scale, best_scale_of_logits
from peakedtheory.exact.losses import misaligned_loss
from peakedtheory.validation import Case, train

INF = math.inf


@pytest.mark.parametrize(
    ("d", "rho", "star", "n"),
    [(3.0, 1.0, INF, 128), (8.0, 3.0, 10.0, 128), (4.0, 0.0, 6.0, 16), (30.0, 0.5, INF, 50304)],
)
def test_best_scale_by_search(d, rho, star, n):
    force = student_force(star, float(n))

    def loss(x):
        s = np.exp(np.array([x]))
        return float(force.losses(s * d, (s * rho) ** 2, np.zeros(1), np.zeros(1)).sum())

    found = minimize_scalar(loss, bracket=(-1.0, 0.5), tol=1e-10)
    best = best_scale(d, rho, star, n)
    assert best.scale == pytest.approx(math.exp(found.x), rel=1e-4)
    assert best.best_loss == pytest.approx(found.fun, rel=1e-7, abs=1e-12)
    assert best.loss == pytest.approx(loss(0.0), rel=1e-12)


def test_losses_are_those_of_the_exact_theory():
    best = best_scale(8.0, 3.0, 10.0, 128)
    for factor, found in ((1.0, best.loss), (best.scale, best.best_loss)):
        exact = misaligned_loss(factor * 8.0, factor * 3.0, 10.0, 128)
        assert found == pytest.approx(exact.total, rel=1e-7)


def test_aligned_students_are_best_at_their_teacher():
    best = best_scale(4.0, 0.0, 6.0, 128)
    assert best.scale == pytest.approx(1.5, rel=1e-7)
    assert best.best_loss == pytest.approx(0.0, abs=1e-12)


def test_closed_form_of_small_angles():
    """Hard labels: β' = (π/√6)/θ and L = (π/√6) c0 θ, with corrections of order θ."""
    c0 = interpolant(128).slope
    for angle, allowed in ((0.03, 0.03), (0.003, 0.003)):
        best = best_scale(50.0, 50.0 * math.tan(angle), INF, 128)
        limit = math.pi / math.sqrt(6.0)
        assert best.scale * 50.0 / math.cos(angle) == pytest.approx(limit / angle, rel=allowed)
        assert best.best_loss == pytest.approx(limit * c0 * angle, rel=allowed)


def drawn(rows, n, seed, factor):
    rng = np.random.default_rng(seed)
    y = 3.0 * rng.standard_normal((rows, n))
    return factor * y + 5.0, simulator.drawn_labels(y, rng).argmax(axis=1)


@pytest.mark.parametrize("factor", [0.02, 0.7, 30.0])
def test_given_logits_find_the_scale_they_were_drawn_at(factor):
    best = best_scale_of_logits(*drawn(20_000, 12, 1, factor))
    assert best.scale == pytest.approx(1.0 / factor, abs=4 * best.scale_standard_error)
    y, labels = drawn(20_000, 12, 1, factor)
    losses = [-simulator.log_softmax(s * y)[np.arange(20_000), labels].mean() for s in (1.0, best.scale)]
    assert (best.loss, best.best_loss) == pytest.approx(losses, rel=1e-12)
    for beside in (0.99, 1.01):
        assert (
            -simulator.log_softmax(beside * best.scale * y)[np.arange(20_000), labels].mean() > best.best_loss
        )


def test_standard_errors_are_honest():
    found = [best_scale_of_logits(*drawn(400, 8, seed, 1.3)) for seed in range(150)]
    assert np.std([b.scale for b in found]) == pytest.approx(
        np.mean([b.scale_standard_error for b in found]), rel=0.2
    )
    assert np.std([b.saved for b in found]) == pytest.approx(
        np.mean([b.saved_standard_error for b in found]), rel=0.25
    )


def test_labels_may_be_probabilities():
    y, _ = drawn(500, 8, 2, 1.0)
    best = best_scale_of_logits(2.0 * y, np.exp(simulator.log_softmax(y)))
    assert best.scale == pytest.approx(0.5, rel=1e-9)
    assert best.best_loss == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("schedule", "rate"), [("constant", 4.0), ("square", 4.0)])
def test_what_tuning_gains_after_training(schedule, rate):
    """The scale of a run is off by what its D and ρ say: most where a decay ends before β has grown."""
    steps = 400
    cases = [Case(INF, SGD(rate, 64, 32), f"{schedule}:peak={rate}", teacher=t, seed=t) for t in range(3)]
    run = train(cases, steps, record=[steps], observe=["weights"], test_samples=4096)
    x = simulator.inputs(np.random.default_rng(9), 1, 8192, 32)[0].astype(float)
    gains, theory = [], []
    for case in range(3):
        w, star = run.weights.values[case, -1].astype(float), run.teacher_weights.values[case]
        found = best_scale_of_logits(x @ w.T, (x @ star.T).argmax(axis=1))
        gains.append(found.saved / found.loss)
        best = best_scale(float(run.alignment[case, -1]), float(run.residual[case, -1]), INF, 128)
        theory.append(best.saved / best.loss)
    assert np.mean(gains) == pytest.approx(np.mean(theory), abs=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: best_scale(0.0, 1.0, 5.0, 128), "alignment: must be a finite number > 0"),
        (lambda: best_scale(1.0, -1.0, 5.0, 128), "residual: must be a finite number >= 0"),
        (lambda: best_scale(1.0, 0.0, INF, 128), "residual: must be a finite number >= 0, above 0 on hard labels"),
        (lambda: best_scale_of_logits([1.0, 2.0], [0]), "logits: must be"),
        (lambda: best_scale_of_logits([[1.0, np.nan], [0.0, 1.0]], [0, 1]), "logits: must be finite"),
        (lambda: best_scale_of_logits([[1.0, 2.0], [0.0, 1.0]], [0, 2]), "labels: must be 2 classes from 0 to 1"),
        (lambda: best_scale_of_logits([[1.0, 2.0], [0.0, 1.0]], [[1, 1], [0, 1]]), "labels: must be probabilities"),
        (lambda: best_scale_of_logits([[1.0, 2.0], [0.0, 1.0]], [1, 1]), "logits: must be best at some finite scale"),
        (lambda: best_scale_of_logits([[1.0, 2.0], [0.0, 1.0]], [0, 0]), "logits: must be best at some finite scale"),
    ],
)  # fmt: skip
def test_impossible_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
