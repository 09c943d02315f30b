"""Stacks of residual students against single ones, how their layers start, and their resume files."""

import math

import numpy as np
import pytest
import torch

from peakedtheory._common import resume
from peakedtheory.validation.training import residual_network
from peakedtheory.validation.training.inputs import TRAINING
from peakedtheory.validation.training.residual_network import (
    ResidualPlan,
    ResidualRun,
    features,
    rms_norm,
    train_residual,
)


def plan_of(learning_rate=1e-2, **changes):
    settings = {"teachers": (0, 4), "n": 16, "width": 8, "test_samples": 32, **changes}
    return ResidualPlan((5.0, 50.0), 2, 3, learning_rate, 8, 12, **settings)


class StopError(Exception):
    pass


def test_residual_run_resumes_to_the_bit(tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(resume, "SAVING_SHARE", math.inf)
    monkeypatch.setattr(residual_network, "_CHUNK_ROWS", 8)  # a step at a time
    plan = plan_of()
    record = np.array([1, 4, 8, 12])
    whole = train_residual(plan, record)
    path = tmp_path / "run.npz"

    def stop(done):
        if done == 7:
            raise StopError

    with pytest.raises(StopError):
        train_residual(plan, record, checkpoint=path, report=stop)
    for first in (7, None):  # between two records; then from the end
        done = []
        resumed = train_residual(plan, record, checkpoint=path, resume=True, report=done.append)
        assert done[:1] == ([] if first is None else [first])
        for name in whole:
            np.testing.assert_array_equal(resumed[name], whole[name])
    with pytest.raises(ValueError, match="made with learning_rate = "):
        train_residual(plan_of(learning_rate=2e-2), record, checkpoint=path, resume=True)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="must be a resume file"):
        train_residual(plan, record, checkpoint=path, resume=True)


def plainly(x, layers, student):
    """Features of one student as the equations have them."""
    a, b, out = layers
    h = rms_norm(x)
    for k in range(len(a)):
        h = h + torch.relu(rms_norm(h) @ a[k][student] + b[k][student]) ** 2 @ out[k][student]
    return rms_norm(h)


def test_residual_step_is_adam_on_single_students():
    """Stacked students move as each would alone under torch's own Adam and autograd."""
    plan = plan_of()
    run = ResidualRun(plan, "cpu")
    chosen = 3  # of the second teacher, at the second temperature
    single = [p[..., chosen : chosen + 1, :, :].clone().requires_grad_() for p in run.parameters]
    optimizer = torch.optim.Adam(single, lr=plan.learning_rate)
    for step in range(3):
        x = torch.from_numpy(run.inputs.rows(TRAINING, step, 1, plan.batch)[1, 0])
        q = torch.log_softmax(plainly(x, run.teacher, 1) @ run.teacher_head[chosen], -1)
        p = torch.log_softmax(plainly(x, single[:3], 0) @ single[3][0], -1)
        loss = (q.exp() * (q - p)).sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.advance(1)
    for mine, alone in zip(run.parameters, single, strict=True):
        found = mine[..., chosen : chosen + 1, :, :]
        torch.testing.assert_close(found, alone.detach(), rtol=1e-4, atol=1e-6)


def test_steps_are_reported_as_they_are_done():
    done = []
    train_residual(plan_of(), np.array([2, 5]), report=done.append)
    assert done == [2, 5]


def affine_share(starts):
    """Start a run whose teacher has 128 layers: it, and the share of its features' variance that is affine."""
    run = ResidualRun(ResidualPlan((10.0,), 6, 128, 6e-4, 8, 1, test_samples=8, starts=starts), "cpu")
    x = rms_norm(torch.randn(1, 2048, 32, generator=torch.Generator().manual_seed(3)))
    found = features(x, run.each, run.teacher)[0][0].double().numpy()
    inputs = np.column_stack([x[0].double().numpy(), np.ones(2048)])
    left = found - inputs @ np.linalg.lstsq(inputs, found)[0]
    return run, 1.0 - (left**2).sum() / ((found - found.mean(axis=0)) ** 2).sum()


def test_published_starts():
    """B of the teacher over √(its layers), B and heads of students zero, all else uniform on ±1/√(fan in)."""
    run, share = affine_share("published")
    a, b, out = run.teacher
    for tensor, bound in (
        (a, 32**-0.5),
        (b, 32**-0.5),
        (out, (128 * 128) ** -0.5),
        (run.parameters[0], 32**-0.5),
    ):
        assert float(tensor.abs().max()) == pytest.approx(bound, rel=2e-3)
        assert float(tensor.abs().max()) <= bound * (1 + 1e-6)
        assert float(tensor.std()) == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert float(out.std()) == pytest.approx(1 / math.sqrt(3 * 4 * 32 * 128), rel=0.01)
    assert not any(float(v.abs().max()) for v in run.parameters[2:])
    assert share > 0.95  # measured: 0.98


def test_uniform_starts_are_another_problem():
    run, share = affine_share("uniform")
    assert float(run.teacher[2].std()) == pytest.approx(1 / math.sqrt(3 * 4 * 32), rel=0.01)
    assert float(run.parameters[2].std()) == pytest.approx(1 / math.sqrt(3 * 4 * 32), rel=0.02)
    assert not float(run.parameters[3].abs().max())
    assert share < 0.6  # measured: 0.45


def test_students_that_start_at_zero_learn_their_bodies():
    """B and head at zero stop the gradient of A at first; the head moves it on, as B and A follow."""
    run = ResidualRun(plan_of(starts="published"), "cpu")
    before = [p.clone() for p in run.parameters]
    moved = []
    for _ in range(3):
        run.advance(1)
        moved.append([not torch.equal(p, q) for p, q in zip(run.parameters, before, strict=True)])
    assert moved == [[False, False, False, True], [False, False, True, True], [True, True, True, True]]


def test_unknown_starts_are_named():
    with pytest.raises(ValueError, match=r"starts.*published or uniform.*'zero'"):
        plan_of(starts="zero")
